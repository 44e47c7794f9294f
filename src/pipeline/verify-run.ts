import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type CacheConnection, openCache } from '../cache/connection.ts';
import { readEntries } from '../cache/entry.ts';
import { cacheKey } from '../cache/key.ts';
import type { CosmosTarget, RedisTarget } from '../config/targets.ts';
import { runChangeFeed } from '../cosmos/change-feed/reader.ts';
import type { FeedChange } from '../cosmos/change-feed/types.ts';
import { openCosmos } from '../cosmos/client.ts';
import { readContainer } from '../cosmos/containers.ts';
import type { RuRecorder } from '../metrics/types.ts';
import type { Clock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import type { RunLedger } from './ledger.ts';
import { isUnreadable, type ObservationFields, observer } from './observation.ts';
import { createVerifier, type Place, type Verdict } from './verify.ts';

const CACHE_BATCH = 500;

export interface VerifyOptions {
  readonly cosmos: CosmosTarget;
  /** Runs to hold the container against; empty: every key must be without gaps. */
  readonly ledgers: ReadonlyMap<string, RunLedger>;
  readonly fields: ObservationFields;
  readonly firstSequence?: number;
  readonly lateAfterMs?: number;
  /** Whether the store must hold the events of a key in their order, default true. */
  readonly ordered?: boolean;
  readonly maxExamples?: number;
  /** A recording of the feed: NDJSON as `tail-feed --json` writes it. */
  readonly feedFile?: string;
  readonly cache?: { readonly target: RedisTarget; readonly keyPrefix: string };
  readonly ru: RuRecorder;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Items read so far, about once per page. */
  readonly onProgress?: (items: number) => void;
}

/**
 * Reads the whole container in the order of its log sequence numbers, a recorded feed and the cache as asked, and holds
 * them against the ledgers. Memory holds pages and a few intervals per key. Throws PipeError E_UNREACHABLE, E_AUTH,
 * E_NOT_FOUND, or E_CONFIG for a feed file that cannot be read.
 */
export async function verifyPipeline(options: VerifyOptions): Promise<Verdict> {
  const { cache, clock, feedFile, fields, ledgers, ru, signal } = options;
  const observe = observer(fields);
  const places: Place[] = ['store'];
  if (feedFile !== undefined) places.push('feed');
  if (cache !== undefined) places.push('cache');
  const verifier = createVerifier({
    ledgers,
    places,
    storeOrdered: options.ordered ?? true,
    ...(options.firstSequence !== undefined && { firstSequence: options.firstSequence }),
    ...(options.lateAfterMs !== undefined && { lateAfterMs: options.lateAfterMs }),
    ...(options.maxExamples !== undefined && { maxExamples: options.maxExamples }),
  });
  const ours = fields.key !== undefined || ledgers.size === 0;
  const report = (place: Place, item: unknown): void => {
    const found = observe(item);
    if (!isUnreadable(found)) verifier.observe(place, found);
    // Beside a ledger's events a container may hold anything; only what names one of its runs can be damaged.
    else if (ours || (found.run !== undefined && ledgers.has(found.run))) verifier.corrupted(place, found);
  };

  const connection = await openCosmos(options.cosmos, { ru });
  let redis: CacheConnection | undefined;
  try {
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
        options.onProgress?.(items);
      },
    );
    signal.throwIfAborted();
    if (feedFile !== undefined) for await (const item of recordedChanges(feedFile)) report('feed', item);
  } finally {
    connection.dispose();
    redis?.dispose();
  }
  return verifier.verdict();
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

async function* recordedChanges(path: string): AsyncGenerator<unknown> {
  let lineNumber = 0;
  try {
    for await (const line of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      lineNumber += 1;
      if (line.trim() === '') continue;
      const change = JSON.parse(line) as { readonly item?: unknown };
      yield change.item ?? change;
    }
  } catch (error) {
    throw new PipeError(
      'E_CONFIG',
      `cannot read the feed recording ${path}, line ${lineNumber} (${(error as Error).message})`,
      {
        hint: 'make one with: cosmos-pipe tail-feed --from beginning --until-idle --json > feed.ndjson',
        cause: error,
      },
    );
  }
}
