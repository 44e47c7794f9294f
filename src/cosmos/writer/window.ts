/** How many requests of one range may be on the wire at once, found by additive increase and multiplicative decrease. */
export interface Window {
  /** Whole requests allowed now. */
  readonly size: number;
  /** A full request came back clean, and the window was what held the next one back. */
  widen(startedAt: number, endedAt: number): void;
  /** The service pushed back on a request that was started at `startedAt`. */
  narrow(startedAt: number, now: number): void;
}

export interface WindowOptions {
  readonly initial: number;
  readonly max: number;
}

/** More in flight only helps while answers do not get slower; beyond this multiple of the best time they just queue. */
const SLOW_FACTOR = 3;

/**
 * AIMD as the .NET bulk executor does per partition key range, with two differences: a burst of push-back halves the window
 * once (what was sent before the last decrease says nothing new), and a range that answers slower than {@link SLOW_FACTOR}
 * times its best does not get more, because a queue at the server costs latency and buys nothing.
 */
export function createWindow({ initial, max }: WindowOptions): Window {
  let width = initial;
  let narrowedAt = Number.NEGATIVE_INFINITY;
  let bestMs = Number.POSITIVE_INFINITY;
  return {
    get size() {
      return Math.floor(width);
    },
    widen(startedAt, endedAt) {
      const tookMs = endedAt - startedAt;
      // Forgets the best time slowly, so that one lucky answer does not hold the window down for good.
      bestMs = Math.min(bestMs * 1.01, tookMs);
      if (tookMs <= bestMs * SLOW_FACTOR) width = Math.min(max, width + 1 / width);
    },
    narrow(startedAt, now) {
      if (startedAt <= narrowedAt) return;
      narrowedAt = now;
      width = Math.max(1, width / 2);
    },
  };
}
