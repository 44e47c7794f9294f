import { giniOf, type HotKey, SpaceSaving } from '../../cache/hot-keys.ts';
import { Histogram } from '../../metrics/histogram.ts';
import { type Answer, CACHE_RESULTS, type CacheResult } from './serve-reader.ts';

/** Distinct missed keys are counted exactly up to here. */
const MAX_MISSED_KEYS = 200_000;

export interface ServeStats {
  readonly requests: number;
  readonly byResult: Readonly<Record<CacheResult, number>>;
  readonly errors: number;
  /** Answers from a cache (this process or Redis, stale ones included) over answers that could be. */
  readonly hitRate: number | undefined;
  readonly requestCharge: number;
  /** Hits times the mean charge of the reads that missed: measured, not assumed. */
  readonly requestChargeSaved: number;
  /** Reads of the store per distinct key that missed; 1 is ideal, entries that ran out and came back raise it. */
  readonly stampedeFactor: number | undefined;
  readonly latencyMicros: Readonly<
    Record<CacheResult, { readonly p50: number; readonly p99: number; readonly max: number }>
  >;
  readonly hot: {
    readonly keys: readonly (HotKey & { readonly share: number })[];
    /** 0 all alike, towards 1 few keys take everything; over the keys counted. */
    readonly gini: number;
  };
}

/** Counts what `serve` does, in fixed memory. */
export class ServeRecorder {
  readonly #counts = new Map<CacheResult, number>();
  readonly #latencies = new Map<CacheResult, Histogram>(
    CACHE_RESULTS.map((result) => [result, new Histogram()]),
  );
  readonly #hot = new SpaceSaving();
  readonly #missed = new Set<string>();
  #storeReads = 0;
  #charge = 0;
  #errors = 0;

  record(key: string, { result, requestCharge }: Answer, micros: number): void {
    this.#counts.set(result, (this.#counts.get(result) ?? 0) + 1);
    this.#latencies.get(result)?.record(Math.round(micros));
    this.#hot.add(key);
    this.#charge += requestCharge;
    if (result !== 'MISS') return;
    this.#storeReads++;
    if (this.#missed.size < MAX_MISSED_KEYS) this.#missed.add(key);
  }

  failed(): void {
    this.#errors++;
  }

  stats(hotKeys = 20): ServeStats {
    const of = (result: CacheResult): number => this.#counts.get(result) ?? 0;
    const hits = of('L1') + of('HIT') + of('STALE');
    const misses = of('MISS') + of('COALESCED');
    const paid = of('MISS') + of('BYPASS');
    const keys = this.#hot.top(256);
    return {
      requests: hits + misses + of('BYPASS'),
      byResult: byResult(of),
      errors: this.#errors,
      hitRate: hits + misses === 0 ? undefined : hits / (hits + misses),
      requestCharge: this.#charge,
      requestChargeSaved: paid === 0 ? 0 : (hits + of('COALESCED')) * (this.#charge / paid),
      stampedeFactor: this.#missed.size === 0 ? undefined : this.#storeReads / this.#missed.size,
      latencyMicros: byResult((result) => {
        const histogram = this.#latencies.get(result) as Histogram;
        return { p50: histogram.percentile(50), p99: histogram.percentile(99), max: histogram.max };
      }),
      hot: {
        keys: keys.slice(0, hotKeys).map((key) => ({ ...key, share: key.count / this.#hot.total })),
        gini: giniOf(keys.map(({ count }) => count)),
      },
    };
  }
}

function byResult<T>(value: (result: CacheResult) => T): Readonly<Record<CacheResult, T>> {
  return Object.fromEntries(CACHE_RESULTS.map((result) => [result, value(result)])) as Record<CacheResult, T>;
}

/** The text format that Prometheus reads. */
export function prometheusText(stats: ServeStats, gauges: Readonly<Record<string, number>>): string {
  const lines = [
    '# TYPE cosmos_pipe_serve_requests_total counter',
    ...CACHE_RESULTS.map(
      (result) => `cosmos_pipe_serve_requests_total{result="${result}"} ${stats.byResult[result]}`,
    ),
    '# TYPE cosmos_pipe_serve_errors_total counter',
    `cosmos_pipe_serve_errors_total ${stats.errors}`,
    '# TYPE cosmos_pipe_serve_request_units_total counter',
    `cosmos_pipe_serve_request_units_total ${stats.requestCharge}`,
    '# TYPE cosmos_pipe_serve_request_units_saved gauge',
    `cosmos_pipe_serve_request_units_saved ${stats.requestChargeSaved}`,
    '# TYPE cosmos_pipe_serve_latency_seconds gauge',
    ...CACHE_RESULTS.flatMap((result) =>
      (['p50', 'p99', 'max'] as const).map(
        (quantile) =>
          `cosmos_pipe_serve_latency_seconds{result="${result}",quantile="${quantile}"} ${stats.latencyMicros[result][quantile] / 1e6}`,
      ),
    ),
    ...Object.entries(gauges).flatMap(([name, value]) => [
      `# TYPE cosmos_pipe_serve_${name} gauge`,
      `cosmos_pipe_serve_${name} ${value}`,
    ]),
  ];
  return `${lines.join('\n')}\n`;
}
