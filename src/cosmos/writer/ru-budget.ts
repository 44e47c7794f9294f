/** A share of the request units of one physical partition, spent in advance and corrected by what was really charged. */
export interface RangeBudget {
  /** When the next request may be sent: `now` or later. */
  readyAt(now: number): number;
  /** Operations that one request may carry, at least 1. */
  allowance(): number;
  /** `operations` leave: takes their expected charge. Returns what was taken. */
  spend(operations: number): number;
  /** The answer to a request came: gives back what was expected and takes what was charged. */
  settle(expected: number, charged: number, stored: number, now: number): void;
  /** The provisioned throughput or the number of physical partitions changed. */
  setShare(ruPerSecond: number, now: number): void;
}

/** Most that can be saved up: longer pauses of the process are not made up for by a burst that the service would refuse. */
const SAVED_SECONDS = 0.25;
/** Largest part of a second's budget in one request, so that one batch does not eat several seconds of a small budget. */
const REQUEST_SECONDS = 0.1;
/** First guess for a 1 KB write with default indexing (facts: Microsoft's table, 5 to 13 RU); corrected by the first answer. */
const FIRST_GUESS_RU = 8;

/**
 * A token bucket that may go into debt: whoever finds it above zero sends a request and pays what it cost, and the next one
 * waits until the debt is gone. So the average is exact although charges are known only afterwards.
 */
export function createRangeBudget(ruPerSecond: number, now: number): RangeBudget {
  let share = ruPerSecond;
  let level = share * REQUEST_SECONDS;
  let filledAt = now;
  let perOperation = FIRST_GUESS_RU;
  const fill = (time: number): void => {
    level = Math.min(share * SAVED_SECONDS, level + (share * (time - filledAt)) / 1000);
    filledAt = time;
  };
  return {
    readyAt(time) {
      fill(time);
      // A millisecond beyond zero, so that rounding never leaves the bucket a hair below it.
      return level > 0 ? time : time + (-level / share) * 1000 + 1;
    },
    allowance: () => Math.max(1, Math.floor((share * REQUEST_SECONDS) / perOperation)),
    spend(operations) {
      const expected = operations * perOperation;
      level -= expected;
      return expected;
    },
    settle(expected, charged, stored, time) {
      fill(time);
      level += expected - charged;
      if (stored > 0) perOperation += (charged / stored - perOperation) * 0.2;
    },
    setShare(next, time) {
      fill(time);
      share = next;
    },
  };
}

/** Request units per second that a writer may use: an amount, or a part of what is provisioned. */
export type RuBudget = { readonly ruPerSecond: number } | { readonly fraction: number };

/** Parses `4000` or `40%`. Throws a RangeError that shows the expected form. */
export function parseRuBudget(text: string): RuBudget {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.replaceAll(/[,_]/g, ''));
  const value = Number(match?.[1]);
  if (match === null || !(value > 0) || (match[2] === '%' && value > 100))
    throw new RangeError(`invalid RU budget "${text}", expected RU/s such as 4000, or a share such as 40%`);
  return match[2] === '%' ? { fraction: value / 100 } : { ruPerSecond: value };
}
