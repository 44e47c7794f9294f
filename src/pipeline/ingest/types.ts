import type { CosmosTarget, EventHubsTarget } from '../../config/targets.ts';
import type { ContainerSpec } from '../../cosmos/containers.ts';
import type { WriterSnapshot } from '../../cosmos/write-operation.ts';
import type { StartFrom } from '../../eventhubs/processor-position.ts';
import type { ReceivedEvent } from '../../eventhubs/received-event.ts';
import type { RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { DeadLetter } from '../dead-letter/dead-letter.ts';
import type { MappingOptions } from '../mapping/mapping.ts';
import type { CheckpointSpec } from './checkpoint-open.ts';
import type { IngestTotals } from './partition.ts';
import type { WriterLimits } from './store.ts';

export interface IngestLimits extends WriterLimits {
  /** A page is handed over with so many messages, default 500; events that came in one read count as one, up to `prefetch` events. */
  readonly pageSize?: number;
  /** Events of one partition that wait in memory behind the page, default twice the page. */
  readonly prefetch?: number;
  /** Events of one partition that may be ahead of its checkpoint position, default 50,000. */
  readonly maxUnsettled?: number;
  /** Save a checkpoint after this many durable events, default 1,000 ... */
  readonly checkpointEvents?: number;
  /** ... or after this time, default 5,000. */
  readonly checkpointIntervalMs?: number;
  /** Quiet time after which `until: 'idle'` ends the run, default 5,000. */
  readonly idleMs?: number;
  /** How often ownership is renewed and balanced, default 2,000. */
  readonly rebalanceMs?: number;
  /** How long a process may be silent before others take its partitions, default 15,000. */
  readonly ownershipExpiryMs?: number;
  /** How long to try again at the start while a service cannot be reached, default 0. */
  readonly connectMs?: number;
}

export interface IngestOptions {
  readonly eventHubs: EventHubsTarget;
  readonly cosmos: CosmosTarget;
  /** Creates database and container when they are missing; without it a missing container is E_NOT_FOUND. */
  readonly create?: ContainerSpec;
  readonly mapping?: MappingOptions;
  readonly checkpoints: CheckpointSpec;
  /** Where to start without a checkpoint, default earliest: what was sent before the first run counts. */
  readonly from?: StartFrom;
  /** Start at `from` although there are checkpoints. */
  readonly restart?: boolean;
  /**
   * Stage `ingest`: offered = received, done = stored, service time = enqueued to stored, latency = intended send time
   * (else the enqueued time) to stored.
   */
  readonly recorder: StageRecorder;
  readonly ru: RuRecorder;
  readonly clock: Clock;
  /** Aborting it stops receiving, waits for what is in flight, saves the checkpoints and resolves. */
  readonly signal: AbortSignal;
  /**
   * `drained`: end when everything that the hub held at the start is durable. `idle`: end after `limits.idleMs` without
   * events, once every partition has a reader and the service says that there is nothing more.
   */
  readonly until?: 'drained' | 'idle';
  /** With `until: 'drained'`: take what the hub holds when this resolves instead of at the start. */
  readonly drainAfter?: Promise<unknown>;
  readonly limits?: IngestLimits;
  /** Without one, the first event that cannot be stored ends the run with E_CONFIG; the checkpoint stays before it. */
  readonly deadLetter?: DeadLetter;
  /** Name of this process among the owners; unique. */
  readonly ownerId: string;
  /** Called about once a second. */
  readonly onProgress?: (progress: IngestProgress) => void;
  /**
   * Told of every page; what it returns is called when everything up to the end of the page is durable. Not called for pages
   * that worker threads receive.
   */
  readonly onPage?: (partitionId: string, events: readonly ReceivedEvent[]) => () => void;
  /** Told what went wrong and is being retried, one line each. */
  readonly onProblem?: (message: string) => void;
}

export interface PartitionProgress {
  readonly partitionId: string;
  /** `undefined` while the partition is not ours. */
  readonly owner: string | undefined;
  /** Last durable sequence number. */
  readonly sequenceNumber: number | undefined;
  /** Events in the hub after it; `undefined` while it is not known, for example without an answer of Event Hubs. */
  readonly lagEvents: number | undefined;
  /** Age of the oldest event that is not durable yet, 0 without any. */
  readonly lagMs: number | undefined;
  readonly checkpointAgeMs: number;
  /** Events received and not durable. */
  readonly unsettled: number;
}

export interface IngestProgress {
  readonly phase: 'running' | 'draining';
  readonly elapsedMs: number;
  readonly totals: Readonly<IngestTotals>;
  readonly partitions: readonly PartitionProgress[];
  readonly writer: WriterSnapshot;
}

export interface IngestResult extends Readonly<IngestTotals> {
  /** Why the run ended. */
  readonly ended: 'drained' | 'idle' | 'signal';
  readonly durationMs: number;
  /** Partitions that this process owned at some time, with the last durable sequence number. */
  readonly partitions: readonly {
    readonly partitionId: string;
    readonly sequenceNumber: number | undefined;
  }[];
}
