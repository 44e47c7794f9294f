import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type FindMaxOptions, findMaxRate } from '../../../src/pipeline/bench/find-max.ts';

/** A pipeline that takes what `holds` says, and the rates it was tried at. */
function search(holds: (rate: number, attempt: number) => boolean, options: Partial<FindMaxOptions> = {}) {
  const tried: number[] = [];
  const result = findMaxRate({
    startPerSecond: 1_000,
    precision: 0.05,
    confirmations: 3,
    maxTrials: 40,
    signal: new AbortController().signal,
    async trial(ratePerSecond) {
      const attempt = tried.filter((rate) => rate === ratePerSecond).length + 1;
      tried.push(ratePerSecond);
      const held = holds(ratePerSecond, attempt);
      return held ? { ratePerSecond, held } : { ratePerSecond, held, reason: 'ingest was behind' };
    },
    ...options,
  });
  return { result, tried };
}

it('finds the limit within its precision from above and below, and confirms it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 100, max: 1_000_000 }), async (limit) => {
      const found = await search((rate) => rate <= limit).result;
      expect(found).toMatchObject({ complete: true, held: 3, runs: 3, failedReason: 'ingest was behind' });
      expect(found.ratePerSecond).toBeLessThanOrEqual(limit);
      expect(found.failedPerSecond).toBeGreaterThan(limit);
      expect(found.ratePerSecond).toBeGreaterThanOrEqual((found.failedPerSecond as number) * 0.95 - 1);
    }),
  );
});

it('tries again what failed once, so that a busy moment is no limit', async () => {
  const { result, tried } = search((rate, attempt) => rate <= 6_400 && (rate !== 4_000 || attempt > 1));
  const found = await result;
  expect(found.ratePerSecond).toBeGreaterThan(6_000);
  expect(tried.slice(0, 6)).toEqual([1_000, 2_000, 4_000, 4_000, 4_000, 8_000]);
  expect(found).toMatchObject({ complete: true, failedRuns: 2 });
  // Once it failed at 4,000, so only what is below never did.
  expect(found.range).toEqual({ fromPerSecond: 2_000, toPerSecond: found.failedPerSecond });
});

it('says that the generator was the limit only when it was every time', async () => {
  const limited = (always: boolean) => {
    let attempts = 0;
    return search(() => true, {
      async trial(ratePerSecond) {
        attempts += 1;
        const held = ratePerSecond <= 1_000;
        return { ratePerSecond, held, generatorLimited: !held && (always || attempts % 2 === 0) };
      },
    }).result;
  };
  expect(await limited(true)).toMatchObject({ generatorLimited: true, ratePerSecond: 1_000 });
  expect(await limited(false)).toMatchObject({ generatorLimited: false });
});

it('takes a run whose generator failed for no word on the rate, unless it goes on failing', async () => {
  const starved = (times: number) => {
    const attempts = new Map<number, number>();
    return search(() => true, {
      async trial(ratePerSecond) {
        const attempt = (attempts.get(ratePerSecond) ?? 0) + 1;
        attempts.set(ratePerSecond, attempt);
        if (ratePerSecond === 4_000 && attempt <= times)
          return { ratePerSecond, held: false, reason: 'late', generatorLimited: true };
        return { ratePerSecond, held: ratePerSecond <= 6_400, reason: 'ingest was behind' };
      },
    }).result;
  };
  const busy = await starved(3);
  expect(busy).toMatchObject({ complete: true, generatorLimited: false, failedReason: 'ingest was behind' });
  expect(busy.ratePerSecond).toBeGreaterThan(6_000);
  expect(busy.range.fromPerSecond).toBe(busy.ratePerSecond);
  const hopeless = await starved(4);
  expect(hopeless).toMatchObject({ generatorLimited: true, failedPerSecond: 4_000, failedRuns: 4 });
});

it('reports a lower rate when the one it found does not hold again', async () => {
  const { result } = search((rate, attempt) => rate <= 2_000 || (rate <= 3_000 && attempt < 2), {
    maxTrials: 80,
  });
  const found = await result;
  expect(found.complete).toBe(true);
  expect(found.ratePerSecond).toBeLessThanOrEqual(2_000);
  expect(found.held).toBe(3);
});

it('says so when nothing holds, and when it runs out of trials', async () => {
  const hopeless = search(() => false);
  expect(await hopeless.result).toMatchObject({ ratePerSecond: 0, held: 0, complete: false });
  expect(hopeless.tried.length).toBeLessThan(14);
  expect(await search(() => true, { maxTrials: 4 }).result).toMatchObject({
    ratePerSecond: 8_000,
    complete: false,
    runs: 1,
  });
});

it('stops when asked to', async () => {
  const stop = new AbortController();
  const { result, tried } = search(
    () => {
      stop.abort();
      return true;
    },
    { signal: stop.signal },
  );
  // The run that was going on when it was asked to was cut short, and counts for nothing.
  expect(await result).toMatchObject({ ratePerSecond: 0, complete: false, trials: [] });
  expect(tried).toEqual([1_000]);
});
