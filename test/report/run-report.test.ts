import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { backlogSummary } from '../../src/report/backlog.ts';
import { findBottleneck } from '../../src/report/bottleneck.ts';
import { mergeReports } from '../../src/report/merge.ts';
import type { RunReport } from '../../src/report/run-report.ts';
import { parseRunReport, runReportJsonSchema } from '../../src/report/schema.ts';
import { sampleReport, sampleStage } from './sample-report.ts';

const SCHEMA_FILE = 'src/report/run-report.v1.schema.json';

function throughJson(report: RunReport): unknown {
  return JSON.parse(JSON.stringify(report));
}

describe('the schema of a report', () => {
  it('is the published file', () => {
    expect(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'))).toEqual(runReportJsonSchema());
  });

  it('accepts a complete report, in a validator of its own', () => {
    const ajv = new Ajv2020({ allErrors: true });
    addFormats.default(ajv);
    const validate = ajv.compile(JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as object);
    validate(throughJson(sampleReport()));
    expect(validate.errors).toBeNull();
    validate({ ...sampleReport(), schemaVersion: 2 });
    expect(validate.errors).not.toBeNull();
  });

  it('brings a report back as it was saved', () => {
    const report = sampleReport();
    expect(parseRunReport(throughJson(report), 'x.json')).toEqual(report);
  });

  it('reads what a newer version wrote, whose members it does not know', () => {
    const { process, ...report } = sampleReport();
    const newer = { ...report, process: { ...process, handles: 3 }, weather: 'fair' };
    expect(parseRunReport(newer, 'x.json')).toMatchObject({ run: 'run-1', weather: 'fair' });
    expect(() => parseRunReport({ ...newer, durationMs: 'long' }, 'x.json')).toThrow(/\(durationMs:/);
  });

  it('names the member that is wrong', () => {
    const broken = { ...sampleReport(), durationMs: 'long' };
    expect(() => parseRunReport(broken, 'x.json')).toThrow(
      /x\.json is not a run report of version 1 \(durationMs:/,
    );
  });
});

describe('the bottleneck', () => {
  it('is the stage that was behind when the load ended', () => {
    const bottleneck = findBottleneck([
      sampleStage('produce'),
      sampleStage('ingest', { perSecond: 700 }),
      sampleStage('feed', { perSecond: 690 }),
    ]);
    expect(bottleneck).toMatchObject({ stage: 'ingest', reason: 'saturated' });
    expect(bottleneck?.sentence).toContain('3,000 events behind');
  });

  it('says how long into the load a stage was behind, whenever its recorder was started', () => {
    const started = (stage: ReturnType<typeof sampleStage>, idleSeconds: number) => {
      const idle = new Array<number>(idleSeconds).fill(0);
      const { series, startedMicros } = stage;
      return {
        ...stage,
        startedMicros: startedMicros - idleSeconds * 1e6,
        series: { ...series, done: [...idle, ...series.done] },
      };
    };
    const slow = sampleStage('ingest');
    const series = { ...slow.series, done: [500, 500, 1_000, 1_500, 1_500, ...slow.series.done.slice(5)] };
    const sentence = (idleSeconds: number) =>
      findBottleneck(
        [sampleStage('produce'), { ...slow, series }].map((stage) => started(stage, idleSeconds)),
      )?.sentence;
    expect(sentence(0)).toBe('ingest was 1,000 events behind 2.0s into the load, and caught up later');
    expect(sentence(3)).toBe(sentence(0));
  });

  it('is the throughput of the container where that is what held the stage back', () => {
    const bottleneck = findBottleneck([
      sampleStage('produce'),
      sampleStage('ingest', { perSecond: 500, throttled: 5_000 }),
    ]);
    expect(bottleneck).toMatchObject({ stage: 'ingest', reason: 'throttled' });
  });

  it('takes a small backlog for throttled where requests were refused and a range had used up its share', () => {
    const { ru } = sampleReport();
    const stages = (throttled: number) => [
      sampleStage('produce'),
      sampleStage('ingest', { perSecond: 970, throttled }),
    ];
    expect(findBottleneck(stages(0), ru)).toMatchObject({ reason: 'latency' });
    const full = ru && { ...ru, provisionedPerSecond: 8_000 };
    expect(findBottleneck(stages(5), full)).toMatchObject({ stage: 'ingest', reason: 'throttled' });
    expect(findBottleneck(stages(5), ru && { ...ru, provisionedPerSecond: 80_000 })).toMatchObject({
      reason: 'latency',
    });
  });

  it('names the range that took more than its share while the container had throughput left', () => {
    const { ru } = sampleReport();
    if (ru === undefined) throw new Error('the sample has request units');
    const [hot, cold] = [ru.ranges['0'], ru.ranges['1']];
    if (hot === undefined || cold === undefined) throw new Error('the sample has two ranges');
    const idle = { ...cold, requestCharge: 4_000 };
    const bottleneck = findBottleneck(
      [sampleStage('produce'), sampleStage('ingest', { perSecond: 500, throttled: 5_000 })],
      { ...ru, ranges: { 0: hot, 1: idle } },
    );
    expect(bottleneck?.sentence).toContain(
      'because range 0 took 90.9% of the load and has 5,000 of the 10,000 RU/s',
    );
  });

  /** Two ranges of which the first took nearly everything, and spent what it has. */
  const hot = () => {
    const { ru } = sampleReport();
    const [range, cold] = [ru?.ranges['0'], ru?.ranges['1']];
    if (ru === undefined || range === undefined || cold === undefined) throw new Error('the sample has two');
    const idle = { ...cold, requestCharge: 400, requestChargeSeries: [40] };
    return {
      ...ru,
      perSecond: 4_000,
      provisionedPerSecond: 8_000,
      throttled: 30,
      ranges: { 0: range, 1: idle },
    };
  };

  it('names the hot range that refused the reads of the feed, which only the request units count', () => {
    const stages = (written: number) => [
      sampleStage('produce'),
      sampleStage('ingest', { throttled: written }),
      sampleStage('feed', { perSecond: 800 }),
    ];
    expect(findBottleneck(stages(12), hot())).toMatchObject({
      stage: 'feed',
      reason: 'throttled',
      sentence: expect.stringMatching(
        /: 18 operations were throttled, because range 0 took 99.0% of the load/,
      ),
    });
    expect(findBottleneck(stages(30), hot())).toMatchObject({ stage: 'feed', reason: 'saturated' });
  });

  it('tells of a hot range that delayed what kept up', () => {
    const stages = [sampleStage('produce'), sampleStage('ingest', { latencyMs: 90, throttled: 14 })];
    expect(findBottleneck(stages, hot())?.sentence).toMatch(
      /^every stage kept up; ingest adds most .*%\); 14 operations were throttled, because range 0 took/,
    );
    expect(findBottleneck(stages)?.sentence).toMatch(/%\)$/);
  });

  it('is the budget of ingest where that is what it was held to', () => {
    const stages = [sampleStage('produce'), sampleStage('ingest', { perSecond: 500 })];
    const { ru } = sampleReport();
    const found = (maxRu?: unknown) => findBottleneck(stages, ru, { maxRu });
    expect(found({ ruPerSecond: 7_000 })).toMatchObject({
      reason: 'throttled',
      sentence: expect.stringMatching(
        /: held to 7,000 RU\/s by --max-ru, it finished \d+ events\/s of .* sent$/,
      ),
    });
    expect(found({ fraction: 0.7 })?.sentence).toContain('held to 7,000 RU/s');
    expect(found({ ruPerSecond: 20_000 })).toMatchObject({ reason: 'saturated' });
    expect(found()).toMatchObject({ reason: 'saturated' });
  });

  it('blames no range that has hardly more than its share', () => {
    const { ru } = sampleReport();
    const bottleneck = findBottleneck(
      [sampleStage('produce'), sampleStage('ingest', { perSecond: 500, throttled: 5_000 })],
      ru,
    );
    expect(bottleneck).toMatchObject({ stage: 'ingest', reason: 'throttled' });
    expect(bottleneck?.sentence).not.toContain('because range');
  });

  it('is the largest part of the latency when every stage kept up', () => {
    const bottleneck = findBottleneck([
      sampleStage('produce', { latencyMs: 5 }),
      sampleStage('ingest', { latencyMs: 15 }),
      sampleStage('feed', { latencyMs: 60 }),
    ]);
    expect(bottleneck).toMatchObject({ stage: 'feed', reason: 'latency' });
    expect(bottleneck?.sentence).toMatch(/75%/);
  });
});

describe('the backlog', () => {
  it('is what was due and not through, and gone when the last event was', () => {
    const stages = [sampleStage('produce'), sampleStage('ingest', { perSecond: 700 })];
    expect(backlogSummary({ ...sampleReport(), stages, durationMs: 14_300 })).toEqual({
      maxEvents: 3_000,
      drainMs: 4_300,
    });
    const { load: _load, ...withoutSchedule } = sampleReport();
    expect(backlogSummary(withoutSchedule)).toEqual({ maxEvents: 0 });
    expect(backlogSummary({ stages: [] })).toBeUndefined();
  });
});

describe('merging shards', () => {
  it('adds counts and histograms, and evaluates the thresholds again', () => {
    const slow = sampleReport({ endToEnd: sampleStage('feed', { latencyMs: 900 }).latency });
    const merged = mergeReports([sampleReport(), slow]);
    expect(merged).toMatchObject({
      durationMs: 10_250,
      load: { sent: 20_000, requestedPerSecond: 2_000 },
      ru: { requestCharge: 140_000, perWrite: 7 },
      verdict: { ok: false, acknowledged: 20_000, totals: { lost: 2 } },
      endToEnd: { count: 20_000 },
    });
    expect(merged.stages.map(({ name, done }) => [name, done])).toEqual([
      ['produce', 20_000],
      ['ingest', 20_000],
      ['feed', 20_000],
    ]);
    // The slow half decides the 99th percentile; an average of percentiles would lie between the two.
    expect(merged.endToEnd?.p99Ms).toBeGreaterThan(1_700);
    expect(merged.thresholds[0]).toMatchObject({ metric: 'e2e_latency', ok: false });
    expect(() => parseRunReport(throughJson(merged), 'merged')).not.toThrow();
  });

  it('weighs the charge of a write by how many writes a shard made, and keeps the memory of the largest process', () => {
    const { process, ru } = sampleReport();
    if (process === undefined || ru === undefined) throw new Error('the sample has both');
    const rssSeries = { intervalMs: 1_000, bytes: [1e8, 3e8] };
    const dear = {
      ru: { ...ru, perWrite: 11, operations: { upsert: { count: 30_000, requestCharge: 330_000 } } },
      process: { ...process, rssMaxBytes: 3e8, rssSeries },
    };
    expect(mergeReports([sampleReport(), sampleReport(dear)])).toMatchObject({
      ru: { perWrite: 10 },
      process: { rssMaxBytes: 3e8, rssSeries },
    });
  });

  it('doubts shards that did not run at the same time, and has no rate beyond the busiest second', () => {
    const at = (startedAt: string) => sampleReport({ run: startedAt, startedAt });
    const apart = mergeReports([at('2026-11-23T01:02:03.000Z'), at('2026-11-23T01:05:00.000Z')]);
    expect(apart).toMatchObject({
      valid: false,
      doubts: ['shard 2 began when those before it had ended: the rates and the backlog are those of no run'],
    });
    expect(apart.ru?.perSecond).toBeCloseTo(140_000 / 187.25, 1);
    const together = mergeReports([at('2026-11-23T01:02:03.000Z'), at('2026-11-23T01:02:05.000Z')]);
    expect(together).toMatchObject({ valid: true, doubts: [] });
    expect(together.ru?.perSecond).toBeCloseTo(140_000 / 12.25, 1);
  });

  it('is trusted only when every shard is', () => {
    const merged = mergeReports([sampleReport(), sampleReport({ valid: false, doubts: ['it fell behind'] })]);
    expect(merged).toMatchObject({ valid: false, doubts: ['shard 2: it fell behind'] });
  });
});
