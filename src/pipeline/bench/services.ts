import { openCache } from '../../cache/connection.ts';
import { createCacheWriter } from '../../cache/writer.ts';
import type { CosmosTarget, EventHubsTarget, RedisTarget } from '../../config/targets.ts';
import { openChangeFeed } from '../../cosmos/change-feed/reader.ts';
import { type CosmosConnection, openCosmos } from '../../cosmos/client.ts';
import { type ContainerSpec, provision, readContainer, throughputOf } from '../../cosmos/containers.ts';
import { queryPages, type StoredItem } from '../../cosmos/items.ts';
import { openHubReader } from '../../eventhubs/backlog.ts';
import { memoryCheckpointStore } from '../../eventhubs/checkpoint-memory.ts';
import type { ResettableCheckpointStore } from '../../eventhubs/checkpoint-store.ts';
import { eventHubsConnection } from '../../eventhubs/connection.ts';
import type { Clock } from '../../util/clock.ts';
import { ENVELOPE_FIELD } from '../../util/envelope.ts';
import type { WorkloadInput } from '../../workload/spec.ts';
import { valueAt } from '../feed/fields.ts';
import { ingest } from '../ingest/ingest.ts';
import type { IngestLimits } from '../ingest/types.ts';
import { produce } from '../produce/produce.ts';
import type { ProduceLimits } from '../produce/types.ts';
import type { BenchCache, BenchStages, StageContext } from './stages.ts';

export interface BenchServices {
  readonly eventHubs: EventHubsTarget;
  readonly cosmos: CosmosTarget;
  /** Without it the pipeline ends at the change feed. */
  readonly redis?: RedisTarget;
}

export interface BenchServiceOptions {
  readonly run: string;
  readonly clock: Clock;
  readonly workload: WorkloadInput;
  /** How the container is made when it is missing; without it the container must exist. */
  readonly container?: ContainerSpec;
  /** Threads of the producer. */
  readonly producerWorkers?: number;
  readonly produceLimits?: ProduceLimits;
  readonly ingestLimits?: IngestLimits;
  /** Told what went wrong and is being retried, one line each. */
  readonly onProblem?: (message: string) => void;
}

/** Entries of one run share a prefix, so that a run finds its own entries only and can be flushed as a whole. */
const CACHE_TTL_MS = 3_600_000;
const STORE_PAGE = 1_000;
/** The stages behind the producer share one event loop, and a page is handled in one go: small pages keep the others waiting less. */
const PAGE = 250;
/**
 * Writes and changes wait this long for others of their range. A request costs as much as dozens of events, on both sides
 * of the wire; at 2,000 events/s on 7 ranges a page of the feed then has 14 changes instead of 3.
 */
const GATHER_MS = 50;
/** Change feed times have a resolution of a second, and clocks differ; older changes are of other runs and skipped. */
const START_MARGIN_MS = 5_000;

/**
 * The pipeline on real services (or the embedded stack): Event Hubs -> bulk writer -> Cosmos DB -> change feed -> Redis.
 * Creates the container when it is missing. Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND.
 */
export async function openBenchStages(
  services: BenchServices,
  options: BenchServiceOptions,
): Promise<BenchStages> {
  const { clock, run } = options;
  const { eventHubs, cosmos, redis } = services;
  const connection = await openCosmos(cosmos);
  const { created, partitionKey } =
    options.container === undefined
      ? { ...(await readContainer(connection)), created: false }
      : await provision(connection, options.container);
  const { ruPerSecond } = await throughputOf(connection);
  const checkpoints = await checkpointsAtTheEnd(eventHubs, clock);
  return {
    ...(Number.isFinite(ruPerSecond) && { provisionedRuPerSecond: ruPerSecond }),
    produce: ({ recorder, signal, ledger, started }) =>
      produce({
        target: eventHubs,
        workload: options.workload,
        run,
        recorder,
        clock,
        signal,
        ledger,
        onStart: ({ startMicros }) => started(startMicros),
        ownThread: true,
        ...(options.producerWorkers !== undefined && { workers: options.producerWorkers }),
        ...(options.produceLimits && { limits: options.produceLimits }),
      }),
    async ingest({ recorder, ru, signal, drainAfter }) {
      await ingest({
        eventHubs,
        cosmos,
        checkpoints: { kind: 'store', store: checkpoints },
        recorder,
        ru,
        clock,
        signal,
        until: 'drained',
        drainAfter,
        ownerId: run,
        limits: { pageSize: PAGE, maxWaitMs: GATHER_MS, ...options.ingestLimits },
        ...(options.onProblem && { onProblem: options.onProblem }),
      });
    },
    async feed({ ru, signal, ready, handle }) {
      const reader = await openCosmos(cosmos, { ru });
      try {
        const feed = await openChangeFeed(reader, {
          // A container that was just made holds nothing older; elsewhere reading begins at the end.
          start: created ? 'beginning' : { sinceMs: clock.epochMicros() / 1000 - START_MARGIN_MS },
          clock,
          signal,
          pageSize: PAGE,
          texts: true,
          pollMs: GATHER_MS,
          minPollMs: GATHER_MS,
        });
        ready();
        await feed.run((page) => handle(page.changes, page.receivedMs));
      } finally {
        reader.dispose();
      }
    },
    ...(redis && {
      openCache: (context: StageContext) => openBenchCache(redis, partitionKey.paths, options, context),
    }),
    readStore: ({ signal }) => readRun(connection, run, signal),
    close: async () => connection.dispose(),
  };
}

async function openBenchCache(
  redis: RedisTarget,
  partitionKeyPaths: readonly string[],
  { run, clock }: BenchServiceOptions,
  { recorder }: StageContext,
): Promise<BenchCache> {
  const connection = await openCache(redis);
  const writer = await createCacheWriter({
    target: connection,
    keyPrefix: `cp:${run}:`,
    ttlMs: CACHE_TTL_MS,
    recorder,
    clock,
  });
  const paths = partitionKeyPaths.map((path) => path.slice(1).split('/'));
  const keyOf = (item: Readonly<Record<string, unknown>>): unknown => {
    const components = paths.map((names) => valueAt(item, names));
    return components.length === 1 ? components[0] : components;
  };
  return {
    write: (changes) =>
      writer.write(
        changes.map(({ id, partitionKey, item, text }) => ({ id, partitionKey, body: item, text })),
      ),
    async read(items) {
      const replies = await connection.send(
        items.map((item) => ['get', writer.keyOf({ id: String(item['id']), partitionKey: keyOf(item) })]),
      );
      return replies.map((reply) => (typeof reply === 'string' ? (JSON.parse(reply) as unknown) : undefined));
    },
    async close() {
      connection.dispose();
    },
  };
}

/** What the container holds of a run, straight from the container: a query knows nothing of the feed's order or position. */
async function* readRun(
  connection: CosmosConnection,
  run: string,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredItem[]> {
  const text = `SELECT * FROM c WHERE c.${ENVELOPE_FIELD}.run = @run`;
  for await (const page of queryPages(connection, text, { run }, { pageSize: STORE_PAGE, signal }))
    yield page.items;
}

/** Checkpoints at the present end of every partition, so that the bench sees its own events only, and all of them. */
async function checkpointsAtTheEnd(
  target: EventHubsTarget,
  clock: Clock,
): Promise<ResettableCheckpointStore> {
  const store = memoryCheckpointStore(clock);
  const connection = await eventHubsConnection(target);
  const reader = openHubReader(connection, target.consumerGroup);
  try {
    const { createdMs, partitions } = await reader.read();
    for (const { partitionId, lastSequenceNumber, lastOffset } of partitions) {
      if (lastSequenceNumber < 0) continue;
      await store.updateCheckpoint({
        fullyQualifiedNamespace: connection.host,
        eventHubName: connection.eventHub,
        consumerGroup: target.consumerGroup,
        partitionId,
        sequenceNumber: lastSequenceNumber,
        offset: lastOffset,
        hubCreatedMs: createdMs,
      });
    }
    return store;
  } finally {
    await reader.close();
  }
}
