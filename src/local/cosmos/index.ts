import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../util/clock.ts';
import { seededRandom } from '../../util/random.ts';
import { createFaults, type Faults } from '../faults/faults.ts';
import type { LocalService, ServiceOptions } from '../service.ts';
import { acceptTls } from '../tls/accept-tls.ts';
import { EMULATOR_KEY } from './auth.ts';
import { Catalog, type ContainerEntry } from './catalog.ts';
import { drawOperationFault } from './faults.ts';
import { createGateway } from './gateway.ts';
import { createHttpServer } from './http.ts';
import { type CosmosStats, containerStats } from './stats.ts';
import { requiredPartitions } from './throughput.ts';

export interface CosmosOptions extends ServiceOptions {
  /** Account key in base64; the documented emulator key by default. Requests must be signed with it. */
  readonly key?: string;
  /** Failures to inject, by flag or at run time. */
  readonly faults?: Faults;
  /** Enforces request units per second with 429; on by default. */
  readonly throttling?: boolean;
  readonly clock?: Clock;
  /** How long a scale-up waits for its partitions; Azure takes hours, the default is 0. */
  readonly splitDelayMs?: number;
  /** Answers 410 also to queries that name a range that was split; off by default (README, Splits). */
  readonly strictSplit?: boolean;
}

/** An embedded Cosmos DB account, API for NoSQL, gateway mode over HTTP. */
export interface CosmosService extends LocalService {
  readonly faults: Faults;
  stats(): CosmosStats;
  /**
   * Divides a partition key range in two, as the service does when a partition grows.
   *
   * @returns the ids of the two new ranges
   * @throws Error when there is no such database, container or range
   */
  split(database: string, container: string, rangeId: string): [string, string];
}

export type { ContainerStats, CosmosStats, RangeStats } from './stats.ts';

/** Revisions per range that one round of expiry looks at. */
const EXPIRY_BATCH = 10_000;
const EXPIRY_INTERVAL_MS = 1_000;

/** Starts the account. @throws the error of `listen` when the port is taken */
export async function startCosmos(options: CosmosOptions = {}): Promise<CosmosService> {
  const { host = '127.0.0.1', port = 0, key = EMULATOR_KEY, throttling = true, splitDelayMs = 0 } = options;
  const clock = options.clock ?? systemClock;
  const faults = options.faults ?? createFaults('cosmos', { random: seededRandom(1), clock });
  const stopping = new AbortController();
  const now = (): number => clock.epochMicros() / 1000;
  const catalog = new Catalog(options.dataDir, now);

  const scaleOut = (entry: ContainerEntry): void => {
    if (entry.container.ranges.length >= requiredPartitions(entry.container.throughput)) return;
    if (splitDelayMs === 0) {
      entry.container.splitForThroughput();
      return;
    }
    entry.offer.pending = true;
    clock.sleep(splitDelayMs, stopping.signal).then(
      () => {
        entry.container.splitForThroughput();
        entry.offer.pending = false;
        catalog.save();
      },
      () => {},
    );
  };
  for (const entry of catalog.containers) {
    entry.offer.pending = false;
    scaleOut(entry);
  }

  const gateway = createGateway({
    catalog,
    key,
    now,
    scaleOut,
    strictSplit: options.strictSplit ?? false,
    admit: throttling ? (range) => range.budget.admit(clock.now()) : () => {},
    fault: (range) => drawOperationFault(faults, range),
  });
  const server = createHttpServer({ faults, clock, signal: stopping.signal, handle: gateway });
  const dropUnspoken = options.certificate && acceptTls(server, options.certificate);
  const endSplits = faults.onDue('split', () => splitLargest(catalog));
  const expiry = setInterval(() => {
    for (const { container } of catalog.containers) container.expire(EXPIRY_BATCH);
  }, EXPIRY_INTERVAL_MS).unref();

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const actualPort = (server.address() as AddressInfo).port;
  const endpoint = `http://${host}:${actualPort}/`;
  const service: CosmosService = {
    host,
    port: actualPort,
    faults,
    environment: {
      COSMOS_ENDPOINT: endpoint,
      COSMOS_KEY: key,
      COSMOS_CONNECTION_STRING: `AccountEndpoint=${endpoint};AccountKey=${key};`,
    },
    stats: () => ({ containers: catalog.containers.map((entry) => containerStats(entry, clock.now())) }),
    split: (database, container, rangeId) => catalog.container(database, container).container.split(rangeId),
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort(new Error('the local Cosmos DB was stopped'));
      endSplits();
      clearInterval(expiry);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        dropUnspoken?.();
      });
      catalog.close();
    },
  };
  return service;
}

/** Where an injected split strikes: the widest range of the container that holds the most. */
function splitLargest(catalog: Catalog): void {
  const [entry] = catalog.containers.sort((a, b) => itemsIn(b) - itemsIn(a));
  if (entry === undefined) return;
  const [range] = [...entry.container.ranges].sort((a, b) => a.parents.length - b.parents.length);
  if (range !== undefined) entry.container.split(range.id);
}

const itemsIn = ({ container }: ContainerEntry): number =>
  container.ranges.reduce((sum, range) => sum + range.liveItems, 0);
