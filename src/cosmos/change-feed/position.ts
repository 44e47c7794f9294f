import { usageError } from '../../util/errors.ts';
import type { FeedMode, FeedPage, FeedStart, RangePosition } from './types.ts';

/** Where a reader stands in a whole container; what `--resume` stores. */
export interface FeedPosition {
  /** Resource id of the container: a container made again under the same name is another one. */
  readonly rid: string;
  readonly mode: FeedMode;
  /** For the ranges without a continuation. */
  readonly start: FeedStart;
  readonly ranges: readonly RangePosition[];
}

const FORMAT = 'cosmos-pipe/feed-position/1';

/** One JSON text for all ranges, in ascending order. */
export function encodePosition({ rid, mode, start, ranges }: FeedPosition): string {
  const sorted = [...ranges].sort((a, b) => (a.min < b.min ? -1 : 1));
  return JSON.stringify({ format: FORMAT, rid, mode, start, ranges: sorted });
}

/** Throws a usage error when the text is not a position. */
export function decodePosition(text: string): FeedPosition {
  const parsed = parse(text);
  if (
    parsed?.format !== FORMAT ||
    typeof parsed.rid !== 'string' ||
    !isStart(parsed.start) ||
    !isCover(parsed.ranges)
  )
    throw usageError(
      'this is not a change feed position',
      'delete the file to start afresh, or give the one that --resume wrote',
    );
  return { rid: parsed.rid, mode: parsed.mode as FeedMode, start: parsed.start, ranges: parsed.ranges };
}

/**
 * Continuation behind the first `taken` changes of a page: the quoted log sequence number of the last one. Changes of one
 * transaction share theirs and cannot be told apart, so it is then the one before.
 */
export function continuationWithin({ changes, continuation }: FeedPage, taken: number): string {
  const next = changes[taken];
  return next === undefined ? continuation : `"${next.lsn - 1}"`;
}

interface Encoded {
  readonly format?: unknown;
  readonly rid?: unknown;
  readonly mode?: unknown;
  readonly start?: unknown;
  readonly ranges?: unknown;
}

function parse(text: string): Encoded | undefined {
  try {
    return JSON.parse(text) as Encoded;
  } catch {
    return undefined;
  }
}

function isStart(start: unknown): start is FeedStart {
  if (start === 'beginning' || start === 'now') return true;
  return typeof (start as { sinceMs?: unknown } | null | undefined)?.sinceMs === 'number';
}

function isCover(ranges: unknown): ranges is readonly RangePosition[] {
  return (
    Array.isArray(ranges) &&
    ranges.length > 0 &&
    ranges.every(({ min, max, continuation }: Record<string, unknown>) => {
      const isOptionalText = continuation === undefined || typeof continuation === 'string';
      return typeof min === 'string' && typeof max === 'string' && min < max && isOptionalText;
    })
  );
}
