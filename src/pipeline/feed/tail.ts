import { type PoisonPolicy, withPoisonPolicy } from '../../cosmos/change-feed/poison.ts';
import type { FeedProcessor } from '../../cosmos/change-feed/processor.ts';
import type { ChangeFeed } from '../../cosmos/change-feed/reader.ts';
import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { FeedFilter } from './filter.ts';
import { deliverToAll, type FeedSink } from './sink.ts';

export interface TailOptions {
  readonly sinks: readonly FeedSink[];
  readonly filter?: FeedFilter;
  /** What of an item the sinks get to see (`projector`); the filter sees all of it. */
  readonly project?: (item: FeedChange['item']) => FeedChange['item'];
  readonly clock: Clock;
}

export interface TailFeedOptions extends TailOptions {
  /** Ends after this many changes that pass the filter. */
  readonly limit?: number;
  readonly poison: PoisonPolicy;
  readonly signal: AbortSignal;
  /** Stores the position, after every sink has accepted what is behind it; at most once a second, and at the end. */
  save?(position: string): Promise<void>;
}

export interface TailResult {
  /** Changes read, and of these the ones that passed the filter and were accepted by every sink. */
  readonly read: number;
  readonly delivered: number;
}

const SAVE_EVERY_MS = 1_000;

/** Runs a feed into sinks. A failing sink is tried again with the same changes, as the poison policy says. */
export async function tailFeed(feed: ChangeFeed, options: TailFeedOptions): Promise<TailResult> {
  const { clock, limit = Number.POSITIVE_INFINITY, save } = options;
  let remaining = limit;
  let read = 0;
  let delivered = 0;
  let savedAt = clock.now();
  let saving: Promise<void> | undefined;
  const deliver = withPoisonPolicy(
    async (page) => {
      const { selected, scanned } = select(page, options, remaining);
      // Reserved before the first await: pages of several ranges are under way at once.
      remaining -= selected.length;
      try {
        await deliverToAll(options.sinks, selected, page);
      } catch (error) {
        remaining += selected.length;
        throw error;
      }
      read += scanned;
      delivered += selected.length;
      if (remaining === 0) feed.stopAfter(page, scanned);
    },
    options.poison,
    clock,
    options.signal,
  );
  const saveNow = async (): Promise<void> => {
    savedAt = clock.now();
    // One file, written by one range at a time.
    await saving;
    saving = save?.(feed.position());
    await saving;
  };
  try {
    if (limit > 0)
      await feed.run(async (page) => {
        await deliver(page);
        if (save && clock.now() - savedAt >= SAVE_EVERY_MS) await saveNow();
      });
  } finally {
    if (save) await saveNow();
  }
  return { read, delivered };
}

/** Runs this process's share of a feed into sinks; positions are kept in the leases. */
export async function tailProcessor(processor: FeedProcessor, options: TailOptions): Promise<TailResult> {
  let read = 0;
  let delivered = 0;
  await processor.run(async (page) => {
    const { selected, scanned } = select(page, options, Number.POSITIVE_INFINITY);
    await deliverToAll(options.sinks, selected, page);
    read += scanned;
    delivered += selected.length;
  });
  return { read, delivered };
}

/** The first `limit` changes that pass, and how far into the page they reach. */
function select(
  { changes }: FeedPage,
  { filter, project }: TailOptions,
  limit: number,
): { readonly selected: readonly FeedChange[]; readonly scanned: number } {
  if (filter === undefined && project === undefined && changes.length <= limit)
    return { selected: changes, scanned: changes.length };
  const selected: FeedChange[] = [];
  let scanned = 0;
  while (scanned < changes.length && selected.length < limit) {
    const change = changes[scanned++] as FeedChange;
    if (filter === undefined || filter(change))
      selected.push(project ? { ...change, item: project(change.item), text: undefined } : change);
  }
  return { selected, scanned };
}
