import { type LoadResult, pace, saturate } from '../../cache/load.ts';
import type { Clock } from '../../util/clock.ts';
import { formatKeyDistribution, type KeyDistribution, keyPicker } from '../../workload/keys.ts';
import type { ServeStats } from '../cache/serve-stats.ts';

const HOURS_PER_MONTH = 730;

export interface CacheBenchOptions {
  /** A running `serve` without an in-process cache, its Redis empty for these items. */
  readonly url: string;
  readonly items: readonly { readonly partitionKey: string; readonly id: string }[];
  readonly keys: KeyDistribution;
  readonly requests: number;
  readonly connections: number;
  /** Open loop at this rate; as fast as possible (closed loop, autocannon) when absent. */
  readonly ratePerSecond?: number;
  readonly seed: number;
  /** Price of 100 RU/s per hour, and of the cache per hour, in any one currency. */
  readonly pricePer100Ru: number;
  readonly cachePricePerHour: number;
  readonly clock: Clock;
  /** Ends the load, which then throws the reason. */
  readonly signal?: AbortSignal;
}

export interface CacheBenchResult {
  readonly keys: string;
  readonly requests: number;
  /** Every request reads the container. */
  readonly uncached: LoadResult;
  /** The same requests in the same order through the cache, cold at the start. */
  readonly cached: LoadResult;
  readonly hitRate: number;
  /** Reads of the container per distinct item that was missed. */
  readonly stampedeFactor: number | undefined;
  readonly requestChargeSaved: number;
  /** Throughput with the cache over throughput without; 1 under paced load. */
  readonly speedup: number;
  readonly cost: {
    /** RU/s that the load needs at its own rate, without and with the cache. */
    readonly uncachedRuPerSecond: number;
    readonly cachedRuPerSecond: number;
    readonly savedPerMonth: number;
    readonly cachePerMonth: number;
    /** Hit rate from which on the cache pays for itself at this load; above 1: never. */
    readonly breakEvenHitRate: number;
  };
}

/** Sends one seeded stream of keys twice, past the cache and through it, and reckons what the cache saves. */
export async function benchCache(options: CacheBenchOptions): Promise<CacheBenchResult> {
  const { items, keys, requests, seed, url } = options;
  const pick = keyPicker(keys, items.length, seed);
  const paths = items.map(
    ({ partitionKey, id }) => `/v1/items/${encodeURIComponent(partitionKey)}/${encodeURIComponent(id)}`,
  );
  const path = (index: number): string => paths[pick(index)] as string;
  const uncached = await run(options, (index) => `${path(index)}?nocache=1`);
  const cached = await run(options, path);
  const stats = (await (await fetch(new URL('/stats', url))).json()) as ServeStats;
  const hits = Object.entries(cached.byResult)
    .filter(([result]) => ['L1', 'HIT', 'STALE'].includes(result))
    .reduce((sum, [, count]) => sum + count, 0);
  return {
    keys: formatKeyDistribution(keys),
    requests,
    uncached,
    cached,
    hitRate: cached.requests === 0 ? 0 : hits / cached.requests,
    stampedeFactor: stats.stampedeFactor,
    requestChargeSaved: uncached.requestCharge - cached.requestCharge,
    speedup: cached.requestsPerSecond / uncached.requestsPerSecond,
    cost: costOf(uncached, cached, options),
  };
}

function run(options: CacheBenchOptions, path: (index: number) => string): Promise<LoadResult> {
  const { clock, connections, ratePerSecond, requests: amount, signal, url } = options;
  const target = { url, path, clock, signal };
  return ratePerSecond === undefined
    ? saturate(target, { connections, amount })
    : pace(target, { ratePerSecond, amount });
}

/** Both loads at the rate of the uncached one: what the same users would need with and without the cache. */
function costOf(
  uncached: LoadResult,
  cached: LoadResult,
  { pricePer100Ru, cachePricePerHour }: CacheBenchOptions,
): CacheBenchResult['cost'] {
  const perSecond = uncached.requestsPerSecond;
  const perRequest = (load: LoadResult): number => load.requestCharge / Math.max(1, load.requests);
  const uncachedRuPerSecond = perRequest(uncached) * perSecond;
  const cachedRuPerSecond = perRequest(cached) * perSecond;
  const hourly = (ruPerSecond: number): number => (ruPerSecond / 100) * pricePer100Ru;
  return {
    uncachedRuPerSecond,
    cachedRuPerSecond,
    savedPerMonth: hourly(uncachedRuPerSecond - cachedRuPerSecond) * HOURS_PER_MONTH,
    cachePerMonth: cachePricePerHour * HOURS_PER_MONTH,
    breakEvenHitRate: cachePricePerHour / Math.max(hourly(uncachedRuPerSecond), Number.EPSILON),
  };
}
