import { describe, expect, it } from 'vitest';
import { mapLoad } from '../../src/capacity/load-map.ts';
import { simulate } from '../../src/capacity/simulate.ts';
import type { PipelineModel } from '../../src/capacity/simulation-model.ts';
import { reportOfSimulation } from '../../src/report/from-simulation.ts';
import { measuredBy, saturatedIngestRate } from '../../src/report/measured.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { parseRunReport } from '../../src/report/schema.ts';
import { parseThreshold } from '../../src/report/thresholds.ts';
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
      /^ingest was down for 10\.0s from 1m00s on; backlog up to 10,000 events, lag up to 10\.0s, caught up 1m\d\ds after its start$/,
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
