import { CircuitBreaker } from '../../cache/circuit-breaker.ts';
import type { CacheConnection } from '../../cache/connection.ts';
import { MemoryCache } from '../../cache/memory-cache.ts';
import { SingleFlight } from '../../cache/single-flight.ts';
import { decodeValue, encodeValue } from '../../cache/value.ts';
import { versionOf, versionOfItem } from '../../cache/version.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';

/**
 * Where an answer came from. L1: this process; HIT: Redis; MISS: the store, asked for this request; COALESCED: the store,
 * asked for another request at the same time; STALE: Redis, past its life, being refreshed; BYPASS: the store, on demand.
 */
export const CACHE_RESULTS = ['L1', 'HIT', 'MISS', 'COALESCED', 'STALE', 'BYPASS'] as const;
export type CacheResult = (typeof CACHE_RESULTS)[number];

export interface Answer {
  /** JSON of the item; `undefined` when there is none. */
  readonly json: string | undefined;
  readonly result: CacheResult;
  /** Request units that this request used. */
  readonly requestCharge: number;
  readonly redisMs: number;
  readonly cosmosMs: number;
}

/** The store behind the cache: a point read. */
type ReadStore = (
  partitionKey: unknown,
  id: string,
) => Promise<
  { readonly item: Readonly<Record<string, unknown>>; readonly requestCharge: number } | undefined
>;

export interface CachedReaderOptions {
  readonly cache: CacheConnection;
  readonly read: ReadStore;
  readonly ttlMs: number;
  readonly ttlJitter?: number;
  /** After its life an entry may still be served this long while it is refreshed; default 0. */
  readonly staleMs?: number;
  /** How long "there is no such item" is remembered; 0 never. */
  readonly negativeTtlMs: number;
  readonly memoryEntries: number;
  readonly memoryTtlMs: number;
  readonly gzipOverBytes?: number;
  /** Reads of the store at the same time; more wait, and beyond ten times as many are refused. */
  readonly maxStoreReads: number;
  readonly clock: Clock;
  readonly random: Random;
}

interface Loaded {
  readonly json: string | undefined;
  readonly requestCharge: number;
  readonly cosmosMs: number;
}

/** Tells "no such item" from "not looked up" inside the caches. */
const NOTHING = 'null';
/** A read that finds nothing is charged like one of 1 KB. */
const NOT_FOUND_CHARGE = 1;

/** Reads items through the caches: this process, then Redis, then one point read for all who ask at once. */
export class CachedReader {
  readonly #options: CachedReaderOptions;
  readonly #memory: MemoryCache<string>;
  readonly #flights = new SingleFlight<Loaded>();
  readonly #breaker: CircuitBreaker;
  #storeReads = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: CachedReaderOptions) {
    const { clock, memoryEntries, memoryTtlMs } = options;
    this.#options = options;
    this.#memory = new MemoryCache({ maxEntries: memoryEntries, ttlMs: memoryTtlMs, clock });
    this.#breaker = new CircuitBreaker({ failures: 5, openMs: 1_000, clock });
  }

  get breaker(): CircuitBreaker['state'] {
    return this.#breaker.state;
  }

  get memoryEntries(): number {
    return this.#memory.size;
  }

  /** Drops a key from this process, as a message of `invalidate --publish` asks. */
  forget(key: string): void {
    this.#memory.delete(key);
  }

  /** Removes the entry from both caches. */
  async evict(key: string): Promise<void> {
    this.#memory.delete(key);
    await this.#options.cache.send([['unlink', key]]);
  }

  /** Throws E_UNREACHABLE when the store is asked for more than it may be. */
  async read(key: string, partitionKey: unknown, id: string, bypass = false): Promise<Answer> {
    if (bypass) return { ...(await this.#load(partitionKey, id)), result: 'BYPASS', redisMs: 0 };
    const near = this.#memory.get(key);
    if (near !== undefined) return answer(near, 'L1', 0);
    const { clock } = this.#options;
    const startedMs = clock.now();
    const far = await this.#breaker.run(() => this.#lookUp(key));
    const redisMs = clock.now() - startedMs;
    if (far?.value !== undefined) {
      const { json, stale } = far.value;
      if (!stale) this.#memory.set(key, json);
      else this.#refresh(key, partitionKey, id);
      return answer(json, stale ? 'STALE' : 'HIT', redisMs);
    }
    const { value, shared } = await this.#flights.run(key, () => this.#fill(key, partitionKey, id));
    if (shared) return { ...value, result: 'COALESCED', redisMs, requestCharge: 0 };
    return { ...value, result: 'MISS', redisMs };
  }

  async #lookUp(key: string): Promise<{ readonly json: string; readonly stale: boolean } | undefined> {
    const { cache, staleMs = 0 } = this.#options;
    const [fields, life] = await cache.sendForBytes([
      ['hmget', key, 'v', 'd'],
      ...(staleMs > 0 ? [['pttl', key] as const] : []),
    ]);
    if (fields instanceof Error) {
      if (!fields.message.startsWith('WRONGTYPE')) throw fields;
      const [value] = await cache.sendForBytes([['get', key]]);
      return Buffer.isBuffer(value) ? { json: decodeValue(value), stale: false } : undefined;
    }
    const document = (fields as readonly (Buffer | null)[])[1];
    if (!document) return undefined;
    const leftMs = Number(life);
    return { json: decodeValue(document), stale: staleMs > 0 && leftMs >= 0 && leftMs < staleMs };
  }

  #refresh(key: string, partitionKey: unknown, id: string): void {
    // Whoever asks next sees the failure; this answer is already given.
    this.#flights.run(key, () => this.#fill(key, partitionKey, id)).catch(() => undefined);
  }

  async #fill(key: string, partitionKey: unknown, id: string): Promise<Loaded> {
    const loaded = await this.#load(partitionKey, id);
    const { cache, negativeTtlMs, ttlMs, ttlJitter = 0.1, staleMs = 0, random } = this.#options;
    if (loaded.json === undefined && negativeTtlMs === 0) return loaded;
    const item = loaded.json === undefined ? undefined : JSON.parse(loaded.json);
    const value = encodeValue(loaded.json ?? NOTHING, this.#options);
    const life = Math.round(ttlMs * (1 + ttlJitter * (2 * random.next() - 1))) + staleMs;
    await this.#breaker.run(async () => {
      const [reply] = await cache.send([
        item === undefined
          ? ['cpSetIfNewer', key, versionOf(0), NOTHING, '', negativeTtlMs, 'missing']
          : ['cpSetIfNewer', key, versionOfItem(item), value.bytes, value.encoding, life, 'newer'],
      ]);
      if (reply instanceof Error) throw reply;
      // Refused: something newer was there, or its tombstone. What was read must not live on here either.
      if (reply === 1) this.#memory.set(key, loaded.json ?? NOTHING);
    });
    return loaded;
  }

  async #load(partitionKey: unknown, id: string): Promise<Loaded> {
    await this.#admit();
    const { clock, read } = this.#options;
    const startedMs = clock.now();
    try {
      const found = await read(partitionKey, id);
      return {
        json: found && JSON.stringify(found.item),
        requestCharge: found?.requestCharge ?? NOT_FOUND_CHARGE,
        cosmosMs: clock.now() - startedMs,
      };
    } finally {
      const next = this.#waiting.shift();
      // The place is handed on, so that nobody slips in between.
      if (next !== undefined) next();
      else this.#storeReads--;
    }
  }

  async #admit(): Promise<void> {
    const { maxStoreReads } = this.#options;
    if (this.#storeReads < maxStoreReads) {
      this.#storeReads++;
      return;
    }
    if (this.#waiting.length >= maxStoreReads * 10)
      throw new PipeError(
        'E_UNREACHABLE',
        `more than ${maxStoreReads * 11} reads of the store are wanted at once`,
        {
          hint: 'raise --max-store-reads, or warm the cache first',
        },
      );
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function answer(json: string, result: CacheResult, redisMs: number): Answer {
  return { json: json === NOTHING ? undefined : json, result, requestCharge: 0, redisMs, cosmosMs: 0 };
}
