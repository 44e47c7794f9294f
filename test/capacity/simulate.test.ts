import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivalCurve, dueTimes } from '../../src/capacity/arrival-curve.ts';
import { mapLoad } from '../../src/capacity/load-map.ts';
import { simulate } from '../../src/capacity/simulate.ts';
import { OUTAGE_PARTS, type OutagePart } from '../../src/capacity/simulation-model.ts';
import type { StageSummary } from '../../src/metrics/stage-recorder.ts';
import { constant, stages, steps } from '../../src/workload/shape.ts';
import { sampleModel } from './model.ts';

describe('the curve of arrivals', () => {
  it('is the area under the rate', () => {
    const shape = stages([
      { durationMs: 10_000, ratePerSecond: 100 },
      { durationMs: 10_000, ratePerSecond: 100 },
    ]);
    const curve = arrivalCurve({ shape, durationMs: 20_000 }, 1_000);
    expect(curve.cumulative[9]).toBeCloseTo(500, 6);
    expect(curve.cumulative[19]).toBeCloseTo(1_500, 6);
    expect(curve.total).toBeCloseTo(1_500, 6);
  });

  it('ends at the number of events', () => {
    const curve = arrivalCurve({ shape: constant(100), durationMs: 60_000, events: 250 }, 1_000);
    expect([...curve.cumulative.slice(0, 4)]).toEqual([100, 200, 250, 250]);
  });

  it('tells when an event was due', () => {
    const due = dueTimes(arrivalCurve({ shape: constant(100), durationMs: 10_000 }, 1_000), 0.5);
    expect(due(50)).toBeCloseTo(1_000, 6);
    expect(due(75)).toBeCloseTo(1_500, 6);
    expect(due(500)).toBeCloseTo(10_000, 6);
  });
});

describe('a simulated run', () => {
  it('finishes with its load when nothing is short', () => {
    const result = simulate(sampleModel(), 0);
    expect(result).toMatchObject({ events: 10_000, drained: true, drainMs: 0, maxQueuedMs: 0 });
    expect(result.stages.map(({ name, done }) => [name, done])).toEqual([
      ['produce', 10_000],
      ['ingest', 10_000],
      ['feed', 10_000],
      ['cache', 10_000],
    ]);
    const ingest = result.stages[1];
    expect(ingest?.latency.p50Ms).toBeCloseTo(10, 1);
    expect(ingest?.latency.p99Ms).toBeLessThan(60);
  });

  it('takes as long as the request units last: 11 RU an event, 5,500 RU/s, 10,000 events', () => {
    const result = simulate(sampleModel({ ruPerSecond: 5_500 }), 0);
    expect(result.durationMs).toBeGreaterThan(19_000);
    expect(result.durationMs).toBeLessThanOrEqual(20_100);
    expect(result.ru.requestCharge).toBeCloseTo(110_000, -2);
    expect(result.ru.busiestPerSecond).toBeLessThanOrEqual(5_500.1);
    expect(result.ru.throttled).toBeGreaterThan(0);
    expect(result.maxBacklog).toBeGreaterThan(4_500);
    expect(result.maxQueuedMs).toBeGreaterThan(9_000);
  });

  it('makes every event as late as its place in the queue, although a second is spent at its start', () => {
    const { stages } = simulate(sampleModel({ ruPerSecond: 5_500 }), 0);
    // Twice what is provided for: what is due after t could be stored after 2t, and is at the start of that second.
    for (const [share, waitMs] of [
      ['p50Ms', 4_500],
      ['p90Ms', 8_500],
      ['p99Ms', 9_400],
    ] as const)
      expect(Math.abs((stages[1]?.latency[share] ?? 0) - waitMs)).toBeLessThan(250);
  });

  it('has changes wait for the next second where writers use up this one', () => {
    const feedDelayMs = (ruPerSecond: number): number => {
      const { stages } = simulate(sampleModel({ ruPerSecond }), 0);
      return (stages[2]?.latency.p50Ms ?? 0) - (stages[1]?.latency.p50Ms ?? 0);
    };
    expect(feedDelayMs(5_500)).toBeGreaterThan(700);
    expect(feedDelayMs(5_500)).toBeLessThan(1_300);
    expect(feedDelayMs(12_000)).toBeLessThan(10);
  });

  it('keeps the tail of a latency where a step has few events', () => {
    const { stages } = simulate(sampleModel({ rate: 40, durationMs: 100_000 }), 0);
    expect(stages[1]?.latency.p99Ms).toBeGreaterThan(30);
    expect(stages[1]?.latency.p50Ms).toBeCloseTo(10, 0);
  });

  it('keeps the tail of a latency where a lane has less than an event in a step', () => {
    const load = mapLoad({
      keys: 1_000,
      distribution: { kind: 'uniform' },
      hubPartitions: 4,
      physicalPartitions: 40,
    });
    const { stages } = simulate(
      sampleModel({ rate: 10, durationMs: 200_000, physicalPartitions: 40, overrides: { load } }),
      0,
    );
    expect(stages[1]?.latency.p99Ms).toBeGreaterThan(30);
    expect(stages[1]?.latency.p90Ms).toBeGreaterThan(15);
  });

  it('is limited by the hottest physical partition, not by the sum', () => {
    const even = simulate(sampleModel({ ruPerSecond: 11_500 }), 0);
    const hot = simulate(
      sampleModel({
        ruPerSecond: 11_500,
        physicalPartitions: 10,
        overrides: {
          load: mapLoad({
            keys: 1,
            distribution: { kind: 'uniform' },
            hubPartitions: 4,
            physicalPartitions: 10,
          }),
        },
      }),
      0,
    );
    expect(even.drainMs).toBeLessThan(200);
    // All 110,000 RU from one partition of 1,150 RU/s.
    expect(hot.durationMs).toBeGreaterThan(94_000);
    expect(hot.durationMs).toBeLessThan(97_000);
  });

  it('waits at the door of the namespace, and the producer shows it', () => {
    const result = simulate(
      sampleModel({ overrides: { hub: { ingressPerSecond: 500, egressPerSecond: 2_000 } } }),
      0,
    );
    expect(result.durationMs).toBeCloseTo(20_000, -3);
    expect(result.stages[0]?.throttled).toBeGreaterThan(0);
    expect(result.stages[0]?.latency.p99Ms).toBeGreaterThan(8_000);
  });

  it('is slowed down by consumers, by the reader of the feed and by the cache', () => {
    for (const overrides of [
      { ingest: { consumers: 1, capacityPerSecond: 500, maxUnsettled: 50_000 } },
      { feed: { capacityPerSecond: 500, ruPerChange: 1 } },
      { cache: { capacityPerSecond: 500 } },
    ])
      expect(simulate(sampleModel({ overrides }), 0).durationMs).toBeCloseTo(20_000, -3);
  });

  it('holds back a whole hub partition when one of its keys cannot be stored', () => {
    const hot = mapLoad({
      keys: 400,
      distribution: { kind: 'hotspot', keyShare: 0.0025, loadShare: 0.5 },
      hubPartitions: 1,
      physicalPartitions: 8,
    });
    const run = (maxUnsettled: number): number => {
      const model = sampleModel({
        ruPerSecond: 16_000,
        physicalPartitions: 8,
        overrides: { load: hot, ingest: { consumers: 1, capacityPerSecond: 1e6, maxUnsettled } },
      });
      return simulate(model, 0).stages[1]?.latency.p50Ms ?? 0;
    };
    expect(run(200)).toBeGreaterThan(run(1e9) * 2);
  });

  it('gives up on a backlog that does not drain, and says so', () => {
    const model = sampleModel({ rate: 1_000, ruPerSecond: 1_100, overrides: { maxDrainMs: 10_000 } });
    expect(simulate(model, 0)).toMatchObject({ drained: false });
  });

  it('neither loses nor invents events, whatever is short', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 10_000, max: 60_000 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 500 }),
        (rate, ruPerSecond, physicalPartitions, keys) => {
          const model = sampleModel({ rate, durationMs: 3_000, ruPerSecond, physicalPartitions, keys });
          const result = simulate(model, 0);
          expect(result.drained).toBe(true);
          for (const { done, latency } of result.stages)
            expect([done, latency.count]).toEqual([rate * 3, rate * 3]);
          expect(result.ru.requestCharge / (rate * 33)).toBeCloseTo(1, 3);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('has every event sent or not, and through or behind, when the load ends', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.3, max: 2_000, noNaN: true }),
        fc.integer({ min: 400, max: 4_000 }),
        fc.integer({ min: 100, max: 5_000 }),
        fc.integer({ min: 100, max: 5_000 }),
        fc.integer({ min: 1, max: 40 }),
        (rate, ruEach, ingressPerSecond, egressPerSecond, physicalPartitions) => {
          const model = sampleModel({
            rate,
            durationMs: 10_000,
            ruPerSecond: ruEach * physicalPartitions,
            overrides: {
              load: mapLoad({
                keys: 300,
                distribution: { kind: 'zipf', exponent: 1 },
                hubPartitions: 3,
                physicalPartitions,
              }),
              hub: { ingressPerSecond, egressPerSecond },
            },
          });
          const store = { ...model.store, physicalPartitions };
          const atEnd = simulate({ ...model, store, maxDrainMs: 0 }, 0);
          const [produce, ingest, , cache] = atEnd.stages as StageSummary[];
          const { unsent, behind } = atEnd.atEnd;
          const near = (count: number, expected: number) =>
            expect(Math.abs(count - expected)).toBeLessThanOrEqual(2);
          near((produce?.done ?? 0) + unsent, rate * 10);
          near((cache?.done ?? 0) + behind + unsent, rate * 10);
          expect(ingest?.offered).toBeLessThanOrEqual((produce?.done ?? 0) + 1);
          const drained = simulate({ ...model, store }, 0);
          expect(drained.drained).toBe(true);
          for (const { done, latency } of drained.stages) {
            near(done, rate * 10);
            near(latency.count, done);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('ends with the last event, not with the last millionth', () => {
    // In the last step but one of what an outage left, 300 of 600,000,000 events are not in the cache.
    const { stages } = simulate(
      sampleModel({
        rate: 1e6,
        durationMs: 600_000,
        overrides: {
          cache: { capacityPerSecond: 999_700 },
          outages: [{ part: 'feed', startMs: 599_000, durationMs: 1_000 }],
        },
      }),
      0,
    );
    expect(stages.map(({ done }) => done)).toEqual([6e8, 6e8, 6e8, 6e8]);
  });

  it('knows the busiest second of each hour, and no hour after the schedule', () => {
    const shape = steps([
      { durationMs: 3_600_000, ratePerSecond: 100 },
      { durationMs: 3_600_000, ratePerSecond: 20 },
    ]);
    const schedule = { shape, durationMs: 7_200_000 };
    const enough = simulate(sampleModel({ overrides: { schedule } }), 0);
    expect(enough.hourPeaksRu.map(Math.round)).toEqual([1_100, 220]);
    // 600 RU/s of 1,100: the rest of the first hour is stored in the second, and a little behind the end.
    const short = simulate(sampleModel({ ruPerSecond: 600, overrides: { schedule } }), 0);
    expect(short.drainMs).toBeGreaterThan(0);
    expect(short.hourPeaksRu.map(Math.round)).toEqual([600, 600]);
  });

  it('stands still where a part is down, and is behind by what arrived meanwhile', () => {
    const down = (part: OutagePart) =>
      simulate(
        sampleModel({
          durationMs: 60_000,
          ruPerSecond: 22_000,
          overrides: { outages: [{ part, startMs: 10_050, durationMs: 20_000 }] },
        }),
        0,
      );
    for (const part of OUTAGE_PARTS) {
      const result = down(part);
      expect([part, result.drained, result.drainMs]).toEqual([part, true, 0]);
      expect(result.maxBacklog / 20_000).toBeCloseTo(1, 1);
      // Writers that catch up may leave changes to the next second's request units.
      expect(result.maxQueuedMs).toBeGreaterThan(19_500);
      expect(result.maxQueuedMs).toBeLessThan(21_000);
    }
    const done = (part: OutagePart, stage: number) => {
      const { series } = down(part).stages[stage] as StageSummary;
      return series.done.slice(11, 30).reduce((sum, count) => sum + count, 0);
    };
    expect([done('event-hubs', 0), done('event-hubs', 1)]).toEqual([0, 0]);
    expect([done('ingest', 0), done('ingest', 1)]).toEqual([19_000, 0]);
    expect([done('cosmos', 0), done('cosmos', 1), done('cosmos', 2)]).toEqual([19_000, 0, 0]);
    expect([done('feed', 1), done('feed', 2)]).toEqual([19_000, 0]);
  });

  it('leaves to the pipeline what reads from outside do not take', () => {
    const model = sampleModel({ ruPerSecond: 10_000 });
    const result = simulate({ ...model, store: { ...model.store, readRuPerSecond: 4_500 } }, 0);
    // 110,000 RU at 5,500 RU/s.
    expect(result.durationMs).toBeGreaterThan(19_000);
    expect(result.durationMs).toBeLessThanOrEqual(20_100);
    expect((result.ru.operations.read?.requestCharge ?? 0) / (result.durationMs * 4.5)).toBeCloseTo(1, 1);
    expect(result.ru.busiestPerSecond).toBeLessThanOrEqual(10_000.1);
  });

  it('counts the wait for the cache as lag', () => {
    const result = simulate(sampleModel({ overrides: { cache: { capacityPerSecond: 500 } } }), 0);
    expect(result.maxQueuedMs).toBeGreaterThan(9_000);
  });

  it('keeps within what it is given, with every event either through or behind', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3_000 }),
        fc.integer({ min: 1_000, max: 40_000 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom(...OUTAGE_PARTS),
        fc.integer({ min: 0, max: 3_000 }),
        fc.integer({ min: 1, max: 9_000 }),
        (rate, ruPerSecond, physicalPartitions, part, startMs, outageMs) => {
          const model = sampleModel({
            rate,
            durationMs: 4_000,
            ruPerSecond,
            physicalPartitions,
            overrides: { outages: [{ part, startMs, durationMs: outageMs }], maxDrainMs: 3_000 },
          });
          const result = simulate(model, 0);
          const through = result.stages.map(({ done }) => done);
          // Half an event on its way may count as a whole one of the stage that it comes to.
          for (const [stage, done] of through.entries())
            expect(done).toBeLessThanOrEqual(stage === 0 ? rate * 4 : (through[stage - 1] as number) + 1);
          if (result.drained) expect(through.at(-1)).toBe(rate * 4);
          else expect(result.maxBacklog).toBeGreaterThan(0);
          expect(result.ru.busiestPerSecond).toBeLessThanOrEqual(ruPerSecond * 1.0001);
          expect(result.maxQueuedMs).toBeGreaterThanOrEqual(0);
          expect(result.drainMs).toBeGreaterThanOrEqual(0);
          expect(result.maxBacklog).toBeLessThanOrEqual(rate * 4);
          expect(result.maxBacklog).toBeGreaterThanOrEqual(rate * 4 - (through.at(-1) as number) - 1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does a day at a million events a second in a few thousand steps', () => {
    const model = sampleModel({
      rate: 1_000_000,
      durationMs: 86_400_000,
      ruPerSecond: 12_000_000,
      physicalPartitions: 1_200,
      keys: 10_000,
    });
    const result = simulate(model, 0);
    expect(result.events).toBe(86_400_000_000);
    expect(result.stepMs).toBe(8_000);
  });
});
