import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type CacheConnection, openCache } from '../../cache/connection.ts';
import { readEntries } from '../../cache/entry.ts';
import { cacheKey } from '../../cache/key.ts';
import type { CosmosTarget, RedisTarget } from '../../config/targets.ts';
import { runChangeFeed } from '../../cosmos/change-feed/reader.ts';
import type { FeedChange } from '../../cosmos/change-feed/types.ts';
import { type CosmosConnection, openCosmos } from '../../cosmos/client.ts';
import { readContainer } from '../../cosmos/containers.ts';
import type { RuRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import { createBoundedVerifier } from './bounded.ts';
import { streamLedgers } from './ledger-file.ts';
import { isUnreadable, type ObservationFields, observer } from './observation.ts';
import type { Place, Verdict } from './verdict.ts';

const CACHE_BATCH = 500;
export const MAX_MEMORY_BYTES = 512e6;

export interface VerifyOptions {
  readonly cosmos: CosmosTarget;
  /** Ledger files of the runs to hold the container against; empty: every key must be without gaps. */
  readonly ledgers: readonly string[];
  readonly fields: ObservationFields;
  readonly firstSequence?: number;
  readonly lateAfterMs?: number;
  /** Whether the store must hold the events of a key in their order, default true. */
  readonly ordered?: boolean;
  readonly maxExamples?: number;
  /** A recording of the feed: NDJSON as `tail-feed --json` writes it. */
  readonly feedFile?: string;
  readonly cache?: { readonly target: RedisTarget; readonly keyPrefix: string };
  /** Heap that the keys may take, estimated; what is more is put aside in `scratchFolder`. Default 512 MB. */
  readonly maxMemoryBytes?: number;
  /** Default: the system's folder for temporary files. */
  readonly scratchFolder?: string;
  readonly ru: RuRecorder;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** About once per page. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

export interface VerifyProgress {
  /** Items read so far. */
  readonly items: number;
  readonly spilledBytes: number;
}

export interface Verification {
  readonly verdict: Verdict;
  /** Runs named by the ledgers. */
  readonly runs: readonly string[];
  /** Bytes that memory had no room for. */
  readonly spilledBytes: number;
}

/**
 * Reads the whole container in the order of its log sequence numbers, a recorded feed and the cache as asked, and holds
 * them against the ledgers. Memory holds pages, and a few intervals per key up to the bound. Throws PipeError E_UNREACHABLE,
 * E_AUTH, E_NOT_FOUND, or E_CONFIG for a ledger or feed file that cannot be read and a scratch folder that takes no more.
 */
export async function verifyPipeline(options: VerifyOptions): Promise<Verification> {
  const { cache, clock, feedFile, fields, maxMemoryBytes = MAX_MEMORY_BYTES, ru, signal } = options;
  const observe = observer(fields);
  const places: Place[] = ['store'];
  if (feedFile !== undefined) places.push('feed');
  if (cache !== undefined) places.push('cache');
  const verifier = createBoundedVerifier({
    places,
    maxMemoryBytes,
    signal,
    ...(options.scratchFolder !== undefined && { scratchFolder: options.scratchFolder }),
    storeOrdered: options.ordered ?? true,
    ...(options.firstSequence !== undefined && { firstSequence: options.firstSequence }),
    ...(options.lateAfterMs !== undefined && { lateAfterMs: options.lateAfterMs }),
    ...(options.maxExamples !== undefined && { maxExamples: options.maxExamples }),
  });
  const { runs } = verifier;
  let [readable, unreadable] = [0, 0];
  let problem = '';
  const report = (place: Place, item: unknown, atMs?: number): void => {
    const found = observe(item);
    if (isUnreadable(found)) {
      unreadable += 1;
      problem ||= found.problem;
    } else readable += 1;
    if (!isUnreadable(found)) verifier.observe(place, found, atMs);
    // Beside a ledger's events a container may hold anything; only what names one of its runs can be damaged.
    else if (fields.key !== undefined || runs.size === 0 || (found.run !== undefined && runs.has(found.run)))
      verifier.corrupted(place, found);
  };

  let connection: CosmosConnection | undefined;
  let redis: CacheConnection | undefined;
  try {
    await streamLedgers(options.ledgers, verifier);
    connection = await openCosmos(options.cosmos, { ru });
    await readContainer(connection);
    redis = cache === undefined ? undefined : await openCache(cache.target);
    let items = 0;
    await runChangeFeed(
      connection,
      { start: 'beginning', untilIdleMs: 0, clock, signal },
      async ({ changes }) => {
        for (const { item } of changes) report('store', item);
        if (redis !== undefined && cache !== undefined) {
          for (const value of await cachedValues(redis, cache.keyPrefix, changes)) report('cache', value);
        }
        items += changes.length;
        options.onProgress?.({ items, spilledBytes: verifier.spilledBytes });
      },
    );
    signal.throwIfAborted();
    if (feedFile !== undefined) {
      const before = { readable, unreadable };
      for await (const { item, receivedMs } of recordedChanges(feedFile)) report('feed', item, receivedMs);
      if (unreadable > before.unreadable && readable === before.readable)
        throw new PipeError('E_CONFIG', `no line of ${feedFile} can be told for an event (${problem})`, {
          hint: RECORD_HINT,
        });
    }
    if (unreadable > 0 && readable === 0 && runs.size === 0) throw noEvents(options, problem);
    const { spilledBytes } = verifier;
    return { verdict: await verifier.verdict(), runs: [...runs], spilledBytes };
  } finally {
    connection?.dispose();
    redis?.dispose();
    verifier.dispose();
  }
}

async function cachedValues(
  redis: CacheConnection,
  keyPrefix: string,
  changes: readonly FeedChange[],
): Promise<unknown[]> {
  const values: unknown[] = [];
  for (let at = 0; at < changes.length; at += CACHE_BATCH) {
    const keys = changes
      .slice(at, at + CACHE_BATCH)
      .map(({ partitionKey, id }) => cacheKey(keyPrefix, partitionKey, id));
    for (const entry of await readEntries(redis, keys)) {
      if (entry.kind === 'document') values.push(JSON.parse(entry.json));
    }
  }
  return values;
}

const RECORD_HINT = 'make one with: cosmos-pipe tail-feed --from beginning --until-idle --json > feed.ndjson';

/** Not one item can be read: that is a question asked wrongly rather than a damaged stream. */
function noEvents({ cosmos, fields }: VerifyOptions, problem: string): PipeError {
  const named = fields.key === undefined;
  return new PipeError(
    'E_CONFIG',
    `no item of ${cosmos.database}/${cosmos.container} can be told for an event (${problem})`,
    {
      hint: named
        ? 'name the ledger (--ledger run.ledger), or the fields of the items: --key deviceId --sequence deviceSequenceNumber'
        : 'name fields that the items have, dotted when nested: --key device.id --sequence device.count',
    },
  );
}

interface RecordedChange {
  readonly item: unknown;
  readonly receivedMs: number | undefined;
}

async function* recordedChanges(path: string): AsyncGenerator<RecordedChange> {
  let lineNumber = 0;
  try {
    for await (const line of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      lineNumber += 1;
      if (line.trim() === '') continue;
      const change = JSON.parse(line) as { readonly item?: unknown; readonly received?: string } | null;
      if (typeof change !== 'object' || change === null) throw new TypeError('not a JSON object');
      const receivedMs = Date.parse(change.received ?? '');
      yield { item: change.item ?? change, receivedMs: Number.isNaN(receivedMs) ? undefined : receivedMs };
    }
  } catch (error) {
    throw new PipeError(
      'E_CONFIG',
      `cannot read the feed recording ${path}${lineNumber > 0 ? `, line ${lineNumber}` : ''} (${(error as Error).message})`,
      { hint: RECORD_HINT, cause: error },
    );
  }
}
