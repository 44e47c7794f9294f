import type { BulkWriter } from '../../cosmos/write-operation.ts';
import { type HubState, lagOf } from '../../eventhubs/backlog.ts';
import { type Processor, startProcessor } from '../../eventhubs/processor.ts';
import { type HubWatch, watchHub } from './hub.ts';
import { type HubChange, hubChanges } from './hub-changes.ts';
import { newerOnlyWriter } from './newer.ts';
import { IngestPartition, type PartitionEnvironment } from './partition.ts';
import { lagIn, partitionProgress } from './progress.ts';
import type { Run } from './run.ts';
import { stallDetector } from './stall.ts';
import type { IngestOptions, IngestResult } from './types.ts';
import { drainTargets, undrained } from './until.ts';

const TICK_MS = 100;
const PROGRESS_EVERY_MS = 1_000;
const FOREIGN_CHECKPOINTS_EVERY_MS = 1_000;
/**
 * Two checkpoints of one partition are at least this far apart, however fast events come; with many partitions farther, so
 * that all of them together cost a container of 400 RU/s about 100.
 */
const MIN_CHECKPOINT_GAP_MS = 250;
const CHECKPOINT_SHARE_MS = 100;
/** How often the hub is asked again whether all is quiet, while the answer is not known. */
const ASK_AGAIN_MS = 1_000;

/** `replacedBy`: everything received is durable, and the hub is another one of the same name. */
type SessionEnd =
  | Pick<IngestResult, 'ended' | 'partitions'>
  | { readonly ended: 'replaced'; readonly replacedBy: HubState }
  | Error;

/** One stretch of receiving and writing, from claiming partitions to the last checkpoint. */
export class Session {
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
  readonly #hub: HubWatch;
  #processor: Processor | undefined;
  #askedIdleAt = Number.NEGATIVE_INFINITY;
  readonly #stalled = stallDetector();
  #stallCheckedAt: number;
  readonly #hubChange: () => HubChange | undefined;
  #change: HubChange | undefined;
  #foreign = new Map<string, number>();
  #foreignReadAt = Number.NEGATIVE_INFINITY;

  constructor(run: Run, startedAt: number) {
    this.#run = run;
    this.#startedAt = startedAt;
    const { clock } = run.options;
    this.#hub = watchHub(run.reader, run.hub.state, clock, this.#finished.signal);
    this.#lastActivity = clock.now();
    this.#stallCheckedAt = this.#hub.askedAt;
    const { eventHub } = run.connection;
    this.#hubChange = hubChanges(eventHub, run.hub, this.#hub, clock, (line) =>
      run.options.onProblem?.(line),
    );
  }

  async run(): Promise<SessionEnd> {
    const { options, store, connection, checkpoints, hub } = this.#run;
    const { limits = {}, signal } = options;
    const writer = await store.openWriter({
      ...writerLimits(limits),
      recorder: options.recorder,
      ru: options.ru,
      clock: options.clock,
      signal: this.#giveUp.signal,
      isBehind: () => [...this.#partitions.values()].some((partition) => partition.isBehind),
    });
    const environment = this.#environment(writer);
    const processor = startProcessor({
      connection,
      consumerGroup: options.eventHubs.consumerGroup,
      ownerId: options.ownerId,
      checkpoints,
      positions: hub.positions,
      hubCreatedMs: hub.state.createdMs,
      clock: options.clock,
      ...(limits.pageSize === undefined ? {} : { pageSize: limits.pageSize }),
      ...(limits.prefetch === undefined ? {} : { prefetch: limits.prefetch }),
      ...(limits.rebalanceMs === undefined ? {} : { rebalanceMs: limits.rebalanceMs }),
      ...(limits.ownershipExpiryMs === undefined ? {} : { ownershipExpiryMs: limits.ownershipExpiryMs }),
      handler: {
        opened: (partitionId, startedAfter) => {
          this.#partitions.set(partitionId, new IngestPartition(partitionId, environment, startedAfter));
        },
        page: async (partitionId, events) => this.#partitions.get(partitionId)?.page(events),
        closed: async (partitionId, _, fence) => {
          const partition = this.#partitions.get(partitionId);
          if (partition === undefined) return;
          await partition.close(fence);
          this.#note(partition);
          // The same partition may have been claimed again while its last writes were in flight.
          if (this.#partitions.get(partitionId) === partition) this.#partitions.delete(partitionId);
        },
        failed: (partitionId, error) => {
          options.onProblem?.(
            `${partitionId === undefined ? '' : `partition ${partitionId}: `}${error.message}`,
          );
          // It may be because the hub is another one, or none.
          void this.#hub.refresh();
        },
      },
    });
    this.#processor = processor;
    const stop = () => this.#end.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const progress = this.#reportProgress(writer, processor);
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
    if (this.#change?.kind === 'gone') return this.#change.error;
    if (this.#change?.kind === 'replaced') return { ended: 'replaced', replacedBy: this.#change.by };
    const { reached } = this.#run;
    return {
      ended,
      partitions: [...reached]
        .map(([partitionId, sequenceNumber]) => ({ partitionId, sequenceNumber }))
        .sort((a, b) => a.partitionId.localeCompare(b.partitionId, 'en', { numeric: true })),
    };
  }

  #environment(writer: BulkWriter): PartitionEnvironment {
    const { checkpoints, connection, hub, mapper, options, store, totals } = this.#run;
    const { limits = {}, mapping = {} } = options;
    const { createdMs } = hub.state;
    const { checkpointIntervalMs = 5_000 } = limits;
    const newerPath = (mapping.newerField ?? 'deviceSequenceNumber').split('.');
    const writeNewer = newerOnlyWriter(writer, store.read, newerPath);
    return {
      eventHub: connection.eventHub,
      mapper,
      write: ({ operation, newer }, settled, fence) =>
        newer === undefined
          ? writer.write(operation, settled, fence)
          : writeNewer(operation, newer, settled, fence),
      withdraw: (fence) => writer.withdraw(fence),
      deadLetter: options.deadLetter,
      saveCheckpoint: async (partitionId, { sequenceNumber, offset }) => {
        // Whoever reads the new hub already may have saved one that this would replace.
        if (this.#change?.kind === 'replaced') return false;
        try {
          await checkpoints.updateCheckpoint({
            fullyQualifiedNamespace: connection.host,
            eventHubName: connection.eventHub,
            consumerGroup: options.eventHubs.consumerGroup,
            partitionId,
            sequenceNumber,
            offset,
            hubCreatedMs: createdMs,
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
      checkpointIntervalMs,
      checkpointGapMs: () =>
        Math.min(
          checkpointIntervalMs,
          Math.max(MIN_CHECKPOINT_GAP_MS, this.#partitions.size * CHECKPOINT_SHARE_MS),
        ),
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
      this.#breakStalls();
      this.#change = this.#hubChange();
      // Not a failure: what was received cannot be had again, so it is stored first.
      if (this.#change !== undefined) this.#end.abort();
      await clock.sleep(TICK_MS, this.#end.signal).catch(() => {});
    }
    return 'signal';
  }

  async #drainTargets(): Promise<ReadonlyMap<string, number>> {
    const { checkpoints, connection, hub, options, reader } = this.#run;
    if (options.drainAfter !== undefined) await options.drainAfter;
    const { partitions } = options.drainAfter === undefined ? hub.state : await reader.read();
    const { consumerGroup } = options.eventHubs;
    const saved = await checkpoints.listCheckpoints(connection.host, connection.eventHub, consumerGroup);
    return new Map(
      partitions.flatMap((partition) => [
        ...drainTargets([partition], saved, hub.startOf(partition.partitionId)),
      ]),
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

  /**
   * Quiet for long enough, and known to be: every partition is read here or elsewhere, and the service was asked since the
   * last event whether there is more.
   */
  #isIdle(): boolean {
    const { hub, options, totals } = this.#run;
    const { clock, limits = {} } = options;
    const partitions = [...this.#partitions.values()];
    const { state, askedAt } = this.#hub;
    const isSettledIn = state.partitions.every(({ partitionId }) =>
      ['reading', 'elsewhere'].includes(this.#processor?.status(partitionId) ?? 'free'),
    );
    const isBusy = partitions.some((partition) => partition.unsettled > 0);
    if (isBusy || !isSettledIn || totals.received !== this.#lastReceived) {
      this.#lastReceived = totals.received;
      this.#lastActivity = clock.now();
    }
    if (clock.now() - this.#lastActivity < (limits.idleMs ?? 5_000)) return false;
    if (askedAt >= this.#lastActivity)
      return state.partitions.every((end) => {
        const partition = this.#partitions.get(end.partitionId);
        return partition === undefined || lagIn(end, partition, hub.startOf(end.partitionId)) === 0;
      });
    if (clock.now() - this.#askedIdleAt >= ASK_AGAIN_MS) {
      this.#askedIdleAt = clock.now();
      void this.#hub.refresh();
    }
    return false;
  }

  /** Looks once per answer of the service whether a link is silent that should not be. */
  #breakStalls(): void {
    const { onProblem } = this.#run.options;
    const { state, askedAt } = this.#hub;
    if (askedAt === this.#stallCheckedAt) return;
    this.#stallCheckedAt = askedAt;
    const stalled = this.#stalled(
      state.partitions.flatMap((end) => {
        const partition = this.#partitions.get(end.partitionId);
        if (partition === undefined || this.#processor?.status(end.partitionId) !== 'reading') return [];
        const received = partition.lastReceived ?? partition.startedAfter;
        // Where a start by time falls is known to the service only.
        const isKnown = received !== undefined || this.#run.hub.startOf(end.partitionId).kind === 'earliest';
        const isBehind = isKnown && partition.unsettled === 0 && lagOf(end, received ?? -1) > 0;
        return [{ partitionId: end.partitionId, received, isBehind }];
      }),
    );
    if (stalled.length === 0) return;
    onProblem?.(`nothing comes of partition ${stalled.join(', ')} although the hub holds more; reconnecting`);
    this.#processor?.reconnect();
  }

  async #reportProgress(writer: BulkWriter, processor: Processor): Promise<void> {
    const { hub, options, totals } = this.#run;
    const { clock, onProgress, ownerId } = options;
    if (onProgress === undefined) return;
    for (;;) {
      const ending = this.#end.signal.aborted;
      onProgress({
        phase: ending ? 'draining' : 'running',
        elapsedMs: clock.now() - this.#startedAt,
        totals,
        partitions: partitionProgress({
          hub: this.#hub.state,
          isStale: this.#hub.isStale,
          partitions: this.#partitions,
          status: (partitionId) => processor.status(partitionId),
          startOf: hub.startOf,
          ownerId,
          nowMs: clock.epochMicros() / 1000,
        }),
        writer: writer.snapshot(),
      });
      if (this.#finished.signal.aborted) return;
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
