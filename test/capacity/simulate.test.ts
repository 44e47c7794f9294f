import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivalCurve, dueTimes } from '../../src/capacity/arrival-curve.ts';
import { mapLoad } from '../../src/capacity/load-map.ts';
import { simulate } from '../../src/capacity/simulate.ts';
import { constant, stages } from '../../src/workload/shape.ts';
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

  it('bills the busiest second of each hour', () => {
    const shape = stages(
      [
        { durationMs: 3_600_000, ratePerSecond: 100 },
        { durationMs: 3_600_000, ratePerSecond: 0 },
      ],
      100,
    );
    const result = simulate(sampleModel({ overrides: { schedule: { shape, durationMs: 7_200_000 } } }), 0);
    expect(result.hourlyPeakRu).toBeGreaterThan(1_090);
    expect(result.hourlyPeakRu).toBeLessThan(1_101);
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
