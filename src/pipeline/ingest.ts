import type { BulkWriter } from '../cosmos/write-operation.ts';
import { type HubReader, type HubState, openHubReader } from '../eventhubs/backlog.ts';
import { type ResettableCheckpointStore, scopedTo } from '../eventhubs/checkpoint-store.ts';
import { type EventHubsConnection, eventHubsConnection } from '../eventhubs/connection.ts';
import { type Processor, startProcessor } from '../eventhubs/processor.ts';
import { type SdkPosition, type StartFrom, sdkPosition } from '../eventhubs/processor-position.ts';
import { PipeError } from '../util/errors.ts';
import { openCheckpointStore } from './checkpoint-open.ts';
import { newerOnlyWriter } from './ingest-newer.ts';
import { IngestPartition, type IngestTotals, type PartitionEnvironment } from './ingest-partition.ts';
import { partitionProgress } from './ingest-progress.ts';
import { type IngestStore, openIngestStore } from './ingest-store.ts';
import type { IngestOptions, IngestResult } from './ingest-types.ts';
import { drainTargets, staleCheckpoints, undrained } from './ingest-until.ts';
import { compileMapping, type Mapper } from './mapping.ts';

const TICK_MS = 100;
const PROGRESS_EVERY_MS = 1_000;
/** How often the ends of the partitions are asked for: management calls count against the throughput units. */
const HUB_STATE_EVERY_MS = 5_000;
const FOREIGN_CHECKPOINTS_EVERY_MS = 1_000;
const RESTART_DELAY_MS = { first: 500, most: 10_000 } as const;

/**
 * Stores the events of an event hub in a Cosmos DB container, each at least once, under an id that makes a repeated write an
 * overwrite. Shares the partitions with every process that uses the same checkpoint store and consumer group.
 *
 * A checkpoint is the highest sequence number up to which every event is stored (or in the dead letter). When Cosmos DB
 * cannot be reached for longer than the writer retries, receiving starts again at the checkpoints, so that the order per
 * partition key holds.
 *
 * Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND when either service cannot be used at the start, E_AUTH or
 * E_NOT_FOUND when Cosmos DB refuses writes later, E_CONFIG for an event that cannot be stored without a dead letter.
 */
export async function ingest(
  options: IngestOptions,
  openStore: typeof openIngestStore = openIngestStore,
): Promise<IngestResult> {
  const run = await openRun(options, openStore);
  const { clock, signal, onProblem } = options;
  const startedAt = clock.now();
  try {
    for (
      let delayMs: number = RESTART_DELAY_MS.first;
      ;
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS.most)
    ) {
      const storedBefore = run.totals.stored;
      const end = await new Session(run, startedAt).run().catch((error: Error) => error);
      if (!(end instanceof Error)) return { ...run.totals, ...end, durationMs: clock.now() - startedAt };
      if (!(end instanceof PipeError) || end.code !== 'E_UNREACHABLE' || signal.aborted) throw end;
      if (run.totals.stored > storedBefore) delayMs = RESTART_DELAY_MS.first;
      onProblem?.(`${end.message}; continuing from the checkpoints`);
      await clock.sleep(delayMs, signal).catch(() => {});
    }
  } finally {
    await run.close();
  }
}

/** What lives as long as the run, whatever happens to a session. */
interface Run {
  readonly options: IngestOptions;
  readonly connection: EventHubsConnection;
  readonly reader: HubReader;
  readonly hub: HubState;
  readonly store: IngestStore;
  readonly checkpoints: ResettableCheckpointStore;
  readonly positions: Readonly<Record<string, SdkPosition>>;
  readonly from: StartFrom;
  readonly mapper: Mapper;
  readonly totals: IngestTotals;
  /** Last durable sequence number of every partition that was ours at some time. */
  readonly reached: Map<string, number | undefined>;
  close(): Promise<void>;
}

async function openRun(options: IngestOptions, openStore: typeof openIngestStore): Promise<Run> {
  const { clock, eventHubs } = options;
  const from = options.from ?? { kind: 'earliest' };
  const connection = await eventHubsConnection(eventHubs);
  const reader = openHubReader(connection, eventHubs.consumerGroup);
  let store: IngestStore | undefined;
  try {
    const hub = await reader.read();
    const opened = await openStore(options.cosmos, options.ru, options.create);
    store = opened;
    const checkpoints = scopedTo(
      await openCheckpointStore(options.checkpoints, opened.connection, clock),
      connection.host,
    );
    await prepareCheckpoints(options, connection, hub, checkpoints, from);
    const mapper = await compileMapping(options.mapping ?? {}, opened.partitionKeyPaths, clock);
    return {
      options,
      connection,
      reader,
      hub,
      store: opened,
      checkpoints,
      positions: Object.fromEntries(
        hub.partitions.map((partition) => [partition.partitionId, sdkPosition(from, partition)]),
      ),
      from,
      mapper,
      totals: {
        received: 0,
        stored: 0,
        storedBytes: 0,
        alreadyStored: 0,
        skipped: 0,
        deadLettered: 0,
        requestCharge: 0,
        missing: 0,
      },
      reached: new Map(),
      async close() {
        await reader.close();
        opened.close();
      },
    };
  } catch (error) {
    store?.close();
    await reader.close();
    throw error;
  }
}

/** Forgets checkpoints that do not apply, and pins `latest` so that it means the same to whoever takes over a partition. */
async function prepareCheckpoints(
  options: IngestOptions,
  connection: EventHubsConnection,
  hub: HubState,
  checkpoints: ResettableCheckpointStore,
  from: StartFrom,
): Promise<void> {
  const scope = {
    fullyQualifiedNamespace: connection.host,
    eventHubName: connection.eventHub,
    consumerGroup: options.eventHubs.consumerGroup,
  };
  const list = () => checkpoints.listCheckpoints(connection.host, connection.eventHub, scope.consumerGroup);
  const existing = await list();
  const stale = options.restart ? existing : staleCheckpoints(hub, existing);
  if (stale.length > 0) {
    await checkpoints.resetCheckpoints(
      scope,
      stale.map((checkpoint) => checkpoint.partitionId),
    );
    if (!options.restart)
      options.onProblem?.(
        `${stale.length} checkpoints are of an earlier event hub of the same name; starting ${connection.eventHub} at ${from.kind}`,
      );
  }
  if (from.kind !== 'latest') return;
  const kept = new Set((await list()).map((checkpoint) => checkpoint.partitionId));
  for (const { partitionId, lastSequenceNumber, lastOffset } of hub.partitions) {
    if (kept.has(partitionId) || lastSequenceNumber < 0) continue;
    await checkpoints.updateCheckpoint({
      ...scope,
      partitionId,
      sequenceNumber: lastSequenceNumber,
      offset: lastOffset,
      hubCreatedMs: hub.createdMs,
    });
  }
}

type SessionEnd = Pick<IngestResult, 'ended' | 'partitions'> | Error;

/** One stretch of receiving and writing, from claiming partitions to the last checkpoint. */
class Session {
  readonly #run: Run;
  readonly #startedAt: number;
  readonly #partitions = new Map<string, IngestPartition>();
  /** Aborted when the session ends for whatever reason. */
  readonly #end = new AbortController();
  /** Aborted when what is not on the wire must fail at once. */
  readonly #giveUp = new AbortController();
  /** Aborted when everything in flight has its answer. */
  readonly #finished = new AbortController();
  #failure: Error | undefined;
  #lastActivity: number;
  #lastReceived = 0;
  #hub: HubState;
  #hubReadAt: number;
  #foreign = new Map<string, number>();
  #foreignReadAt = Number.NEGATIVE_INFINITY;

  constructor(run: Run, startedAt: number) {
    this.#run = run;
    this.#startedAt = startedAt;
    this.#hub = run.hub;
    this.#lastActivity = run.options.clock.now();
    this.#hubReadAt = this.#lastActivity;
  }

  async run(): Promise<SessionEnd> {
    const { options, store, connection, checkpoints, positions } = this.#run;
    const { limits = {}, signal } = options;
    const writer = await store.openWriter({
      ...writerLimits(limits),
      recorder: options.recorder,
      ru: options.ru,
      clock: options.clock,
      signal: this.#giveUp.signal,
    });
    const environment = this.#environment(writer);
    const processor = startProcessor({
      connection,
      consumerGroup: options.eventHubs.consumerGroup,
      ownerId: options.ownerId,
      checkpoints,
      positions,
      ...(limits.pageSize === undefined ? {} : { pageSize: limits.pageSize }),
      ...(limits.prefetch === undefined ? {} : { prefetch: limits.prefetch }),
      ...(limits.rebalanceMs === undefined ? {} : { rebalanceMs: limits.rebalanceMs }),
      ...(limits.ownershipExpiryMs === undefined ? {} : { ownershipExpiryMs: limits.ownershipExpiryMs }),
      handler: {
        opened: (partitionId) => {
          this.#partitions.set(partitionId, new IngestPartition(partitionId, environment));
        },
        page: async (partitionId, events) => this.#partitions.get(partitionId)?.page(events),
        closed: async (partitionId) => {
          const partition = this.#partitions.get(partitionId);
          if (partition === undefined) return;
          await partition.close();
          this.#note(partition);
          // The same partition may have been claimed again while its last writes were in flight.
          if (this.#partitions.get(partitionId) === partition) this.#partitions.delete(partitionId);
        },
        failed: (partitionId, error) =>
          options.onProblem?.(
            `${partitionId === undefined ? '' : `partition ${partitionId}: `}${error.message}`,
          ),
      },
    });
    const stop = () => this.#end.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const progress = this.#reportProgress(writer);
    let ended: IngestResult['ended'] = 'signal';
    try {
      ended = await this.#untilEnd();
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#end.abort();
      await this.#shutDown(processor, writer);
      this.#finished.abort();
      await progress;
    }
    if (this.#failure !== undefined) return this.#failure;
    const { reached } = this.#run;
    return {
      ended,
      partitions: [...reached].map(([partitionId, sequenceNumber]) => ({ partitionId, sequenceNumber })),
    };
  }

  #environment(writer: BulkWriter): PartitionEnvironment {
    const { checkpoints, connection, hub, mapper, options, store, totals } = this.#run;
    const { limits = {}, mapping = {} } = options;
    const newerPath = (mapping.newerField ?? 'deviceSequenceNumber').split('.');
    const writeNewer = newerOnlyWriter(writer, store.read, newerPath);
    return {
      eventHub: connection.eventHub,
      mapper,
      write: ({ operation, newer }, settled) =>
        newer === undefined ? writer.write(operation, settled) : writeNewer(operation, newer, settled),
      deadLetter: options.deadLetter,
      saveCheckpoint: async (partitionId, { sequenceNumber, offset }) => {
        try {
          await checkpoints.updateCheckpoint({
            fullyQualifiedNamespace: connection.host,
            eventHubName: connection.eventHub,
            consumerGroup: options.eventHubs.consumerGroup,
            partitionId,
            sequenceNumber,
            offset,
            hubCreatedMs: hub.createdMs,
          });
          return true;
        } catch (error) {
          options.onProblem?.(`partition ${partitionId}: checkpoint not saved (${(error as Error).message})`);
          return false;
        }
      },
      recorder: options.recorder,
      totals,
      clock: options.clock,
      fatal: (error) => this.#fail(error),
      checkpointEvents: limits.checkpointEvents ?? 1_000,
      checkpointIntervalMs: limits.checkpointIntervalMs ?? 5_000,
      maxUnsettled: limits.maxUnsettled ?? 50_000,
      onPage: options.onPage,
    };
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#giveUp.abort(error);
    this.#end.abort();
  }

  #note(partition: IngestPartition): void {
    const { reached } = this.#run;
    reached.set(
      partition.partitionId,
      partition.durable?.sequenceNumber ?? reached.get(partition.partitionId),
    );
  }

  async #shutDown(processor: Processor, writer: BulkWriter): Promise<void> {
    // Without new pages partial batches would wait for their time; the flush also covers what is retried.
    const flushed = writer.flush().catch(() => {});
    await processor.stop();
    await flushed;
    await writer.close();
  }

  async #untilEnd(): Promise<IngestResult['ended']> {
    const { clock, until } = this.#run.options;
    const targets = until === 'drained' ? this.#drainTargets() : undefined;
    let drain: ReadonlyMap<string, number> | undefined;
    targets?.then(
      (value) => {
        drain = value;
      },
      (error) => this.#fail(error),
    );
    while (!this.#end.signal.aborted) {
      for (const partition of this.#partitions.values()) {
        partition.checkpointIfDue();
        this.#note(partition);
      }
      if (drain !== undefined && (await this.#isDrained(drain))) return 'drained';
      if (until === 'idle' && this.#isIdle()) return 'idle';
      await clock.sleep(TICK_MS, this.#end.signal).catch(() => {});
    }
    return 'signal';
  }

  async #drainTargets(): Promise<ReadonlyMap<string, number>> {
    const { checkpoints, connection, from, hub, options, reader } = this.#run;
    if (options.drainAfter !== undefined) await options.drainAfter;
    const { partitions } = options.drainAfter === undefined ? hub : await reader.read();
    const { consumerGroup } = options.eventHubs;
    return drainTargets(
      partitions,
      await checkpoints.listCheckpoints(connection.host, connection.eventHub, consumerGroup),
      from,
    );
  }

  async #isDrained(targets: ReadonlyMap<string, number>): Promise<boolean> {
    const { checkpoints, connection, options, reached } = this.#run;
    const open = undrained(targets, (partitionId) => reached.get(partitionId));
    if (open.length === 0) return true;
    // Partitions of other processes count as far as their checkpoints say.
    if (open.every((partitionId) => this.#partitions.has(partitionId))) return false;
    if (options.clock.now() - this.#foreignReadAt < FOREIGN_CHECKPOINTS_EVERY_MS) return false;
    this.#foreignReadAt = options.clock.now();
    const listed = await checkpoints
      .listCheckpoints(connection.host, connection.eventHub, options.eventHubs.consumerGroup)
      .catch(() => []);
    this.#foreign = new Map(listed.map((entry) => [entry.partitionId, entry.sequenceNumber]));
    return (
      undrained(targets, (partitionId) =>
        Math.max(reached.get(partitionId) ?? -1, this.#foreign.get(partitionId) ?? -1),
      ).length === 0
    );
  }

  #isIdle(): boolean {
    const { clock, limits = {} } = this.#run.options;
    const { received } = this.#run.totals;
    const busy = [...this.#partitions.values()].some((partition) => partition.unsettled > 0);
    if (busy || received !== this.#lastReceived) {
      this.#lastReceived = received;
      this.#lastActivity = clock.now();
    }
    return clock.now() - this.#lastActivity >= (limits.idleMs ?? 5_000);
  }

  async #reportProgress(writer: BulkWriter): Promise<void> {
    const { options, reader, totals } = this.#run;
    const { clock, onProgress, ownerId } = options;
    if (onProgress === undefined) return;
    for (;;) {
      const ending = this.#end.signal.aborted;
      onProgress({
        phase: ending ? 'draining' : 'running',
        elapsedMs: clock.now() - this.#startedAt,
        totals,
        partitions: partitionProgress(this.#hub, this.#partitions, ownerId, clock.epochMicros() / 1000),
        writer: writer.snapshot(),
      });
      if (this.#finished.signal.aborted) return;
      if (clock.now() - this.#hubReadAt >= HUB_STATE_EVERY_MS) {
        this.#hubReadAt = clock.now();
        this.#hub = await reader.read().catch(() => this.#hub);
      }
      await clock.sleep(PROGRESS_EVERY_MS, (ending ? this.#finished : this.#end).signal).catch(() => {});
    }
  }
}

function writerLimits(limits: NonNullable<IngestOptions['limits']>) {
  return {
    ...(limits.maxBufferedBytes === undefined ? {} : { maxBufferedBytes: limits.maxBufferedBytes }),
    ...(limits.maxWaitMs === undefined ? {} : { maxWaitMs: limits.maxWaitMs }),
    ...(limits.ruBudget === undefined ? {} : { ruBudget: limits.ruBudget }),
  };
}
