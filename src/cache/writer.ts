import type { RedisTarget } from '../config/targets.ts';
import type { StageRecorder } from '../metrics/types.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { ENVELOPE_FIELD } from '../util/envelope.ts';
import { PipeError } from '../util/errors.ts';
import { type Random, seededRandom } from '../util/random.ts';
import type { CacheCommand } from './command.ts';
import { type CacheConnection, openCache } from './connection.ts';
import { cacheKey } from './key.ts';
import { type EncodedValue, encodeValue } from './value.ts';
import { versionOf } from './version.ts';

const DEFAULT_BATCH = 500;
const DEFAULT_JITTER = 0.1;
const DEFAULT_KEY_PREFIX = 'cp:';

/** `string`: the JSON text under the key, for programs that GET. `versioned`: a hash that stale writes cannot overwrite. */
export type CacheFormat = 'string' | 'versioned';

export interface CacheItem {
  readonly id: string;
  readonly partitionKey: unknown;
  /** JSON text, or the item itself. */
  readonly body: string | Readonly<Record<string, unknown>>;
  /** JSON text of a body that is the item itself, where it is at hand; else it is made. */
  readonly text?: string | undefined;
  /** `_ts` of the item in seconds and its log sequence number, where known; only `versioned` uses them. */
  readonly tsSeconds?: number;
  readonly lsn?: number;
  /** Intended send time of the event, microseconds since the epoch; else read from the envelope of an object body. */
  readonly intendedMicros?: number;
}

export interface CacheWriterOptions {
  /** Where to write: a target, or a connection that stays the caller's. */
  readonly target: RedisTarget | CacheConnection;
  /** Default `cp:`. */
  readonly keyPrefix?: string;
  /** Default `string`. */
  readonly format?: CacheFormat;
  /** Life of an entry in milliseconds; without it entries stay. */
  readonly ttlMs?: number;
  /** Spreads the life by plus or minus this share, or entries written together end together; default 0.1. */
  readonly ttlJitter?: number;
  /** Leaves existing entries alone. */
  readonly onlyMissing?: boolean;
  readonly project?: readonly string[];
  readonly gzipOverBytes?: number;
  /** Entries above this many bytes are skipped and counted. */
  readonly maxValueBytes?: number;
  /** Commands per round trip, default 500. */
  readonly batchSize?: number;
  readonly recorder?: StageRecorder;
  readonly clock?: Clock;
  readonly random?: Random;
}

interface CacheWriterTotals {
  readonly written: number;
  /** Not written because the cache held the same, something newer, or (with `onlyMissing`) anything. */
  readonly kept: number;
  readonly tooLarge: number;
  readonly sizeBytes: number;
}

export interface CacheWriter {
  readonly connection: CacheConnection;
  /** Resolves when the cache has acknowledged every item; at most one batch is on the wire. Throws a PipeError. */
  write(items: readonly CacheItem[]): Promise<void>;
  keyOf(item: Pick<CacheItem, 'id' | 'partitionKey'>): string;
  totals(): CacheWriterTotals;
  /** Ends the connection, unless it was the caller's. */
  close(): Promise<void>;
}

/** Writes items of a container or its change feed into the cache, under the key of src/cache/key.ts. */
export async function createCacheWriter(options: CacheWriterOptions): Promise<CacheWriter> {
  const { keyPrefix = DEFAULT_KEY_PREFIX, recorder, clock = systemClock, target } = options;
  const random = options.random ?? seededRandom(clock.epochMicros());
  const owned = 'url' in target;
  const connection = owned ? await openCache(target) : target;
  const batchSize = options.batchSize ?? DEFAULT_BATCH;
  const totals = { written: 0, kept: 0, tooLarge: 0, sizeBytes: 0 };
  const keyOf = (item: Pick<CacheItem, 'id' | 'partitionKey'>): string =>
    cacheKey(keyPrefix, item.partitionKey, item.id);

  const writeBatch = async (items: readonly CacheItem[]): Promise<void> => {
    const commands: CacheCommand[] = [];
    const sent: CacheItem[] = [];
    const sizes: number[] = [];
    for (const item of items) {
      const value = encodeValue(options.project ? item.body : (item.text ?? item.body), options);
      if (value.sizeBytes > (options.maxValueBytes ?? Number.POSITIVE_INFINITY)) {
        totals.tooLarge++;
        continue;
      }
      commands.push(commandFor(keyOf(item), item, value, lifeMs(options, random), options));
      sent.push(item);
      sizes.push(value.sizeBytes);
    }
    const startedMs = clock.now();
    recorder?.inFlight(commands.length);
    const replies = await connection.send(commands);
    recorder?.inFlight(0);
    recorder?.serviceTime((clock.now() - startedMs) * 1000, commands.length);
    const doneMicros = clock.epochMicros();
    let doneBytes = 0;
    replies.forEach((reply, index) => {
      if (reply instanceof Error) throw writeError(reply, connection.address, recorder);
      const size = sizes[index] ?? 0;
      doneBytes += size;
      if (reply === 'OK' || reply === 1) {
        totals.written++;
        totals.sizeBytes += size;
      } else totals.kept++;
      const intended = intendedMicros(sent[index] as CacheItem);
      if (intended !== undefined) recorder?.latency(doneMicros - intended);
    });
    recorder?.done(replies.length, doneBytes);
  };

  return {
    connection,
    keyOf,
    totals: () => ({ ...totals }),
    async write(items) {
      recorder?.offered(items.length);
      for (let at = 0; at < items.length; at += batchSize) await writeBatch(items.slice(at, at + batchSize));
    },
    async close() {
      if (owned) connection.dispose();
    },
  };
}

function commandFor(
  key: string,
  item: CacheItem,
  value: EncodedValue,
  ttlMs: number,
  { format = 'string', onlyMissing }: CacheWriterOptions,
): CacheCommand {
  if (format === 'versioned') {
    const version = versionOf(item.tsSeconds ?? tsSecondsOf(item.body), item.lsn);
    // With a log sequence number the item comes from the feed, whose order decides within one second.
    const accept = onlyMissing ? 'missing' : item.lsn === undefined ? 'newer' : 'equal';
    return ['cpSetIfNewer', key, version, value.bytes, value.encoding, ttlMs, accept];
  }
  const expiry = ttlMs > 0 ? ['PX', ttlMs] : [];
  return ['set', key, value.bytes, ...expiry, ...(onlyMissing ? ['NX'] : [])];
}

function tsSecondsOf(body: CacheItem['body']): number {
  if (typeof body !== 'string') return typeof body['_ts'] === 'number' ? body['_ts'] : 0;
  // The service writes its own properties last.
  const match = /.*"_ts":(\d+)/s.exec(body);
  return Number(match?.[1] ?? 0);
}

function lifeMs({ ttlMs, ttlJitter = DEFAULT_JITTER }: CacheWriterOptions, random: Random): number {
  if (ttlMs === undefined) return 0;
  return Math.max(1, Math.round(ttlMs * (1 + ttlJitter * (2 * random.next() - 1))));
}

function intendedMicros(item: CacheItem): number | undefined {
  if (item.intendedMicros !== undefined || typeof item.body === 'string') return item.intendedMicros;
  const envelope = item.body[ENVELOPE_FIELD] as { readonly intendedMicros?: unknown } | undefined;
  return typeof envelope?.intendedMicros === 'number' ? envelope.intendedMicros : undefined;
}

function writeError(error: Error, address: string, recorder: StageRecorder | undefined): PipeError {
  const full = error.message.startsWith('OOM');
  recorder?.failed(full ? 'outOfMemory' : 'refused', 1);
  return new PipeError('E_INTERNAL', `Redis at ${address} refused a write (${error.message})`, {
    hint: full ? 'give it more memory, an eviction policy, or pass --max-memory' : 'see the server log',
    cause: error,
  });
}
