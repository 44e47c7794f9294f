import type { PartitionKey } from '../write-operation.ts';

/**
 * `latestVersion`: every item once, at its newest version; deletes do not show. `allVersions`: every create, replace and
 * delete within the retention of the container's change feed policy; starts from now or a continuation only.
 */
export type FeedMode = 'latestVersion' | 'allVersions';

/** Where to start a range that has no continuation yet. Times have a resolution of one second on the service's side. */
export type FeedStart = 'beginning' | 'now' | { readonly sinceMs: number };

/** An interval of effective partition keys, upper-case hex: `min` inclusive, `max` exclusive; `''` to `FF` is everything. */
export interface FeedRange {
  readonly min: string;
  readonly max: string;
}

/** How far one feed range was read. Without a continuation: not at all, it begins at the reader's `start`. */
export interface RangePosition extends FeedRange {
  /** ETag of the last page, a quoted log sequence number: `"63"`. */
  readonly continuation?: string;
}

export type FeedOperation = 'upsert' | 'create' | 'replace' | 'delete';

export interface FeedChange {
  readonly id: string;
  readonly partitionKey: PartitionKey;
  /** Log sequence number within the partition; changes of one transaction share it. */
  readonly lsn: number;
  /** When the service stored it, milliseconds since the Unix epoch, a resolution of one second. */
  readonly storedMs: number;
  /** `upsert` in latest-version mode, where the service does not tell a create from a replace. */
  readonly operation: FeedOperation;
  /** The item as the service returns it, system properties included; of a delete what is known of it, at least `id`. */
  readonly item: Readonly<Record<string, unknown>>;
  /** The JSON of `item` as the service wrote it, where that was asked for and can be had. */
  readonly text?: string | undefined;
  /** The version before, where the service sends it (`allVersions`). */
  readonly previous?: Readonly<Record<string, unknown>>;
}

/** Changes of one feed range in the order of their log sequence numbers. */
export interface FeedPage {
  /** Partition key range that served the page, `*` where the reply names none. */
  readonly rangeId: string;
  readonly feedRange: FeedRange;
  readonly changes: readonly FeedChange[];
  /** Position of `feedRange` after this page. */
  readonly continuation: string;
  /** Log sequence number of the last change. */
  readonly lsn: number;
  /** Log sequence numbers between the last change and the head of the partition: an upper bound for the items still to come. */
  readonly lagItems: number;
  /** When the page arrived, milliseconds since the Unix epoch. */
  readonly receivedMs: number;
  readonly requestCharge: number;
}

/** Awaited before the next page of the same range is handed over; ranges run side by side. */
export type FeedHandler = (page: FeedPage) => Promise<void> | void;

/** What is known of a range while it is read. */
export interface RangeStatus extends RangePosition {
  readonly rangeId: string;
  readonly changes: number;
  readonly lagItems: number;
  /**
   * Age of what was read last: time since the later of the last empty page and the newest change. Small for an idle range
   * that is polled, large for one that is behind or stuck; `undefined` before the first answer.
   */
  readonly lagMs: number | undefined;
  /** The end of the range was reached at least once, and nothing has come since. */
  readonly caughtUp: boolean;
}
