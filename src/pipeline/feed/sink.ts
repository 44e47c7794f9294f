import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';

/** Where `tail-feed --to` sends changes. */
export interface FeedSink {
  /** As in `--to`. */
  readonly name: string;
  /**
   * Resolves once the receiver has accepted every change, in order; rejects otherwise, and is then called again with the
   * same changes (at least once).
   */
  deliver(changes: readonly FeedChange[], page: FeedPage): Promise<void>;
  close(): Promise<void>;
}

/** Hands a page to every sink at the same time; resolves when all have accepted it, so that a checkpoint may follow. */
export async function deliverToAll(
  sinks: readonly FeedSink[],
  changes: readonly FeedChange[],
  page: FeedPage,
): Promise<void> {
  if (changes.length === 0) return;
  const settled = await Promise.allSettled(sinks.map((sink) => sink.deliver(changes, page)));
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Closes what was opened, also when some of it fails; throws the first failure. */
export async function closeAll(sinks: readonly FeedSink[]): Promise<void> {
  const settled = await Promise.allSettled(sinks.map((sink) => sink.close()));
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
