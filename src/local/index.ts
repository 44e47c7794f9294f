import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import { seededRandom } from '../util/random.ts';
import { startAdmin } from './admin.ts';
import { type CosmosService, startCosmos } from './cosmos/index.ts';
import { lockDataDir } from './data-lock.ts';
import { type EventGridService, startEventGrid } from './event-grid/index.ts';
import { type EventHubsService, type HubDefinition, startEventHubs } from './event-hubs/index.ts';
import { createFaults, type Faults } from './faults/faults.ts';
import { FAULT_KINDS, type FaultService } from './faults/grammar.ts';
import { type ForeignRedis, startForeignRedis } from './redis/choice.ts';
import { type RedisService, startRedis } from './redis/index.ts';
import type { LocalService, ServiceOptions } from './service.ts';
import { createStackFaults, type StackFaults } from './stack-faults.ts';
import { selfSignedCertificate } from './tls/certificate.ts';

export interface LocalOptions {
  /** Address to bind; loopback by default. */
  readonly host?: string;
  /** TCP ports; each takes a free one by default. */
  readonly ports?: Partial<Record<'eventHubs' | 'cosmos' | 'redis' | 'eventGrid' | 'admin', number>>;
  /** Folder for append-only logs: what was acknowledged survives SIGKILL. In memory when absent. */
  readonly dataDir?: string;
  /** Event hubs to create at once; others are created when first used. Default: `telemetry` with 4 partitions. */
  readonly hubs?: readonly HubDefinition[];
  /** Ingress and egress limits of the Event Hubs namespace, in throughput units; unlimited when absent. */
  readonly throughputUnits?: number;
  /** `embedded` (default), `auto` for the redis-server or valkey-server of the PATH, or the URL of a running server. */
  readonly redis?: string;
  /** Length of an Event Grid second in real seconds: 0.001 runs its day of retries in 86 s. Default 1. */
  readonly eventGridTimeScale?: number;
  /** Fault specifications to begin with, e.g. `cosmos:throttle=5%`. */
  readonly faults?: readonly string[];
  /** Seed of everything random in the stack. */
  readonly seed?: number;
  readonly clock?: Clock;
}

export type { HubDefinition };

/** The embedded stack: every service on its real wire protocol, in this process. */
export interface LocalStack {
  /** Environment variables with which any unmodified SDK program reaches the stack. */
  readonly environment: Readonly<Record<string, string>>;
  readonly eventHubs: EventHubsService;
  readonly cosmos: CosmosService;
  readonly redis: RedisService | ForeignRedis;
  readonly eventGrid: EventGridService;
  readonly faults: StackFaults;
  /** Base URL of /health, /stats, /faults and /split. */
  readonly adminUrl: string;
  /**
   * PEM of the certificate with which Event Hubs, Cosmos DB and Event Grid answer TLS on their ports: for the `ca` of a
   * client, or a file that NODE_EXTRA_CA_CERTS or SSL_CERT_FILE names. A new one at each start.
   */
  readonly certificate: string;
  stop(): Promise<void>;
}

/**
 * Starts the whole stack on free ports of the loopback interface.
 *
 * @throws PipeError E_PORT_IN_USE that names the service and its port; E_CONFIG when another stack has the data folder.
 */
export async function startLocal(options: LocalOptions = {}): Promise<LocalStack> {
  const {
    host = '127.0.0.1',
    ports = {},
    dataDir,
    clock = systemClock,
    seed = 1,
    redis: redisChoice = 'embedded',
  } = options;
  const certificate = selfSignedCertificate(host, clock.epochMicros() / 1000);
  const unlock = dataDir === undefined ? undefined : lockDataDir(dataDir);
  const faultsOf = Object.fromEntries(
    (Object.keys(FAULT_KINDS) as FaultService[]).map((service, index) => [
      service,
      createFaults(service, { random: seededRandom(seed + index), clock }),
    ]),
  ) as Record<FaultService, Faults>;
  const faults = createStackFaults(faultsOf, redisChoice === 'embedded' ? [] : ['redis']);
  const started: { stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    faults.clear();
    await Promise.all(started.splice(0).map((service) => service.stop()));
    unlock?.();
  };
  const start = async <T extends { stop(): Promise<void> }>(
    name: string,
    port: number,
    launch: (common: ServiceOptions & { readonly host: string; readonly port: number }) => Promise<T>,
  ): Promise<T> => {
    const folder = dataDir === undefined ? undefined : join(dataDir, name);
    if (folder !== undefined) mkdirSync(folder, { recursive: true });
    try {
      const service = await launch({
        host,
        port,
        certificate,
        ...(folder !== undefined && { dataDir: folder }),
      });
      started.push(service);
      return service;
    } catch (error) {
      throw portInUse(error, name, port) ?? error;
    }
  };
  try {
    for (const spec of options.faults ?? []) faults.add(spec);
    const eventHubsStarted = start('event-hubs', ports.eventHubs ?? 0, (common) =>
      startEventHubs({
        ...common,
        clock,
        faults: faultsOf['event-hubs'],
        ...(options.hubs && { hubs: options.hubs }),
        ...(options.throughputUnits !== undefined && { throughputUnits: options.throughputUnits }),
      }),
    );
    const settled = await Promise.allSettled([
      eventHubsStarted,
      start('cosmos', ports.cosmos ?? 0, (common) =>
        startCosmos({ ...common, clock, faults: faultsOf.cosmos }),
      ),
      start(
        'redis',
        ports.redis ?? 0,
        (common): Promise<RedisService | ForeignRedis> =>
          redisChoice === 'embedded'
            ? startRedis({ ...common, clock, faults: faultsOf.redis })
            : startForeignRedis(redisChoice, common),
      ),
      start('event-grid', ports.eventGrid ?? 0, (common) =>
        startEventGrid({
          ...common,
          clock,
          seed,
          faults: faultsOf['event-grid'],
          async deliverToEventHub(hub, body, properties, partitionKey) {
            (await eventHubsStarted).append(hub, { body, properties, partitionKey });
          },
          ...(options.eventGridTimeScale !== undefined && { timeScale: options.eventGridTimeScale }),
        }),
      ),
    ]);
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const [eventHubs, cosmos, redis, eventGrid] = settled.map(
      (result) => (result as PromiseFulfilledResult<LocalService>).value,
    ) as [EventHubsService, CosmosService, RedisService | ForeignRedis, EventGridService];
    const admin = await start('admin', ports.admin ?? 0, ({ port }) =>
      startAdmin({ host, port, faults, eventHubs, cosmos, redis, eventGrid }),
    );
    return {
      environment: {
        ...eventHubs.environment,
        ...cosmos.environment,
        ...redis.environment,
        ...eventGrid.environment,
      },
      eventHubs,
      cosmos,
      redis,
      eventGrid,
      faults,
      adminUrl: `http://${host}:${admin.port}`,
      certificate: certificate.certificate,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function portInUse(error: unknown, name: string, port: number): PipeError | undefined {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return undefined;
  return new PipeError('E_PORT_IN_USE', `port ${port} for ${name} is already in use`, {
    hint: `pass --${name}-port 0 for a free port, or --free-ports for all`,
    cause: error,
  });
}
