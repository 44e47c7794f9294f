import { type Clock, systemClock } from '../../util/clock.ts';
import { PipeError, usageError } from '../../util/errors.ts';
import type { CosmosConnection } from '../client.ts';
import { toPipeError } from '../errors.ts';
import { pollIntervals } from './polling.ts';
import { continuationWithin, decodePosition, encodePosition } from './position.ts';
import { readRange } from './read-range.ts';
import { type FeedSource, openFeedSource } from './sdk-feed.ts';
import type {
  FeedHandler,
  FeedMode,
  FeedPage,
  FeedRange,
  FeedStart,
  RangePosition,
  RangeStatus,
} from './types.ts';

export interface ChangeFeedOptions {
  /** Where to begin; a continuation of {@link ChangeFeed.position} goes on exactly after the last handled page. */
  readonly start: FeedStart | { readonly continuation: string };
  /** Default `latestVersion`. */
  readonly mode?: FeedMode;
  /** Most changes per page, default 1000 (the service also cuts at 4 MB). */
  readonly pageSize?: number;
  /** Give changes the text of their item ({@link FeedChange.text}, latest version only), for receivers of JSON. */
  readonly texts?: boolean;
  /** Read these ranges only, such as one shard of several; default: the whole container. Not with a continuation. */
  readonly ranges?: readonly FeedRange[];
  /** Longest wait between two requests of an idle range, default 500 ms: the latency of a change after silence. */
  readonly pollMs?: number;
  /** Shortest wait after a page that was not full, default 10 ms: fewer and fuller pages cost less, and come later. */
  readonly minPollMs?: number;
  readonly clock?: Clock;
  /** Ends the reading after the pages that are being handled. */
  readonly signal?: AbortSignal;
  /**
   * Ends the reading once every range has been read to its end and nothing has come for this long. 0: as soon as
   * everything that is there has been read.
   */
  readonly untilIdleMs?: number;
  /** A request failed and will be repeated. */
  onRetry?(range: FeedRange, reason: string, delayMs: number): void;
}

/** An opened change feed that can be run once. */
export interface ChangeFeed {
  /**
   * Reads every feed range in parallel and hands pages to `handler`: one at a time per range, in the order of the log
   * sequence numbers; ranges run side by side, so the handler must stand being called for several ranges at once. It is
   * awaited (back-pressure): per range at most one page waits while one is handled. Splits and merges are followed.
   *
   * Resolves when the signal aborts or `untilIdleMs` is met. Rejects with what the handler throws, or with a PipeError
   * when the service refuses or stays away for a minute; the other ranges are then stopped after their current page.
   */
  run(handler: FeedHandler): Promise<void>;
  /**
   * Ends the reading from within a handler that took only the first `taken` changes of its page: the position then is behind
   * these (of changes that share a log sequence number, before all of them), and `run` resolves.
   */
  stopAfter(page: FeedPage, taken: number): void;
  /** Position after the pages handled so far, as one JSON text. */
  position(): string;
  status(): readonly RangeStatus[];
}

/** Reads container and ranges. Throws PipeError E_NOT_FOUND, E_UNREACHABLE, E_AUTH, or E_USAGE for a wrong start. */
export async function openChangeFeed(
  connection: CosmosConnection,
  options: ChangeFeedOptions,
): Promise<ChangeFeed> {
  const mode = options.mode ?? 'latestVersion';
  const source = await openFeedSource(connection, mode, options);
  const { start, positions } = await startingPositions(source, options);
  if (mode === 'allVersions' && start !== 'now')
    throw usageError(
      'all versions and deletes can be read from now or from a continuation only',
      'use --from now, or --mode latest to read from the beginning',
    );
  return createChangeFeed(connection, source, start, positions, options);
}

/** {@link openChangeFeed} and `run` in one; resolves to the position reached. */
export async function runChangeFeed(
  connection: CosmosConnection,
  options: ChangeFeedOptions,
  handler: FeedHandler,
): Promise<string> {
  const feed = await openChangeFeed(connection, options);
  await feed.run(handler);
  return feed.position();
}

async function startingPositions(
  source: FeedSource,
  options: ChangeFeedOptions,
): Promise<{ readonly start: FeedStart; readonly positions: readonly RangePosition[] }> {
  const { start } = options;
  if (typeof start === 'string' || 'sinceMs' in start)
    return { start, positions: options.ranges ?? (await source.ranges()) };
  const position = decodePosition(start.continuation);
  if (position.rid !== source.rid)
    throw new PipeError('E_USAGE', 'the position belongs to another container', {
      hint: 'the container may have been deleted and created again; delete the file to start afresh',
    });
  if (position.mode !== source.mode)
    throw usageError(`the position was made in ${position.mode} mode`, 'keep the mode, or start afresh');
  return { start: position.start, positions: position.ranges };
}

interface RangeState {
  position: RangePosition;
  rangeId: string;
  changes: number;
  lagItems: number;
  freshMs: number | undefined;
  caughtUp: boolean;
  /** When the last empty page was asked for, by the clock's `now`. */
  askedAt: number;
}

function createChangeFeed(
  connection: CosmosConnection,
  source: FeedSource,
  start: FeedStart,
  positions: readonly RangePosition[],
  options: ChangeFeedOptions,
): ChangeFeed {
  const clock = options.clock ?? systemClock;
  const nowMs = (): number => clock.epochMicros() / 1000;
  const states = new Set<RangeState>(positions.map((position) => newState(position, undefined)));
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  let lastChangeAt = clock.now();
  let failure: { readonly error: unknown } | undefined;
  const partly: RangePosition[] = [];

  const endWhenIdle = (): void => {
    const { untilIdleMs } = options;
    if (untilIdleMs === undefined) return;
    // Of what came while this process stood still a range knows only when it has asked again.
    const quietSince = (askedAt: number): boolean =>
      untilIdleMs === 0 || askedAt - lastChangeAt >= untilIdleMs;
    if ([...states].every(({ caughtUp, askedAt }) => caughtUp && quietSince(askedAt))) ended.abort();
  };

  const follow = async (state: RangeState, handler: FeedHandler): Promise<void> => {
    const end = await readRange({
      source,
      position: state.position,
      start,
      pageSize: options.pageSize ?? 1000,
      poll: pollIntervals(options.pollMs ?? 500, options.minPollMs),
      clock,
      signal,
      async onPage(page) {
        state.caughtUp = false;
        lastChangeAt = clock.now();
        await handler(page);
        const { feedRange, continuation, rangeId, changes, lagItems } = page;
        // After a split the page may be of a part of the range only; `end.children` then has the whole story.
        if (sameRange(feedRange, state.position))
          state.position = takenOf({ ...feedRange, continuation }, partly);
        state.rangeId = rangeId;
        state.changes += changes.length;
        state.lagItems = lagItems;
        state.freshMs = Math.max(state.freshMs ?? 0, changes.at(-1)?.storedMs ?? 0);
      },
      onEmpty(page) {
        if (sameRange(page, state.position)) {
          const { min, max, continuation } = page;
          state.position = { min, max, ...(continuation === undefined ? {} : { continuation }) };
          state.caughtUp = true;
          state.askedAt = page.askedAt;
        }
        state.rangeId = page.rangeId;
        state.lagItems = 0;
        state.freshMs = page.receivedMs;
        endWhenIdle();
      },
      onRetry: (reason, delayMs) => options.onRetry?.(state.position, reason, delayMs),
    });
    if (end.kind === 'stopped') return;
    const children = end.children.map((child) => newState(takenOf(child, partly), state.freshMs));
    if (children[0]) children[0].changes = state.changes;
    for (const child of children) states.add(child);
    states.delete(state);
    await Promise.all(children.map((child) => follow(child, handler).catch(stop)));
  };

  const stop = (error: unknown): void => {
    failure ??= { error };
    ended.abort();
  };

  return {
    async run(handler) {
      await Promise.all([...states].map((state) => follow(state, handler).catch(stop)));
      if (failure) throw toPipeError(failure.error, connection.target);
    },
    stopAfter(page, taken) {
      partly.push({ ...page.feedRange, continuation: continuationWithin(page, taken) });
      ended.abort();
    },
    position: () =>
      encodePosition({
        rid: source.rid,
        mode: source.mode,
        start,
        ranges: [...states].map((state) => state.position),
      }),
    status: () => [...states].map((state) => statusOf(state, nowMs())).sort(byRange),
  };
}

/** What of `partly` is about the same range, else `position`. */
function takenOf(position: RangePosition, partly: readonly RangePosition[]): RangePosition {
  return partly.find((part) => sameRange(part, position)) ?? position;
}

function newState(position: RangePosition, freshMs: number | undefined): RangeState {
  return { position, rangeId: '*', changes: 0, lagItems: 0, freshMs, caughtUp: false, askedAt: 0 };
}

function statusOf(state: RangeState, nowMs: number): RangeStatus {
  const { position, rangeId, changes, lagItems, freshMs, caughtUp } = state;
  const lagMs = freshMs === undefined ? undefined : Math.max(0, nowMs - freshMs);
  return { ...position, rangeId, changes, lagItems, lagMs, caughtUp };
}

function sameRange(a: FeedRange, b: FeedRange): boolean {
  return a.min === b.min && a.max === b.max;
}

function byRange(a: FeedRange, b: FeedRange): number {
  return a.min < b.min ? -1 : 1;
}
