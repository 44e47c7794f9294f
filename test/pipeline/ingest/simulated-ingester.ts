import { WriterEngine } from '../../../src/cosmos/writer/engine.ts';
import type { StageRecorder } from '../../../src/metrics/types.ts';
import type { DeadLetter } from '../../../src/pipeline/dead-letter/dead-letter.ts';
import {
  IngestPartition,
  type PartitionEnvironment,
  zeroTotals,
} from '../../../src/pipeline/ingest/partition.ts';
import type { Mapper } from '../../../src/pipeline/mapping/mapping.ts';
import type { Clock } from '../../../src/util/clock.ts';
import { type Random, seededRandom } from '../../../src/util/random.ts';
import { simulatedHash } from '../../cosmos/simulated-service.ts';
import type { SimulatedWorld } from './simulated-world.ts';

export interface IngesterLimits {
  readonly maxUnsettled: number;
  readonly maxBufferedBytes: number;
  readonly maxOperations: number;
  readonly maxRequests: number;
  readonly maxWaitMs: number;
  readonly giveUpMs: number;
  readonly pageSize: number;
  readonly checkpointEvents: number;
  readonly checkpointIntervalMs: number;
  /** Links deliver some events again when they break. */
  readonly redelivers: boolean;
  /** Chance that a checkpoint, or a dead letter, cannot be saved. */
  readonly saveFails: number;
}

/** More than one operation, and what the writer adds to its body. */
const ONE_OPERATION_BYTES = 500;
const TICK_MS = 100;

const NO_RECORDER: StageRecorder = {
  name: 'none',
  offered() {},
  done() {},
  failed() {},
  throttled() {},
  inFlight() {},
  serviceTime() {},
  latency() {},
};

/** A process that ingests: the real writer, windows, partition loops and trackers around a simulated SDK and service. */
export class SimulatedIngester {
  readonly #world: SimulatedWorld;
  readonly #limits: IngesterLimits;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #writer: WriterEngine;
  readonly #giveUp = new AbortController();
  readonly #partitions = new Map<string, IngestPartition>();
  readonly #closing = new Set<Promise<void>>();
  readonly #totals = zeroTotals();
  readonly #mapper: Mapper;
  readonly #failed: (ingester: SimulatedIngester) => void;
  #crashed = false;
  #ending = false;

  constructor(options: {
    readonly world: SimulatedWorld;
    readonly limits: IngesterLimits;
    readonly seed: number;
    readonly mapper: Mapper;
    /** The service could not be used for too long, or a dead letter not be saved: the session has ended. */
    readonly failed: (ingester: SimulatedIngester) => void;
  }) {
    const { world, limits, seed } = options;
    this.#world = world;
    this.#limits = limits;
    this.#mapper = options.mapper;
    this.#failed = options.failed;
    this.#random = seededRandom(seed);
    this.#clock = {
      now: () => world.clock.now(),
      epochMicros: () => world.clock.epochMicros(),
      sleep: (ms, signal) => this.#alive(world.clock.sleep(ms, signal)),
    };
    const transport = world.service.connect();
    this.#writer = new WriterEngine({
      transport: {
        send: (request) => this.#alive(transport.send(request)),
        ranges: () => this.#alive(transport.ranges()),
      },
      ranges: world.service.currentRanges(),
      hash: ([key]) => simulatedHash(String(key)),
      clock: this.#clock,
      random: this.#random,
      signal: this.#giveUp.signal,
      maxWaitMs: limits.maxWaitMs,
      maxBufferedBytes: limits.maxBufferedBytes,
      maxOperations: limits.maxOperations,
      maxRequestBytes: 4_000,
      maxRequests: limits.maxRequests,
      maxRequestsPerRange: 4,
      giveUpMs: limits.giveUpMs,
    });
    void this.#tick();
  }

  get partitionIds(): string[] {
    return [...this.#partitions.keys()];
  }

  /** The partition is ours from now on: receives from its checkpoint. */
  open(partitionId: string): void {
    const partition = new IngestPartition(partitionId, this.#environment());
    this.#partitions.set(partitionId, partition);
    void this.#receive(partition);
  }

  /** Another process has taken the partition: no more pages; until the fence what is in flight goes on. */
  lose(partitionId: string, fence: AbortSignal): void {
    const partition = this.#partitions.get(partitionId);
    if (partition === undefined) return;
    this.#partitions.delete(partitionId);
    this.#close(partition, fence);
  }

  /** SIGKILL: from here on nothing happens in this process; requests on the wire arrive all the same. */
  crash(): void {
    this.#crashed = true;
  }

  /** SIGTERM: resolves when everything received has its answer and the checkpoints are saved. */
  async stop(): Promise<void> {
    this.#ending = true;
    const flushed = this.#writer.flush();
    for (const partition of this.#partitions.values()) this.#close(partition);
    await Promise.all(this.#closing);
    await flushed;
    await this.#writer.close();
    const { buffered, bufferedBytes } = this.#writer.snapshot();
    if (buffered + bufferedBytes !== 0) this.#world.broken.push('the writer is not empty after close');
  }

  #close(partition: IngestPartition, fence?: AbortSignal): void {
    const closed = partition.close(fence).then(() => {
      this.#closing.delete(closed);
    });
    this.#closing.add(closed);
  }

  #fail(): void {
    // Also while draining: what is behind the failed event must not be stored before it.
    this.#giveUp.abort();
    if (this.#ending) return;
    void this.stop().then(() => this.#failed(this));
  }

  #environment(): PartitionEnvironment {
    const { saveFails, checkpointEvents, checkpointIntervalMs, maxUnsettled } = this.#limits;
    const world = this.#world;
    const deadLetter: DeadLetter = {
      name: 'simulated',
      write: async (record) => {
        await this.#clock.sleep(this.#random.below(20));
        if (this.#random.next() < saveFails / 4) throw new Error('disk full');
        world.deadLettered(record.partition, record.sequenceNumber);
      },
      close: async () => {},
    };
    return {
      eventHub: 'hub',
      mapper: this.#mapper,
      write: ({ operation }, settled, fence) => this.#writer.write(operation, settled, fence),
      withdraw: (fence) => this.#writer.withdraw(fence),
      deadLetter,
      saveCheckpoint: async (partitionId, { sequenceNumber }) => {
        await this.#clock.sleep(this.#random.below(30));
        if (this.#random.next() < saveFails) return false;
        world.checkpointed(partitionId, sequenceNumber);
        await this.#clock.sleep(this.#random.below(30));
        return true;
      },
      recorder: NO_RECORDER,
      totals: this.#totals,
      clock: this.#clock,
      fatal: () => this.#fail(),
      checkpointEvents,
      checkpointIntervalMs,
      checkpointGapMs: () => 250,
      maxUnsettled,
    };
  }

  /** What the SDK does: pages in order, the next one when the last was taken. A broken link may deliver some of it again. */
  async #receive(partition: IngestPartition): Promise<void> {
    const { partitionId } = partition;
    const { pageSize } = this.#limits;
    let next = this.#world.checkpointOf(partitionId) + 1;
    while (!this.#ending && this.#partitions.get(partitionId) === partition) {
      await this.#clock.sleep(this.#random.below(20));
      if (this.#limits.redelivers && this.#random.below(25) === 0)
        next = Math.max(0, next - this.#random.below(10));
      const page = this.#world.read(partitionId, next, 1 + this.#random.below(pageSize));
      next += page.length;
      if (page.length === 0) await this.#clock.sleep(100);
      else await this.#alive(partition.page(page));
      this.#checkMemory(partition);
    }
  }

  async #tick(): Promise<void> {
    while (!this.#ending) {
      await this.#clock.sleep(TICK_MS);
      for (const partition of this.#partitions.values()) partition.checkpointIfDue();
    }
  }

  #checkMemory(partition: IngestPartition): void {
    const { maxBufferedBytes, maxUnsettled } = this.#limits;
    const { bufferedBytes } = this.#writer.snapshot();
    // Every partition may have one operation more on its way than there is room for, those that are being closed included.
    const open = this.#partitions.size + this.#closing.size;
    if (bufferedBytes > maxBufferedBytes + open * ONE_OPERATION_BYTES)
      this.#world.broken.push(`${bufferedBytes} bytes are buffered, allowed are ${maxBufferedBytes}`);
    if (partition.unsettled > maxUnsettled)
      this.#world.broken.push(`${partition.unsettled} events are unsettled, allowed are ${maxUnsettled}`);
  }

  /** In a process that was killed nothing continues. */
  async #alive<T>(promise: Promise<T>): Promise<T> {
    const value = await promise;
    if (this.#crashed) await new Promise<never>(() => {});
    return value;
  }
}
