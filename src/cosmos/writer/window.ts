/**
 * How much of one range may be on the wire at once: so many requests of so many operations, found by additive increase and
 * multiplicative decrease.
 */
export interface Window {
  /** Whole requests allowed now, at least 1. */
  readonly requests: number;
  /** Operations in one request, at least 1. */
  readonly operations: number;
  /** A request that used the window fully came back clean. */
  widen(startedAt: number, endedAt: number): void;
  /** The service pushed back on a request that was started at `startedAt`, after storing `stored` of its operations. */
  narrow(startedAt: number, endedAt: number, stored: number): void;
}

export interface WindowLimits {
  readonly maxRequests: number;
  readonly maxOperations: number;
}

const FIRST_REQUESTS = 2;
/** More in flight only helps while answers do not get slower; beyond this multiple of the best time they just queue. */
const SLOW_FACTOR = 3;

/**
 * AIMD per partition key range as the .NET bulk executor does it, with three differences. A burst of push-back halves the
 * window once: what was sent before the last decrease says nothing new. A range that answers slower than
 * {@link SLOW_FACTOR} times its best does not get more, because a queue at the server costs latency and buys nothing. And
 * requests shrink to what the service took, then double again: a throttled range is not sent 100 operations to hear that
 * there was room for 5.
 */
export function createWindow({ maxRequests, maxOperations }: WindowLimits): Window {
  let requests = Math.min(FIRST_REQUESTS, maxRequests);
  let operations = maxOperations;
  let narrowedAt = Number.NEGATIVE_INFINITY;
  let bestMs = Number.POSITIVE_INFINITY;
  return {
    get requests() {
      return Math.floor(requests);
    },
    get operations() {
      return operations;
    },
    widen(startedAt, endedAt) {
      if (operations < maxOperations) {
        operations = Math.min(maxOperations, operations * 2);
        return;
      }
      const tookMs = endedAt - startedAt;
      // Forgets the best time slowly, so that one lucky answer does not hold the window down for good.
      bestMs = Math.min(bestMs * 1.01, tookMs);
      if (tookMs <= bestMs * SLOW_FACTOR) requests = Math.min(maxRequests, requests + 1 / requests);
    },
    narrow(startedAt, endedAt, stored) {
      operations = Math.max(1, stored > 0 ? Math.min(operations, stored) : Math.floor(operations / 2));
      if (startedAt <= narrowedAt) return;
      narrowedAt = endedAt;
      requests = Math.max(1, requests / 2);
    },
  };
}
