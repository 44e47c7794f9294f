import type { Redis } from 'ioredis';
import { type Clock, systemClock } from '../util/clock.ts';
import { usageError } from '../util/errors.ts';
import type { CacheConnection } from './connection.ts';
import { createPacer } from './pacer.ts';
import { scanPrefix } from './scan.ts';

/** Shorter prefixes match so much of a shared server that the caller must know how much. */
export const MIN_PREFIX_LENGTH = 4;
const DEFAULT_BATCH = 500;
const SAMPLE_KEYS = 10;
const MEASURED_KEYS = 200;
/** SCAN may return a key twice while a server's table is resized; up to this many are remembered to count them once. */
const MAX_REMEMBERED_KEYS = 1_000_000;

export interface FlushFilter {
  /** Only keys that were not read or written for this long (OBJECT IDLETIME, a resolution of one second). */
  readonly idleOverMs?: number;
  /** Only keys that never expire. */
  readonly withoutTtl?: boolean;
  /** Only keys of this type: string, hash, set, zset, list. */
  readonly type?: string;
}

export interface FlushPreview {
  readonly prefix: string;
  readonly keys: number;
  readonly sample: readonly string[];
  /** Estimated from the keys measured by MEMORY USAGE. */
  readonly memoryBytes: number;
  readonly measuredKeys: number;
  readonly withoutTtl: number;
  readonly ttlMedianMs: number | undefined;
  readonly nodes: readonly { readonly address: string; readonly keys: number }[];
}

export interface FlushResult {
  readonly prefix: string;
  readonly deleted: number;
  readonly durationMs: number;
  /** False when it was interrupted or met `maxKeys`. */
  readonly complete: boolean;
}

export interface FlushOptions extends FlushFilter {
  /** Keys per second at most. */
  readonly ratePerSecond?: number;
  readonly batchSize?: number;
  /** Stops after this many keys. */
  readonly maxKeys?: number;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  onProgress?(deleted: number): void;
}

/** Refuses a prefix that would match everything. The prefix is literal: `*` in it is a star. */
function checkPrefix(prefix: string): void {
  if (prefix === '')
    throw usageError(
      'an empty prefix would match every key of the server',
      'pass --prefix, for example --prefix cp:',
    );
}

/** Counts and measures what a flush would delete, without deleting anything. */
export async function previewFlush(
  connection: CacheConnection,
  prefix: string,
  options: FlushFilter & { readonly signal?: AbortSignal } = {},
): Promise<FlushPreview> {
  checkPrefix(prefix);
  const seen = new Set<string>();
  const nodes = new Map<string, number>();
  const sample: string[] = [];
  const sizes: number[] = [];
  const ttls: number[] = [];
  let keyCount = 0;
  for await (const { node, keys } of scanPrefix(connection, prefix, options)) {
    const matching = (await filtered(node, keys, options)).filter((key) => !seen.has(key));
    for (const key of matching) if (seen.size < MAX_REMEMBERED_KEYS) seen.add(key);
    keyCount += matching.length;
    nodes.set(addressOf(node), (nodes.get(addressOf(node)) ?? 0) + matching.length);
    sample.push(...matching.slice(0, SAMPLE_KEYS - sample.length));
    const measured = matching.slice(0, Math.max(0, Math.min(20, MEASURED_KEYS - sizes.length)));
    for (const { bytes, ttlMs } of await measure(node, measured)) {
      sizes.push(bytes);
      ttls.push(ttlMs);
    }
  }
  const expiring = ttls.filter((ttl) => ttl >= 0).sort((a, b) => a - b);
  const meanBytes = sizes.length === 0 ? 0 : sizes.reduce((sum, bytes) => sum + bytes, 0) / sizes.length;
  const foreverShare = ttls.length === 0 ? 0 : ttls.filter((ttl) => ttl === -1).length / ttls.length;
  return {
    prefix,
    keys: keyCount,
    sample,
    memoryBytes: Math.round(meanBytes * keyCount),
    measuredKeys: sizes.length,
    withoutTtl: Math.round(foreverShare * keyCount),
    ttlMedianMs: expiring[Math.floor(expiring.length / 2)],
    nodes: [...nodes].map(([address, keys]) => ({ address, keys })),
  };
}

/**
 * Deletes the keys that begin with `prefix`: SCAN on every node and one-key UNLINKs in a pipeline, which also works where a
 * cluster refuses several keys at once. Never FLUSHDB or FLUSHALL, which would take other programs' keys along.
 */
export async function flushPrefix(
  connection: CacheConnection,
  prefix: string,
  options: FlushOptions = {},
): Promise<FlushResult> {
  checkPrefix(prefix);
  const {
    clock = systemClock,
    batchSize = DEFAULT_BATCH,
    maxKeys = Number.POSITIVE_INFINITY,
    signal,
  } = options;
  const pacer = createPacer(options.ratePerSecond, clock);
  const startedMs = clock.now();
  let deleted = 0;
  let complete = true;
  try {
    for await (const { node, keys } of scanPrefix(connection, prefix, options)) {
      const matching = await filtered(node, keys, options);
      for (let at = 0; at < matching.length && deleted < maxKeys; at += batchSize) {
        const batch = matching.slice(at, Math.min(at + batchSize, at + maxKeys - deleted));
        deleted += await unlink(node, batch);
        options.onProgress?.(deleted);
        await pacer.spent(batch.length, signal);
      }
      if (deleted >= maxKeys) {
        complete = false;
        break;
      }
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    complete = false;
  }
  return { prefix, deleted, durationMs: clock.now() - startedMs, complete };
}

async function unlink(node: Redis, keys: readonly string[]): Promise<number> {
  const pipeline = node.pipeline();
  for (const key of keys) pipeline.unlink(key);
  let count = 0;
  for (const [error, reply] of (await pipeline.exec()) ?? []) {
    if (error) throw error;
    count += Number(reply);
  }
  return count;
}

async function filtered(
  node: Redis,
  keys: readonly string[],
  filter: FlushFilter,
): Promise<readonly string[]> {
  if (filter.idleOverMs === undefined && filter.withoutTtl !== true) return keys;
  const pipeline = node.pipeline();
  for (const key of keys) pipeline.object('IDLETIME', key).pttl(key);
  const replies = (await pipeline.exec()) ?? [];
  return keys.filter((_, index) => {
    const idleSeconds = Number(replies[index * 2]?.[1] ?? 0);
    const ttlMs = Number(replies[index * 2 + 1]?.[1] ?? -2);
    if (filter.idleOverMs !== undefined && idleSeconds * 1000 <= filter.idleOverMs) return false;
    return filter.withoutTtl !== true || ttlMs === -1;
  });
}

async function measure(
  node: Redis,
  keys: readonly string[],
): Promise<readonly { readonly bytes: number; readonly ttlMs: number }[]> {
  if (keys.length === 0) return [];
  const pipeline = node.pipeline();
  for (const key of keys) pipeline.memory('USAGE', key).pttl(key);
  const replies = (await pipeline.exec()) ?? [];
  return keys.map((_, index) => ({
    bytes: Number(replies[index * 2]?.[1] ?? 0),
    ttlMs: Number(replies[index * 2 + 1]?.[1] ?? -2),
  }));
}

function addressOf({ options }: Redis): string {
  return options.path ?? `${options.host}:${options.port}`;
}
