import { Agent, get } from 'node:http';
import type { Instance, Result } from 'autocannon';
import { Histogram, type HistogramSummary } from '../metrics/histogram.ts';
import type { Clock } from '../util/clock.ts';

export interface LoadTarget {
  /** Base address of the server. */
  readonly url: string;
  /** Path of request `index`; the same index gives the same path. */
  readonly path: (index: number) => string;
  readonly clock: Clock;
  /** Ends the load, which then throws the reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  /** Sum of the x-cosmos-ru headers. */
  readonly requestCharge: number;
  /** Responses by their x-cache header. */
  readonly byResult: Readonly<Record<string, number>>;
  /** Response times; under paced load counted from the intended send time, so that waiting in line shows. */
  readonly latency: HistogramSummary;
  readonly latencyByResult: Readonly<Record<string, HistogramSummary>>;
}

class Tally {
  readonly #all = new Histogram();
  readonly #by = new Map<string, Histogram>();
  charge = 0;
  errors = 0;

  answered(status: number, result: string, charge: number, micros: number): void {
    if (status >= 500) {
      this.errors++;
      return;
    }
    this.charge += charge;
    this.#all.record(Math.max(1, Math.round(micros)));
    const histogram = this.#by.get(result) ?? new Histogram();
    this.#by.set(result, histogram);
    histogram.record(Math.max(1, Math.round(micros)));
  }

  result(durationMs: number): LoadResult {
    const requests = this.#all.count;
    return {
      requests,
      errors: this.errors,
      durationMs,
      requestsPerSecond: (requests / durationMs) * 1000,
      requestCharge: this.charge,
      byResult: Object.fromEntries([...this.#by].map(([result, { count }]) => [result, count])),
      latency: this.#all.summary(),
      latencyByResult: Object.fromEntries([...this.#by].map(([result, each]) => [result, each.summary()])),
    };
  }
}

/**
 * As many requests as the server takes over a number of connections (closed loop), by autocannon. Without a rate its
 * correction for coordinated omission stays off, which is as well: it assumes an interval of 1 ms whatever the rate
 * (lib/run.js). Its histogram has a resolution of 1 ms, so times are taken here.
 */
export async function saturate(
  { url, path, clock, signal }: LoadTarget,
  { connections, amount }: { readonly connections: number; readonly amount: number },
): Promise<LoadResult> {
  const { default: autocannon } = await import('autocannon');
  const tally = new Tally();
  let index = 0;
  const startedMs = clock.now();
  // Without a callback it is a promise and the instance at once, which its types do not say.
  const instance = autocannon({
    url,
    connections,
    amount,
    requests: [
      {
        setupRequest(request, context) {
          (context as { sentMs?: number }).sentMs = clock.now();
          return { ...request, path: path(index++) };
        },
        onResponse(status, _body, context, headers) {
          const sentMs = (context as { sentMs?: number }).sentMs ?? startedMs;
          const { 'x-cache': result, 'x-cosmos-ru': charge } = lowerCase(headers);
          tally.answered(status, result ?? 'none', Number(charge ?? 0), (clock.now() - sentMs) * 1000);
        },
      },
    ],
  }) as Promise<Result> & Pick<Instance, 'stop'>;
  const stop = (): void => instance.stop();
  signal?.addEventListener('abort', stop, { once: true });
  const { errors, timeouts } = await instance;
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  tally.errors += errors + timeouts;
  return tally.result(clock.now() - startedMs);
}

function lowerCase(headers: object | undefined): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
}

/**
 * Requests at fixed times whatever the server does (open loop). Latency counts from the intended time: a server that
 * falls behind shows it. Above `maxInFlight` a request is dropped and counted as an error.
 */
export async function pace(
  { url, path, clock, signal }: LoadTarget,
  load: { readonly ratePerSecond: number; readonly amount: number; readonly maxInFlight?: number },
): Promise<LoadResult> {
  const { ratePerSecond, amount, maxInFlight = 1_000 } = load;
  const agent = new Agent({ keepAlive: true, maxSockets: maxInFlight });
  const tally = new Tally();
  const startedMs = clock.now();
  const pending = new Set<Promise<void>>();
  for (let index = 0; index < amount; ) {
    signal?.throwIfAborted();
    const due = Math.min(amount, Math.floor(((clock.now() - startedMs) / 1000) * ratePerSecond) + 1);
    for (; index < due; index++) {
      if (pending.size >= maxInFlight) {
        tally.errors++;
        continue;
      }
      const intendedMs = startedMs + (index / ratePerSecond) * 1000;
      const request: Promise<void> = fetchOne(agent, new URL(path(index), url))
        .then(
          ({ status, result, charge }) =>
            tally.answered(status, result, charge, (clock.now() - intendedMs) * 1000),
          () => {
            tally.errors++;
          },
        )
        .finally(() => pending.delete(request));
      pending.add(request);
    }
    await clock.sleep(1);
  }
  await Promise.all(pending);
  agent.destroy();
  return tally.result(clock.now() - startedMs);
}

function fetchOne(
  agent: Agent,
  url: URL,
): Promise<{ readonly status: number; readonly result: string; readonly charge: number }> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume();
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          result: String(response.headers['x-cache'] ?? 'none'),
          charge: Number(response.headers['x-cosmos-ru'] ?? 0),
        }),
      );
    }).once('error', reject);
  });
}
