import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areaOf, intervalArrivals, limitArrivals, shapedArrivals } from '../../src/workload/arrivals.ts';
import {
  bursts,
  constant,
  limitTo,
  parseShape,
  parseStages,
  type Shape,
  sawtooth,
  sequence,
  sine,
  spike,
  stages,
  steps,
} from '../../src/workload/shape.ts';

const rate = fc.integer({ min: 0, max: 2_000 });
const ms = fc.integer({ min: 1, max: 5_000 });
const stage = fc.record({ durationMs: ms, ratePerSecond: rate });

/** Any shape the notation can make, cut to at most five seconds. */
const anyShape: fc.Arbitrary<Shape> = fc
  .oneof(
    rate.map((perSecond) => constant(perSecond)),
    fc.array(stage, { minLength: 1, maxLength: 4 }).map((list) => stages(list)),
    fc.array(stage, { minLength: 1, maxLength: 4 }).map((list) => steps(list)),
    fc.tuple(rate, rate, ms, ms).map(([base, peak, at, width]) => spike(base, peak, at, width)),
    fc
      .tuple(rate, rate, ms)
      .map(([low, high, period]) => sine(Math.min(low, high), Math.max(low, high), period)),
    fc.tuple(rate, rate, ms).map(([low, high, period]) => sawtooth(low, high, period)),
    fc.tuple(rate, ms, ms).map(([on, onMs, offMs]) => bursts(on, onMs, offMs)),
  )
  .map((shape) => limitTo(shape, 5_000));

function timesOf(shape: Shape, spacing: 'even' | 'poisson' = 'even', seed = 1): number[] {
  const arrivals = shapedArrivals(shape, spacing, seed);
  const times: number[] = [];
  while (arrivals.next()) times.push(arrivals.offsetMs);
  return times;
}

const areaUnder = (shape: Shape): number => [...shape()].reduce((sum, part) => sum + areaOf(part), 0);

describe('arrivals', () => {
  it('are as many as the area under any shape says', () => {
    fc.assert(
      fc.property(anyShape, (shape) => {
        const area = areaUnder(shape);
        expect(Math.abs(timesOf(shape).length - area)).toBeLessThanOrEqual(1 + area * 1e-9);
      }),
      { numRuns: 60 },
    );
  });

  it('are as many up to any moment as the area up to it says', () => {
    fc.assert(
      fc.property(anyShape, fc.integer({ min: 1, max: 5_000 }), (shape, untilMs) => {
        const area = areaUnder(limitTo(shape, untilMs));
        const count = timesOf(shape).filter((time) => time < untilMs).length;
        expect(Math.abs(count - area)).toBeLessThanOrEqual(1 + 1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it('never go back in time', () => {
    fc.assert(
      fc.property(anyShape, fc.constantFrom('even' as const, 'poisson' as const), (shape, spacing) => {
        const times = timesOf(shape, spacing);
        expect(times.every((time, index) => index === 0 || time >= (times[index - 1] as number))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('of a Poisson process have the right mean and variance', () => {
    const counts = Array.from(
      { length: 400 },
      (_, seed) => timesOf(constant(100, 1_000), 'poisson', seed).length,
    );
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
    // Standard errors: of the mean sqrt(100/400) = 0.5, of the variance 100 sqrt(2/400) = 7.
    expect(Math.abs(mean - 100)).toBeLessThan(2.5);
    expect(Math.abs(variance - 100)).toBeLessThan(35);
  });

  it('are the same for the same seed and others for another', () => {
    const shape = sine(10, 500, 1_000);
    const first = timesOf(limitTo(shape, 2_000), 'poisson', 7);
    expect(timesOf(limitTo(shape, 2_000), 'poisson', 7)).toEqual(first);
    expect(timesOf(limitTo(shape, 2_000), 'poisson', 8)).not.toEqual(first);
  });

  it('stop at the count or the duration, whichever comes first', () => {
    const count = (events: number, durationMs: number): number => {
      const arrivals = limitArrivals(shapedArrivals(constant(1_000), 'even', 1), events, durationMs);
      let seen = 0;
      while (arrivals.next()) seen += 1;
      return seen;
    };
    expect(count(10, Number.POSITIVE_INFINITY)).toBe(10);
    expect(count(Number.POSITIVE_INFINITY, 50)).toBe(50);
    expect(count(10, 5)).toBe(5);
  });

  it('of per-key intervals come from every key at its own interval', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 10, max: 500 }), { minLength: 1, maxLength: 4 }),
        (keys, intervals) => {
          const arrivals = limitArrivals(
            intervalArrivals(keys, intervals, 3),
            Number.POSITIVE_INFINITY,
            2_000,
          );
          const last = new Map<number, number>();
          let nowMs = 0;
          while (arrivals.next()) {
            const { keyIndex, offsetMs } = arrivals;
            expect(offsetMs).toBeGreaterThanOrEqual(nowMs);
            nowMs = offsetMs;
            const before = last.get(keyIndex);
            const interval = intervals[keyIndex % intervals.length] as number;
            if (before === undefined) expect(offsetMs).toBeLessThan(interval);
            else expect(offsetMs - before).toBeCloseTo(interval, 6);
            last.set(keyIndex, offsetMs);
          }
          expect(last.size).toBe(keys);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('shape notation', () => {
  it('reads ramps', () => {
    expect(parseStages('30s:1000/s, 2m:5000/s')).toEqual([
      { durationMs: 30_000, ratePerSecond: 1_000 },
      { durationMs: 120_000, ratePerSecond: 5_000 },
    ]);
  });

  it('reads every call, and joins calls with +', () => {
    const parsed = parseShape('steps(1s:10/s) + bursts(100/s,1s,1s) for 2s + spike(1/s,9/s,1s,1s) for 3s');
    const byHand = sequence([
      steps([{ durationMs: 1_000, ratePerSecond: 10 }]),
      limitTo(bursts(100, 1_000, 1_000), 2_000),
      limitTo(spike(1, 9, 1_000, 1_000), 3_000),
    ]);
    expect([...parsed()]).toEqual([...byHand()]);
    for (const call of ['constant(5/s)', 'sine(1/s,9/s,1m)', 'sawtooth(0/s,9/s,1m)', 'stages(1s:5/s)'])
      expect(() => parseShape(call)).not.toThrow();
  });

  it.each(['', 'square(1/s)', 'sine(1/s)', 'constant(5/s', 'bursts(100/s,1s,1s) for'])(
    'refuses %j with an example',
    (text) => {
      expect(() => parseShape(text)).toThrow(/expected constant\(500\/s\)/);
    },
  );
});
