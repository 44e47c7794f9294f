/** How many changes a page brought, compared with what was asked for. */
export type PageFill = 'full' | 'some' | 'none';

export interface PollIntervals {
  /** Milliseconds before the next request of a range that has just given less than a full page. */
  readonly minMs: number;
  /** Milliseconds between requests of a range that has been silent for a while. */
  readonly maxMs: number;
}

/**
 * Under load a range is read without a pause as long as pages come back full, and every `minMs` when they do not, which
 * lets small pages grow instead of paying a request for each change. A silent range is asked after `minMs`, and then twice
 * as long after each empty page, up to `maxMs`: the most a change waits on an idle range, and 1000 / maxMs requests (about
 * one RU each) per second and range.
 */
export function nextPollMs(previousMs: number, fill: PageFill, { minMs, maxMs }: PollIntervals): number {
  if (fill === 'full') return 0;
  if (fill === 'some') return minMs;
  return Math.min(maxMs, Math.max(minMs, previousMs * 2));
}

/** Intervals from the number that users choose: the longest wait on an idle range. */
export function pollIntervals(maxMs: number, minMs = 10): PollIntervals {
  return { minMs: Math.min(minMs, maxMs), maxMs };
}
