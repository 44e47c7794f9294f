import type { Clock } from '../../util/clock.ts';
import { describeFailure } from '../errors.ts';
import { changeReader } from './change.ts';
import { nextPollMs, type PollIntervals } from './polling.ts';
import { continuationLsn, type FeedCursor, type FeedSource, type RawPage } from './sdk-feed.ts';
import type { FeedPage, FeedStart, RangePosition } from './types.ts';

/** An empty answer: the end of the range, for now. */
interface EmptyPage extends RangePosition {
  readonly rangeId: string;
  readonly receivedMs: number;
  /** When it was asked for, by the clock's `now`. */
  readonly askedAt: number;
}

export interface RangeReadOptions {
  readonly source: FeedSource;
  readonly position: RangePosition;
  readonly start: FeedStart;
  readonly pageSize: number;
  readonly poll: PollIntervals;
  readonly clock: Clock;
  /** Ends the reading after the page that is being handled. */
  readonly signal: AbortSignal;
  /** Awaited; the next page is fetched meanwhile when this one was full, so at most two pages are in memory. */
  onPage(page: FeedPage): Promise<void> | void;
  onEmpty?(page: EmptyPage): Promise<void> | void;
  /** A request failed and will be repeated in `delayMs`. */
  onRetry?(reason: string, delayMs: number): void;
}

export type RangeEnd =
  | { readonly kind: 'stopped'; readonly position: RangePosition }
  /** The partition was split or merged: go on with these instead. */
  | { readonly kind: 'split'; readonly children: readonly RangePosition[] };

/** Failures that repeating cannot mend. Everything else is worth a retry: throttling, failover, a partition on the move. */
const PERMANENT = new Set([400, 401, 403, 404, 405, 413]);
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
const GIVE_UP_AFTER_MS = 60_000;

/**
 * Reads one feed range in the order of its log sequence numbers until the signal aborts or the range is split. The position
 * returned is that of the last page whose handler succeeded. Rejects with what a handler throws, and with the SDK's error
 * when it is permanent or has lasted for a minute.
 */
export async function readRange(options: RangeReadOptions): Promise<RangeEnd> {
  const { source, start, pageSize, poll, clock } = options;
  // A signal of its own: Node warns when more than ten listeners share one, and there may be hundreds of ranges.
  const signal = AbortSignal.any([options.signal]);
  const toChange = changeReader(source.mode, source.partitionKeyPaths);
  const fetchPage = resilientFetcher();
  let position = options.position;
  let waitMs = 0;
  let askedAt = clock.now();
  let prefetched: Promise<RawPage | undefined> | undefined;
  while (!signal.aborted) {
    if (prefetched === undefined) askedAt = clock.now();
    const raw = await (prefetched ?? fetchPage(position));
    prefetched = undefined;
    if (raw === undefined || signal.aborted) break;
    const { served, positions, documents, texts, rangeId } = raw;
    const receivedMs = clock.epochMicros() / 1000;
    const isSplit = positions.length > 1;
    if (documents.length > 0) {
      const isFull = documents.length >= pageSize;
      if (isFull && !isSplit) {
        askedAt = clock.now();
        prefetched = fetchPage(served);
        // A failure is met when the page is asked for; until then it must not count as unhandled.
        prefetched.catch(() => undefined);
      }
      const changes = documents.map((document, index) => toChange(document, texts?.[index]));
      const lsn = changes.at(-1)?.lsn ?? continuationLsn(served.continuation);
      await options.onPage({
        rangeId,
        feedRange: { min: served.min, max: served.max },
        changes,
        continuation: served.continuation ?? '',
        lsn,
        lagItems: Math.max(0, raw.headLsn - lsn),
        receivedMs,
        requestCharge: raw.requestCharge,
      });
      waitMs = nextPollMs(waitMs, isFull ? 'full' : 'some', poll);
    } else {
      await options.onEmpty?.({ ...served, rangeId, receivedMs, askedAt });
      waitMs = nextPollMs(waitMs, 'none', poll);
    }
    if (isSplit) return { kind: 'split', children: positions };
    position = served;
    if (waitMs > 0) await sleep(clock, waitMs, signal);
  }
  return { kind: 'stopped', position };

  /** Fetches the page after a position, through failures. Resolves to `undefined` when the signal aborts. */
  function resilientFetcher() {
    let cursor: FeedCursor | undefined;
    return async (from: RangePosition): Promise<RawPage | undefined> => {
      const since = clock.now();
      for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(LONGEST_RETRY_MS, delayMs * 2)) {
        try {
          cursor ??= source.cursor(from, start, pageSize);
          return await unlessAborted(cursor.next(), signal);
        } catch (error) {
          // The SDK's iterator may have lost its position with the failure, so the next attempt gets a new one.
          cursor = undefined;
          if (signal.aborted) return undefined;
          const { statusCode, message } = describeFailure(error);
          if (PERMANENT.has(statusCode) || clock.now() - since > GIVE_UP_AFTER_MS) throw error;
          options.onRetry?.(message, delayMs);
          await sleep(clock, delayMs, signal);
        }
      }
    };
  }
}

/** The SDK's feed iterator takes no signal: on abort its request is left to itself. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return undefined;
  }
  let stop: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
    work.catch(() => undefined);
  }
}

/** Sleeps, or returns at once when the signal aborts. */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
