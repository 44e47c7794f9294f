import { setTimeout as delay } from 'node:timers/promises';

/** Time as an argument, so that whatever depends on it can run on a virtual clock. */
export interface Clock {
  /** Monotonic milliseconds with a fraction; differences only. */
  now(): number;
  /** Microseconds since the Unix epoch, comparable between processes of one host; for what is stored or sent. */
  epochMicros(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A timer of Node for more than this is over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  epochMicros: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
  async sleep(ms, signal) {
    const options = signal ? { signal } : {};
    let leftMs = ms;
    for (; leftMs > LONGEST_TIMER_MS; leftMs -= LONGEST_TIMER_MS)
      await delay(LONGEST_TIMER_MS, undefined, options);
    await delay(leftMs, undefined, options);
  },
};
