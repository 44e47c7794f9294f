import type { CacheConnection } from '../../cache/connection.ts';
import { readEntries } from '../../cache/entry.ts';
import { cacheKey, parseCacheKey } from '../../cache/key.ts';
import { scanPrefix } from '../../cache/scan.ts';
import type { CosmosConnection } from '../../cosmos/client.ts';
import { readContainer } from '../../cosmos/containers.ts';
import { queryPages, readItem, type StoredItem } from '../../cosmos/items.ts';
import type { PartitionKey } from '../../cosmos/write-operation.ts';
import type { Random } from '../../util/random.ts';
import { partitionKeyOf } from './warm-source.ts';

const EXAMPLES = 10;
const AT_ONCE = 16;

type EntryState = 'fresh' | 'stale' | 'orphan';

export interface CacheVerification {
  /** Entries compared with the container. */
  readonly checked: number;
  /** The cached item is the stored one. */
  readonly fresh: number;
  /** The container has another version. */
  readonly stale: number;
  /** The container has no such item. */
  readonly orphan: number;
  /** Tombstones and remembered absences: nothing to compare. */
  readonly empty: number;
  /** Keys of the prefix that are not of the form that `warm` and `serve` write. */
  readonly foreign: number;
  /** Items of the container looked for in the cache, and how many it does not hold. */
  readonly wanted: number;
  readonly missing: number;
  readonly requestCharge: number;
  readonly examples: readonly { readonly key: string; readonly state: 'stale' | 'orphan' }[];
}

export interface CacheVerifyOptions {
  readonly cosmos: CosmosConnection;
  readonly cache: CacheConnection;
  readonly keyPrefix: string;
  /** Entries to compare, and items to look for. */
  readonly sample: number;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** Compares a random sample of cached entries with point reads of the container, and items of it with the cache. */
export async function verifyCache(options: CacheVerifyOptions): Promise<CacheVerification> {
  const { cosmos, cache, keyPrefix, signal } = options;
  const keys = await sampleKeys(options);
  const entries = await readEntries(cache, keys);
  const totals = { checked: 0, fresh: 0, stale: 0, orphan: 0, empty: 0, foreign: 0, requestCharge: 0 };
  const examples: { key: string; state: 'stale' | 'orphan' }[] = [];
  const queue = keys.entries();
  const worker = async (): Promise<void> => {
    for (const [index, key] of queue) {
      signal.throwIfAborted();
      const entry = entries[index];
      const parsed = parseCacheKey(keyPrefix, key);
      if (parsed === undefined) totals.foreign++;
      else if (entry?.kind !== 'document' || entry.json === 'null') totals.empty++;
      else {
        const stored = await readItem(cosmos, parsed.id, parsed.partitionKey as PartitionKey);
        totals.requestCharge += stored?.requestCharge ?? 1;
        const state = compare(entry.json, stored?.item);
        totals.checked++;
        totals[state]++;
        if (state !== 'fresh' && examples.length < EXAMPLES) examples.push({ key, state });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const { wanted, missing, requestCharge } = await countMissing(options);
  return { ...totals, requestCharge: totals.requestCharge + requestCharge, wanted, missing, examples };
}

/** By ETag where the entry has one; projected entries by the fields they have. */
function compare(json: string, stored: StoredItem | undefined): EntryState {
  if (stored === undefined) return 'orphan';
  const cached = JSON.parse(json) as Readonly<Record<string, unknown>>;
  if (typeof cached['_etag'] === 'string') return cached['_etag'] === stored['_etag'] ? 'fresh' : 'stale';
  const same = Object.entries(cached).every(
    ([name, value]) => JSON.stringify(stored[name]) === JSON.stringify(value),
  );
  return same ? 'fresh' : 'stale';
}

/** A uniform sample of the keys of the prefix (reservoir sampling, Vitter's algorithm R). */
async function sampleKeys({
  cache,
  keyPrefix,
  sample,
  random,
  signal,
}: CacheVerifyOptions): Promise<string[]> {
  const chosen: string[] = [];
  let seen = 0;
  for await (const { keys } of scanPrefix(cache, keyPrefix, { signal })) {
    for (const key of keys) {
      seen++;
      if (chosen.length < sample) chosen.push(key);
      else {
        const at = random.below(seen);
        if (at < sample) chosen[at] = key;
      }
    }
  }
  return chosen;
}

/** Looks for the first items of the container in the cache: cheap, and enough to tell a cold cache from a warm one. */
async function countMissing({ cosmos, cache, keyPrefix, sample, signal }: CacheVerifyOptions): Promise<{
  readonly wanted: number;
  readonly missing: number;
  readonly requestCharge: number;
}> {
  const { partitionKey } = await readContainer(cosmos);
  let [wanted, missing, requestCharge] = [0, 0, 0];
  for await (const page of queryPages(
    cosmos,
    'SELECT * FROM c',
    {},
    { pageSize: Math.min(sample, 500), signal },
  )) {
    const items = page.items.slice(0, sample - wanted);
    const keys = items.map((item) => cacheKey(keyPrefix, partitionKeyOf(item, partitionKey.paths), item.id));
    const entries = await readEntries(cache, keys);
    wanted += items.length;
    missing += entries.filter(({ kind }) => kind === 'missing').length;
    requestCharge += page.requestCharge;
    if (wanted >= sample) break;
  }
  return { wanted, missing, requestCharge };
}
