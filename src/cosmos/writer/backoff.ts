import type { Random } from '../../util/random.ts';
import type { RangeLane } from './lanes.ts';

const FIRST_BACKOFF_MS = 20;
export const LONGEST_BACKOFF_MS = 5_000;

/** Exponential with jitter, in milliseconds; `attempt` counts from 1. */
export function retryDelay(attempt: number, longestMs: number, random: Random): number {
  return Math.min(longestMs, FIRST_BACKOFF_MS * 2 ** (attempt - 1)) * (0.5 + random.next() / 2);
}

/** A range failed once more: pauses it, longer with every failure in a row. */
export function backOff(range: RangeLane, now: number, random: Random): void {
  if (range.failures === 0) range.failingSince = now;
  range.failures++;
  const delayMs = retryDelay(range.failures, LONGEST_BACKOFF_MS, random);
  range.pausedUntil = Math.max(range.pausedUntil, now + delayMs);
}
