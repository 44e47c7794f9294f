import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AttemptResult,
  createPushSubscription,
  type PendingEvent,
  type PushOptions,
  resultOf,
} from '../../../src/local/event-grid/push-subscription.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

interface Run {
  /** Times of the attempts of each event, milliseconds after it was published. */
  readonly attempts: Map<number, number[]>;
  readonly settled: Map<number, string>;
  readonly batches: number[][];
}

/** Publishes `count` events at once and runs until all are settled. */
async function run(
  count: number,
  answer: (attempt: number, event: number) => AttemptResult,
  options: Partial<PushOptions> = {},
  bytes = 10,
): Promise<Run> {
  const clock = createVirtualClock();
  const result: Run = { attempts: new Map(), settled: new Map(), batches: [] };
  const subscription = createPushSubscription({
    clock,
    random: seededRandom(7),
    maxDeliveryAttempts: 30,
    eventTimeToLiveMs: DAY_MS,
    maxEventsPerBatch: 1,
    preferredBatchBytes: 65_536,
    maxConcurrency: 1000,
    async attempt(batch) {
      result.batches.push(batch.map(({ index }) => index));
      for (const { index } of batch)
        result.attempts.set(index, [...(result.attempts.get(index) ?? []), clock.now()]);
      return answer(batch[0]!.attempts, batch[0]!.index);
    },
    attempted: () => {},
    settled: ({ index }, reason) => result.settled.set(index, reason ?? 'delivered'),
    ...options,
  });
  for (let index = 0; index < count; index++) subscription.add(pending(index, bytes));
  subscription.start();
  await clock.runUntil(() => result.settled.size === count, 10 * DAY_MS);
  expect(subscription.backlog).toBe(0);
  expect(subscription.backlogBytes).toBe(0);
  return result;
}

function pending(index: number, bytes: number): PendingEvent {
  return {
    publishId: 1,
    index,
    event: {},
    json: 'x'.repeat(bytes),
    publishedMs: 0,
    publishedAt: 0,
    attempts: 0,
    dueAt: 0,
    lastOutcome: '',
    lastAttemptMs: 0,
  };
}

const status = (code: number): AttemptResult => resultOf({ status: code });
const waits = (times: readonly number[]): number[] => times.slice(1).map((at, index) => at - times[index]!);

describe('the retry schedule', () => {
  it('waits 10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h, then 12 h, each up to a tenth more, for a day', async () => {
    const { attempts, settled } = await run(1, () => status(500));
    const documented = [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200].map(
      (seconds) => seconds * 1000,
    );
    const measured = waits(attempts.get(0)!);
    expect(measured.length).toBeGreaterThanOrEqual(9);
    for (const [index, wait] of measured.entries()) {
      expect(wait).toBeGreaterThanOrEqual(documented[index]!);
      expect(wait).toBeLessThanOrEqual(documented[index]! * 1.1 + 1);
    }
    expect(settled.get(0)).toBe('TimeToLiveExceeded');
  });

  it.each([
    [404, 300_000],
    [408, 120_000],
    [503, 30_000],
    [429, 10_000],
    [500, 10_000],
  ])('waits at least what a %i asks for', async (code, least) => {
    const { attempts } = await run(1, (attempt) => status(attempt === 1 ? code : 200));
    const [wait = 0] = waits(attempts.get(0)!);
    expect(wait).toBeGreaterThanOrEqual(least);
    expect(wait).toBeLessThanOrEqual(least * 1.1 + 1);
  });

  it.each([
    [400, 'BadRequest'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [413, 'PayloadTooLarge'],
  ])('gives up at once on %i', async (code, reason) => {
    const { attempts, settled } = await run(1, () => status(code));
    expect(attempts.get(0)).toHaveLength(1);
    expect(settled.get(0)).toBe(reason);
  });

  it.each([200, 201, 202, 203, 204])('takes %i for success', async (code) => {
    expect((await run(1, () => status(code))).settled.get(0)).toBe('delivered');
  });

  it.each([205, 206, 301, 404, 500])('does not take %i for success', async (code) => {
    const { attempts } = await run(1, (attempt) => status(attempt === 1 ? code : 200));
    expect(attempts.get(0)).toHaveLength(2);
  });

  it('ends after the attempts that the policy allows', async () => {
    const { attempts, settled } = await run(1, () => status(500), { maxDeliveryAttempts: 3 });
    expect(attempts.get(0)).toHaveLength(3);
    expect(settled.get(0)).toBe('MaxDeliveryAttemptsExceeded');
  });

  it('looks at the time to live at the next attempt only', async () => {
    const { attempts, settled } = await run(1, () => status(500), { eventTimeToLiveMs: 60_000 });
    // 0 s, 10 s, 40 s; the fourth would be at 100 s.
    expect(attempts.get(0)).toHaveLength(3);
    expect(settled.get(0)).toBe('TimeToLiveExceeded');
  });

  it('settles every event exactly once under random failures, its waits as documented', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        async (seed, failing) => {
          const random = seededRandom(seed);
          const codes = [500, 503, 404, 408, 429, 400];
          const result = await run(20, () => status(random.next() < failing ? codes[random.below(6)]! : 200));
          expect(result.settled.size).toBe(20);
          for (const [index, times] of result.attempts) {
            expect(waits(times).every((wait) => wait >= 10_000)).toBe(true);
            expect(times.at(-1)).toBeLessThanOrEqual(DAY_MS + 12 * HOUR_MS * 1.1);
            if (result.settled.get(index) === 'BadRequest') expect(times.length).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('probation', () => {
  it('leaves an endpoint alone that failed ten times in a row, and goes on when it answers', async () => {
    let healthy = false;
    const clock = createVirtualClock();
    const times: number[] = [];
    let settledCount = 0;
    const subscription = createPushSubscription({
      clock,
      random: seededRandom(1),
      maxDeliveryAttempts: 30,
      eventTimeToLiveMs: DAY_MS,
      maxEventsPerBatch: 1,
      preferredBatchBytes: 1000,
      maxConcurrency: 1,
      async attempt() {
        times.push(clock.now());
        if (times.length === 12) healthy = true;
        return healthy ? status(200) : resultOf('SocketError');
      },
      attempted: () => {},
      settled: () => {
        settledCount += 1;
      },
    });
    for (let index = 0; index < 11; index++) subscription.add(pending(index, 10));
    subscription.start();
    await clock.runUntil(() => settledCount === 11);
    expect(times.slice(0, 10)).toEqual(Array(10).fill(0));
    expect(times[10]).toBe(30_000);
  });
});

describe('batches', () => {
  it('never exceed the number of events', async () => {
    const { batches } = await run(10, () => status(200), { maxEventsPerBatch: 4 });
    expect(batches).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
  });

  it('never exceed the preferred size, unless one event does so alone', async () => {
    const options = { maxEventsPerBatch: 100, preferredBatchBytes: 25 };
    expect((await run(5, () => status(200), options)).batches).toEqual([[0, 1], [2, 3], [4]]);
    expect((await run(2, () => status(200), options, 100)).batches).toEqual([[0], [1]]);
  });

  it('fail whole', async () => {
    const { attempts } = await run(3, (attempt) => status(attempt === 1 ? 500 : 200), {
      maxEventsPerBatch: 3,
    });
    expect([...attempts.values()].map((times) => times.length)).toEqual([2, 2, 2]);
  });
});

it('settles what was delivered while stopping, and starts nothing more', async () => {
  const clock = createVirtualClock();
  const settled: number[] = [];
  let answer: (result: AttemptResult) => void = () => {};
  const subscription = createPushSubscription({
    clock,
    random: seededRandom(1),
    maxDeliveryAttempts: 30,
    eventTimeToLiveMs: DAY_MS,
    maxEventsPerBatch: 1,
    preferredBatchBytes: 1000,
    maxConcurrency: 1,
    attempt: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
    attempted: () => {},
    settled: ({ index }) => settled.push(index),
  });
  subscription.add(pending(0, 10));
  subscription.add(pending(1, 10));
  subscription.start();
  const stopped = subscription.stop();
  answer(status(200));
  await stopped;
  expect(settled).toEqual([0]);
  expect(subscription.backlog).toBe(1);
});
