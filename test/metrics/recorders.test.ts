import { describe, expect, it } from 'vitest';
import { mergeRuSummaries, mergeStageSummaries } from '../../src/metrics/merge.ts';
import { createRuRecorder } from '../../src/metrics/ru-recorder.ts';
import { createStageRecorder } from '../../src/metrics/stage-recorder.ts';
import type { Clock } from '../../src/util/clock.ts';

interface ManualClock extends Clock {
  ms: number;
}

function manualClock(epochMs = 1_000_000): ManualClock {
  return {
    ms: 0,
    now() {
      return this.ms;
    },
    epochMicros() {
      return (epochMs + this.ms) * 1000;
    },
    sleep: () => Promise.resolve(),
  };
}

describe('the stage recorder', () => {
  it('counts work, sizes, errors by kind, throttles and the high-water mark', () => {
    const stage = createStageRecorder('ingest', { clock: manualClock() });
    stage.offered(10);
    stage.done(7, 7_000);
    stage.failed('413', 2);
    stage.failed('408', 1);
    stage.throttled(4);
    stage.inFlight(9);
    stage.inFlight(3);
    expect(stage.summary()).toMatchObject({
      name: 'ingest',
      offered: 10,
      done: 7,
      sizeBytes: 7_000,
      failed: 3,
      errors: { 413: 2, 408: 1 },
      throttled: 4,
      inFlightMax: 9,
    });
    expect(stage.snapshot()).toMatchObject({ inFlight: 3, done: 7 });
  });

  it('gives rates between the first and the last work, and one value per second', () => {
    const clock = manualClock();
    const stage = createStageRecorder('produce', { clock });
    for (let second = 0; second < 5; second += 1) {
      clock.ms = 3_000 + second * 1_000;
      stage.offered(100);
      stage.latency(1_000 * (second + 1), 100);
      stage.done(100, 0);
    }
    const summary = stage.summary();
    expect(summary.activeMs).toBe(4_000);
    expect(summary.donePerSecond).toBe(125);
    expect(summary.series.done).toEqual([0, 0, 0, 100, 100, 100, 100, 100]);
    expect(summary.latency.count).toBe(500);
    expect(summary.series.latencyP99Ms.slice(3)).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes a poll that brought nothing for no work, and a few events at once for no rate', () => {
    const clock = manualClock();
    const stage = createStageRecorder('feed', { clock });
    stage.offered(0);
    clock.ms = 1_500;
    for (; clock.ms < 3_500; clock.ms += 500) {
      stage.offered(50);
      stage.done(50, 0);
    }
    clock.ms = 9_000;
    stage.offered(0);
    stage.done(0, 0);
    expect(stage.summary()).toMatchObject({ activeMs: 1_500, done: 200, donePerSecond: 200 / 1.5 });
    const short = createStageRecorder('produce', { clock });
    short.offered(3);
    clock.ms += 0.05;
    short.done(3, 0);
    expect(short.summary()).toMatchObject({ activeMs: expect.closeTo(0.05), donePerSecond: 3 });
    expect(mergeStageSummaries([short.summary(), short.summary()])).toMatchObject({ donePerSecond: 6 });
  });

  it('gives a latency to the second in which it was measured, however few there are', () => {
    const clock = manualClock();
    const stage = createStageRecorder('feed', { clock });
    for (const [ms, micros] of [
      [200, 1_000],
      [5_300, 2_000],
      [7_900, 3_000],
    ] as const) {
      clock.ms = ms;
      stage.latency(micros);
      stage.done(1, 0);
    }
    expect(stage.summary().series.latencyP99Ms).toEqual([1, 0, 0, 0, 0, 2, 0, 3]);
  });

  it('keeps its memory bounded over a week and loses no count', () => {
    const clock = manualClock();
    const stage = createStageRecorder('produce', { clock });
    const minutes = 7 * 24 * 60;
    for (let minute = 0; minute < minutes; minute += 1) {
      clock.ms = minute * 60_000;
      stage.done(1, 1);
    }
    const { series } = stage.summary();
    expect(series.done.length).toBeLessThanOrEqual(3_600);
    expect(series.done.reduce((sum, value) => sum + value, 0)).toBe(minutes);
    expect(series.intervalMs).toBe(256_000);
  });

  it('adds shards that began at different seconds on one axis', () => {
    const clocks = [manualClock(1_000_000), manualClock(1_002_000)];
    const parts = clocks.map((clock) => {
      const stage = createStageRecorder('produce', { clock });
      for (clock.ms = 0; clock.ms < 3_000; clock.ms += 1_000) {
        stage.offered(5);
        stage.done(5, 50);
        stage.latency(2_000, 5);
      }
      return stage.summary();
    });
    const merged = mergeStageSummaries(parts);
    expect(merged).toMatchObject({ offered: 30, done: 30, sizeBytes: 300, activeMs: 4_000 });
    expect(merged.series.done).toEqual([5, 5, 10, 5, 5]);
    expect(merged.latency.count).toBe(30);
  });
});

describe('the RU recorder', () => {
  it('adds charges by operation, and by range and second', () => {
    const clock = manualClock();
    const ru = createRuRecorder({ clock });
    ru.charge('upsert', '0', 6.95, 1);
    clock.ms = 1_500;
    ru.charge('upsert', '1', 13.9, 2);
    ru.charge('changeFeed', '1', 1);
    ru.throttled('1', 3);
    expect(ru.summary()).toMatchObject({
      requestCharge: 21.85,
      throttled: 3,
      perSecond: 14.57,
      busiestPerSecond: 14.9,
      operations: { upsert: { count: 3, requestCharge: 20.85 }, changeFeed: { count: 1, requestCharge: 1 } },
      ranges: {
        0: { requestCharge: 6.95, throttled: 0, requestChargeSeries: [6.95, 0] },
        1: { requestCharge: 14.9, throttled: 3, throttledSeries: [0, 3] },
      },
    });
  });

  it('calls a single charge no rate beyond itself', () => {
    const ru = createRuRecorder({ clock: manualClock() });
    ru.charge('upsert', '0', 10);
    expect(ru.summary()).toMatchObject({ perSecond: 10, busiestPerSecond: 10 });
  });

  it('merges by operation, range and second', () => {
    const clocks = [manualClock(1_000_000), manualClock(1_001_000)];
    const merged = mergeRuSummaries(
      clocks.map((clock, index) => {
        const ru = createRuRecorder({ clock });
        ru.charge('upsert', '0', 5);
        ru.charge('upsert', String(index + 1), 2);
        return ru.summary();
      }),
    );
    expect(merged.requestCharge).toBe(14);
    expect(merged.operations.upsert).toEqual({ count: 4, requestCharge: 14 });
    expect(merged.ranges).toMatchObject({
      0: { requestChargeSeries: [5, 5] },
      2: { requestChargeSeries: [0, 2] },
    });
    expect(merged.busiestPerSecond).toBe(7);
  });
});
