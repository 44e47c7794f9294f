import { describe, expect, it } from 'vitest';
import { mapLoad } from '../../src/capacity/load-map.ts';
import { simulate } from '../../src/capacity/simulate.ts';
import type { PipelineModel } from '../../src/capacity/simulation-model.ts';
import { reportOfSimulation } from '../../src/report/from-simulation.ts';
import { measuredBy, saturatedIngestRate } from '../../src/report/measured.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { parseRunReport } from '../../src/report/schema.ts';
import { parseThreshold } from '../../src/report/thresholds.ts';
import { steps } from '../../src/workload/shape.ts';
import { type ModelShape, sampleModel } from '../capacity/model.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

function reportOf(shape: ModelShape, thresholds: readonly string[] = []): RunReport {
  const model: PipelineModel = sampleModel(shape);
  return reportOfSimulation(simulate(model, 0), model, {
    title: 'simulated',
    run: 'simulate-1',
    startedMs: 0,
    toolVersion: '0.1.0',
    env: {},
    config: {},
    thresholds: thresholds.map(parseThreshold),
    hubRetentionMs: 86_400_000,
  });
}

function refusing(refusedPerSecond: number): PipelineModel['store'] {
  return { ...sampleModel({ ruPerSecond: 5_500 }).store, refusedPerSecond };
}

describe('the report of a simulation', () => {
  it('is a report like any other', () => {
    const report = reportOf({ ruPerSecond: 8_000 }, ['ingest_rate:avg>900/s']);
    expect(parseRunReport(JSON.parse(JSON.stringify(report)), 'x.json')).toEqual(report);
    expect(report).toMatchObject({ kind: 'simulate', valid: true });
    expect(report.thresholds[0]).toMatchObject({ ok: false });
  });

  it('names the container where request units are short', () => {
    expect(reportOf({ ruPerSecond: 5_500 }).bottleneck).toMatchObject({ stage: 'ingest' });
  });

  it('names the producer where the namespace does not let it in', () => {
    const hub = { ingressPerSecond: 500, egressPerSecond: 2_000 };
    expect(reportOf({ overrides: { hub } }).bottleneck).toMatchObject({
      stage: 'produce',
      reason: 'throttled',
    });
  });

  it('names the door only where more waits before it than behind it', () => {
    const shortOf = (ingressPerSecond: number) =>
      reportOf({
        ruPerSecond: 3_300,
        overrides: { hub: { ingressPerSecond, egressPerSecond: 2_000 } },
      }).bottleneck?.stage;
    // 10,000 events, 300 stored a second: with 900 let in a second, 1,000 wait before the door and 6,000 behind it.
    expect(shortOf(900)).toBe('ingest');
    expect(shortOf(400)).toBe('produce');
  });

  it('lays an outage of the hub to the hub, not to its throughput units', () => {
    const hub = { ingressPerSecond: 1_500, egressPerSecond: 3_000 };
    const outages = [{ part: 'event-hubs', startMs: 8_000, durationMs: 2_000 }] as const;
    expect(reportOf({ overrides: { hub, outages } }).bottleneck?.sentence).toMatch(
      /^event-hubs was down for 2\.0s from 8\.0s on; backlog up to 2,000 events/,
    );
  });

  it('says where consumers wait for the namespace', () => {
    const hub = { ingressPerSecond: 3_000, egressPerSecond: 400 };
    expect(reportOf({ overrides: { hub } }).bottleneck?.sentence).toMatch(
      /it finished 400 events\/s of 1,000 sent, as the namespace lets 400 events\/s out to each consumer group/,
    );
  });

  it('does not say of a pipeline that fell behind for a while that every stage kept up', () => {
    const shape = steps([
      { durationMs: 300_000, ratePerSecond: 100 },
      { durationMs: 10_000, ratePerSecond: 1_000 },
      { durationMs: 1_490_000, ratePerSecond: 100 },
    ]);
    const schedule = { shape, durationMs: 1_800_000 };
    const report = reportOf({ ruPerSecond: 8_000, overrides: { schedule } });
    expect(report.bottleneck?.sentence).toMatch(
      /^ingest kept up but for a while, in which [\d,]+ operations were throttled; backlog up to .*, caught up 5m\d\ds after the start of the load$/,
    );
    const slow = reportOf({ overrides: { schedule, cache: { capacityPerSecond: 700 } } });
    expect(slow.bottleneck?.sentence).toMatch(/^cache kept up but for a while; backlog up to/);
  });

  it('has the rates of the schedule, and one number of refusals', () => {
    const report = reportOf({ rate: 500, durationMs: 60_000 });
    expect(report.stages.map(({ donePerSecond }) => Math.round(donePerSecond * 10) / 10)).toEqual([
      500, 500, 500, 500,
    ]);
    expect(report.ru?.perSecond).toBeCloseTo(500 * 11, 0);
    const short = reportOf({ ruPerSecond: 5_500, overrides: { store: refusing(2.5) } });
    expect(short.ru?.throttled).toBe(short.stages[1]?.throttled);
  });

  it('holds the hottest range against all ranges, those without a key too', () => {
    const load = mapLoad({
      keys: 1,
      distribution: { kind: 'uniform' },
      hubPartitions: 1,
      physicalPartitions: 10,
    });
    const report = reportOf({ ruPerSecond: 20_000, physicalPartitions: 10, overrides: { load } });
    expect(Object.keys(report.ru?.ranges ?? {})).toHaveLength(10);
    expect(report.bottleneck?.sentence).toMatch(
      /because range \d took 100\.0% of the load and has 2,000 of the 20,000 RU\/s/,
    );
  });

  it('names the feed and the cache where they are slow', () => {
    expect(
      reportOf({ overrides: { feed: { capacityPerSecond: 400, ruPerChange: 1 } } }).bottleneck?.stage,
    ).toBe('feed');
    expect(reportOf({ overrides: { cache: { capacityPerSecond: 400 } } }).bottleneck?.stage).toBe('cache');
  });

  it('says what was down, how far behind that was, and when it was made up for', () => {
    const outages = [{ part: 'ingest', startMs: 60_000, durationMs: 10_000 }] as const;
    const report = reportOf({ durationMs: 3_600_000, ruPerSecond: 22_000, overrides: { outages } });
    expect(report.bottleneck?.sentence).toMatch(
      /^ingest was down for 10\.0s from 1m00s on; backlog up to 10,000 events, lag up to 10\.0s, caught up 1m\d\ds after the start of the load$/,
    );
    const short = reportOf({ ruPerSecond: 5_500, overrides: { outages } });
    expect(short.bottleneck?.sentence).toMatch(
      /^ingest was .* events behind .*; ingest was down for .*; backlog up/,
    );
    expect(reportOf({ ruPerSecond: 22_000 }).bottleneck?.sentence).not.toContain('lag');
  });

  it('is not trusted when the backlog outlives the hub or the simulation', () => {
    const report = reportOf({ ruPerSecond: 1_100, overrides: { maxDrainMs: 5_000 } });
    expect(report.valid).toBe(false);
    expect(report.doubts[0]).toMatch(/had not drained/);
  });

  it('says how many ranges a group stands for', () => {
    const load = mapLoad({
      keys: 10_000,
      distribution: { kind: 'uniform' },
      hubPartitions: 4,
      physicalPartitions: 300,
    });
    const report = reportOf({ ruPerSecond: 3e6, physicalPartitions: 300, overrides: { load } });
    const ranges = Object.values(report.ru?.ranges ?? {});
    expect(ranges.reduce((sum, { alike = 1 }) => sum + alike, 0)).toBe(300);
  });
});

describe('what a measured run tells', () => {
  it('is its charge, its sizes and its latency while nothing queued', () => {
    const measured = measuredBy(sampleReport(), 'bench.json');
    expect(measured).toMatchObject({ origin: 'bench.json', ruPerWrite: 7, itemBytes: 900 });
    expect(measured.latency?.ingest?.p50Ms).toBeGreaterThan(0);
  });

  it('is no stage done before the one that feeds it, although each had its best second at another time', () => {
    const late = sampleStage('ingest');
    const stages = [
      sampleStage('produce'),
      { ...late, series: { ...late.series, latencyP50Ms: [300], latencyP99Ms: [900] } },
      sampleStage('feed'),
    ];
    const { latency } = measuredBy(sampleReport({ stages }), 'bench.json');
    expect(latency?.ingest).toEqual({ p50Ms: 300, p99Ms: 900 });
    expect(latency?.feed).toEqual({ p50Ms: 300, p99Ms: 900 });
  });

  it('is the rate of an ingest that was the limit by itself, not one that was throttled', () => {
    const bottleneck = { stage: 'ingest', reason: 'saturated', sentence: '' } as const;
    const stages = [sampleStage('produce'), sampleStage('ingest', { perSecond: 500 })];
    const saturated = sampleReport({ stages, bottleneck });
    expect(saturatedIngestRate(saturated)).toBeCloseTo(526, -1);
    expect(
      saturatedIngestRate({ ...saturated, bottleneck: { ...bottleneck, reason: 'throttled' } }),
    ).toBeUndefined();
    expect(saturatedIngestRate(sampleReport())).toBeUndefined();
  });
});
