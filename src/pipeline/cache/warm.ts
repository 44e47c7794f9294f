import type { CacheConnection } from '../../cache/connection.ts';
import { usedMemory } from '../../cache/info.ts';
import { decodeValue, encodeValue } from '../../cache/value.ts';
import {
  type CacheItem,
  type CacheWriter,
  type CacheWriterOptions,
  createCacheWriter,
} from '../../cache/writer.ts';
import type { CosmosConnection } from '../../cosmos/client.ts';
import type { StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';
import { countSource, type ReadOptions, readSource, type WarmBatch, type WarmSource } from './warm-source.ts';

/** Entries kept back for `verify`, whatever the share. */
const MAX_VERIFIED = 10_000;
/** Batches between two looks at the server's memory. */
const MEMORY_CHECK_EVERY = 4;
const PREVIEW_ITEMS = 100;

export interface WarmOptions {
  readonly cosmos: CosmosConnection;
  readonly cache: CacheConnection;
  readonly source: WarmSource;
  readonly write: Omit<CacheWriterOptions, 'target' | 'recorder' | 'clock' | 'random'>;
  readonly maxRuPerSecond?: number;
  /** Stops when the server uses this many bytes. */
  readonly maxMemoryBytes?: number;
  /** Share of the written entries that is read back, 0 to 1. */
  readonly verifyShare?: number;
  readonly resume?: string;
  readonly recorder?: StageRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Told after every batch, when everything before `position` is in the cache. */
  onProgress?(progress: WarmProgress): void;
}

export interface WarmProgress {
  readonly items: number;
  readonly requestCharge: number;
  readonly position?: string;
}

export interface WarmResult {
  readonly items: number;
  readonly written: number;
  /** Not written: the cache held the same, something newer, or with `onlyMissing` anything. */
  readonly kept: number;
  readonly tooLarge: number;
  readonly notFound: number;
  readonly sizeBytes: number;
  readonly requestCharge: number;
  readonly durationMs: number;
  /** Why it ended before the source did. */
  readonly stopped?: 'interrupted' | 'memory';
  readonly verified?: { readonly checked: number; readonly missing: number; readonly different: number };
}

/** Fills the cache from a query, the change feed or a list of keys. Throws a PipeError of either service. */
export async function warmCache(options: WarmOptions): Promise<WarmResult> {
  const { cosmos, cache, source, clock, random, signal } = options;
  const startedMs = clock.now();
  const writer = await createCacheWriter({
    ...options.write,
    target: cache,
    clock,
    random,
    ...(options.recorder && { recorder: options.recorder }),
  });
  const sampled: CacheItem[] = [];
  let [items, notFound, requestCharge, batches] = [0, 0, 0, 0];
  let stopped: WarmResult['stopped'];
  const handle = async (batch: WarmBatch): Promise<boolean> => {
    await writer.write(batch.items);
    for (const item of batch.items)
      if (sampled.length < MAX_VERIFIED && random.next() < (options.verifyShare ?? 0)) sampled.push(item);
    items += batch.items.length;
    notFound += batch.notFound;
    requestCharge += batch.requestCharge;
    options.onProgress?.({
      items,
      requestCharge,
      ...(batch.position !== undefined && { position: batch.position }),
    });
    if (options.maxMemoryBytes === undefined || batches++ % MEMORY_CHECK_EVERY !== 0) return true;
    if ((await usedMemory(cache)) < options.maxMemoryBytes) return true;
    stopped = 'memory';
    return false;
  };
  try {
    await readSource(cosmos, source, readOptions(options), handle);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.aborted) stopped = 'interrupted';
  const verified =
    options.verifyShare === undefined ? undefined : await verify(writer, sampled, options.write);
  return {
    items,
    ...writer.totals(),
    notFound,
    requestCharge,
    durationMs: clock.now() - startedMs,
    ...(stopped && { stopped }),
    ...(verified && { verified }),
  };
}

function readOptions({ clock, signal, maxRuPerSecond, resume }: WarmOptions): ReadOptions {
  return {
    clock,
    signal,
    ...(maxRuPerSecond !== undefined && { maxRuPerSecond }),
    ...(resume !== undefined && { resume }),
  };
}

/** Reads entries back and compares them with what was written. Items that were left out for their size do not count. */
async function verify(
  writer: CacheWriter,
  items: readonly CacheItem[],
  write: WarmOptions['write'],
): Promise<NonNullable<WarmResult['verified']>> {
  let [checked, missing, different] = [0, 0, 0];
  // The last version of an item is the one that counts: the feed and a query may give it twice.
  const expected = new Map(items.map((item) => [writer.keyOf(item), encodeValue(item.body, write)]));
  for (const [key, value] of expected) {
    if (value.sizeBytes > (write.maxValueBytes ?? Number.POSITIVE_INFINITY)) continue;
    checked++;
    const [held] = await writer.connection.sendForBytes([
      write.format === 'versioned' ? ['hget', key, 'd'] : ['get', key],
    ]);
    if (!Buffer.isBuffer(held)) missing++;
    else if (decodeValue(held) !== decodeValue(Buffer.from(value.bytes))) different++;
  }
  return { checked, missing, different };
}

export interface WarmEstimate {
  /** Items that the source has; `undefined` where only reading everything would tell. */
  readonly items: number | undefined;
  readonly bytesPerItem: number;
  readonly requestChargePerItem: number;
  readonly sizeBytes: number | undefined;
  readonly requestCharge: number | undefined;
  /** At the given request units per second; `undefined` without a limit. */
  readonly seconds: number | undefined;
  /** Charged by the estimate itself. */
  readonly previewCharge: number;
}

/** Reads one page of the source and reckons from it. Writes nothing. */
export async function estimateWarm(
  options: Pick<WarmOptions, 'cosmos' | 'source' | 'write' | 'clock' | 'signal' | 'maxRuPerSecond'>,
): Promise<WarmEstimate> {
  const { cosmos, source, write, clock, signal, maxRuPerSecond } = options;
  let first: WarmBatch | undefined;
  await readSource(cosmos, source, { clock, signal, pageSize: PREVIEW_ITEMS }, async (batch) => {
    first = batch;
    return batch.items.length === 0;
  });
  const items = first?.items ?? [];
  const read = items.length + (first?.notFound ?? 0);
  const sizes = items.map((item) => encodeValue(item.body, write).sizeBytes);
  const bytesPerItem = sizes.length === 0 ? 0 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const previewCharge = first?.requestCharge ?? 0;
  const perItem = read === 0 ? 0 : previewCharge / read;
  const total = read === 0 ? 0 : await countSource(cosmos, source);
  const requestCharge = total === undefined ? undefined : total * perItem;
  return {
    items: total,
    bytesPerItem,
    requestChargePerItem: perItem,
    sizeBytes: total === undefined ? undefined : total * bytesPerItem,
    requestCharge,
    seconds:
      requestCharge === undefined || maxRuPerSecond === undefined
        ? undefined
        : requestCharge / maxRuPerSecond,
    previewCharge,
  };
}
