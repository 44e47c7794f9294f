import type { CacheCommand } from '../../cache/command.ts';
import type { CacheConnection } from '../../cache/connection.ts';
import { cacheKey } from '../../cache/key.ts';
import { encodeValue } from '../../cache/value.ts';
import { versionOf } from '../../cache/version.ts';
import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import type { StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';

/**
 * What a change does to the entry of its item. `delete`: gone, and a slow reader cannot put the old one back; `refresh`: the
 * new item, wanted or not; `refreshIfPresent`: the new item where one is held; `tombstone`: as `delete`, for as long as
 * entries live, so that readers go to the store until the next fill with something newer.
 */
export type InvalidateMode = 'delete' | 'refresh' | 'refreshIfPresent' | 'tombstone';

/** Longest that a reader may take between reading an old item and writing it to the cache. */
const DEFAULT_GUARD_MS = 60_000;
const BATCH = 500;

export interface InvalidatorOptions {
  readonly cache: CacheConnection;
  readonly mode: InvalidateMode;
  readonly keyPrefix: string;
  /** Life of refreshed entries and of tombstones in `tombstone` mode. */
  readonly ttlMs: number;
  /** How long `delete` remembers the version; default one minute. */
  readonly guardMs?: number;
  readonly gzipOverBytes?: number;
  readonly project?: readonly string[];
  /** Channel that is told every changed key, for caches inside other processes. */
  readonly publish?: string;
  /** Field whose truth means that an item is deleted, where the feed shows no deletes. */
  readonly softDeleteField?: string;
  readonly recorder?: StageRecorder;
  readonly clock: Clock;
}

interface InvalidatorTotals {
  readonly changes: number;
  /** Entries that were removed or replaced. */
  readonly applied: number;
  /** Changes whose entry was not held, or already newer. */
  readonly unaffected: number;
  /** Changes that a later one of the same page made needless. */
  readonly coalesced: number;
  readonly deletes: number;
}

export interface Invalidator {
  /** Resolves when the cache has acknowledged every change of the page. Throws a PipeError; the page can be repeated. */
  apply(page: Pick<FeedPage, 'changes'>): Promise<void>;
  totals(): InvalidatorTotals;
}

/** Applies changes of a container to a cache of versioned entries, never letting an older item win. */
export function createInvalidator(options: InvalidatorOptions): Invalidator {
  const { cache, recorder, clock } = options;
  const totals = { changes: 0, applied: 0, unaffected: 0, coalesced: 0, deletes: 0 };

  const applyBatch = async (batch: readonly (readonly [string, FeedChange])[]): Promise<void> => {
    const startedMs = clock.now();
    const commands = batch.map(([key, change]) => commandFor(key, change, options));
    const replies = await cache.send(commands);
    for (const reply of replies) {
      if (reply instanceof Error) throw refused(reply, cache.address);
      if (reply === 1) totals.applied++;
      else totals.unaffected++;
    }
    await announce(batch.map(([key]) => key));
    recorder?.serviceTime((clock.now() - startedMs) * 1000, batch.length);
    const nowMs = clock.epochMicros() / 1000;
    for (const [, change] of batch) recorder?.latency(Math.max(0, nowMs - change.storedMs) * 1000);
    recorder?.done(batch.length, 0);
  };

  const announce = async (keys: readonly string[]): Promise<void> => {
    const { publish } = options;
    if (publish === undefined) return;
    const replies = await cache.send(keys.map((key) => ['publish', publish, key] as const));
    const failed = replies.find((reply) => reply instanceof Error);
    if (failed !== undefined) throw refused(failed as Error, cache.address);
  };

  return {
    totals: () => ({ ...totals }),
    async apply({ changes }) {
      recorder?.offered(changes.length);
      totals.changes += changes.length;
      const latest = new Map<string, FeedChange>();
      for (const change of changes) {
        if (isDelete(change, options)) totals.deletes++;
        latest.set(cacheKey(options.keyPrefix, change.partitionKey, change.id), change);
      }
      totals.coalesced += changes.length - latest.size;
      const entries = [...latest];
      for (let at = 0; at < entries.length; at += BATCH) await applyBatch(entries.slice(at, at + BATCH));
    },
  };
}

function commandFor(key: string, change: FeedChange, options: InvalidatorOptions): CacheCommand {
  const version = versionOf(Math.floor(change.storedMs / 1000), change.lsn);
  const { mode, guardMs = DEFAULT_GUARD_MS, ttlMs } = options;
  if (mode === 'tombstone') return ['cpInvalidate', key, version, ttlMs];
  if (mode === 'delete' || isDelete(change, options)) return ['cpInvalidate', key, version, guardMs];
  const value = encodeValue(change.item, options);
  const script = mode === 'refresh' ? 'cpSetIfNewer' : 'cpRefreshIfPresent';
  return [script, key, version, value.bytes, value.encoding, ttlMs, 'equal'];
}

function isDelete({ operation, item }: FeedChange, { softDeleteField }: InvalidatorOptions): boolean {
  return operation === 'delete' || (softDeleteField !== undefined && Boolean(item[softDeleteField]));
}

function refused(error: Error, address: string): PipeError {
  return new PipeError('E_INTERNAL', `Redis at ${address} refused an invalidation (${error.message})`, {
    hint: 'see the server log; the changes are repeated when the command runs again',
    cause: error,
  });
}
