import type { EventHubsTarget } from '../../config/targets.ts';
import type { Histogram, HistogramSummary } from '../../metrics/histogram.ts';
import type { AcknowledgementSink, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { RecordOptions } from '../../workload/records.ts';
import type { WorkloadInput } from '../../workload/spec.ts';

/** How events find their partition. */
export type Routing =
  /** By partition key, with the hash of the service computed on our side. */
  | { readonly by: 'key' }
  /** All to one partition. */
  | { readonly by: 'partition'; readonly partitionId: string }
  /** Keys spread over the partitions in turn, without a partition key on the events. */
  | { readonly by: 'roundRobin' };

export interface ProduceLimits {
  /** Largest batch, bytes. Bounded by what the service takes. */
  readonly batchBytes?: number;
  /** Most events of one batch. */
  readonly batchEvents?: number;
  /** How long an event waits for others to share its batch: 5 ms, or longer by itself when many partitions are busy. */
  readonly lingerMs?: number;
  /** Batches sent or waiting to be sent, bytes. */
  readonly bufferBytes?: number;
  /** Batches in flight at the same time over all partitions. */
  readonly concurrency?: number;
  /** An event that could not be taken up this long after its time is dropped, and counted. */
  readonly maxLatenessMs?: number;
  /** A batch that the service keeps refusing is given up after this time. */
  readonly giveUpMs?: number;
  /** Time to wait for the answer to one batch before it is sent again, default 15 s. */
  readonly answerMs?: number;
  /** Time to wait for answers when interrupted. */
  readonly drainMs?: number;
}

/** Events of a file instead of generated ones. */
export interface RecordSource extends RecordOptions {
  /** Opens the data from its start; called once for every pass and worker. */
  readonly open: () => AsyncIterable<Buffer | string>;
  /** Path of the file, for workers, which open it themselves. */
  readonly path?: string;
  readonly loop?: boolean;
  /** Sends at the recorded distance, this many times as fast. Needs `timePath`. */
  readonly replaySpeed?: number;
}

export interface ProduceOptions {
  readonly target: EventHubsTarget;
  /** Plain data, as in section `workload` of pipeline.yaml. */
  readonly workload: WorkloadInput;
  /** Run id, carried by every event. */
  readonly run: string;
  readonly recorder: StageRecorder;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Told of every acknowledged event and every injected fault. */
  readonly ledger?: AcknowledgementSink;
  readonly routing?: Routing;
  readonly limits?: ProduceLimits;
  readonly source?: RecordSource;
  /** Time of the first arrival, microseconds since the Unix epoch; as soon as the links are open when absent. */
  readonly startMicros?: number;
  /** This process makes part `index` of `count` parts (by key); all parts together are the whole. */
  readonly shard?: { readonly index: number; readonly count: number };
  /** Threads to spread the partitions over. */
  readonly workers?: number;
  /** Keep even one share off the calling thread, so that nothing that happens there can delay arrivals. */
  readonly ownThread?: boolean;
  /**
   * Whether the connection gets a thread of its own, apart from the schedule. By itself when the peak rate of this share
   * is so high that sending would delay arrivals.
   */
  readonly sendingThread?: boolean;
  readonly idempotent?: boolean;
  /** Sends through the public batches of the SDK only. */
  readonly publicApiOnly?: boolean;
  /** Called when the links are open and the first event is about to be due. */
  readonly onStart?: (info: { readonly partitions: number; readonly startMicros: number }) => void;
}

export interface ProduceResult {
  /** Arrivals of the schedule that fell into the run. */
  readonly offered: number;
  /** Events the service acknowledged. */
  readonly sent: number;
  /** Bodies of the acknowledged events. */
  readonly sizeBytes: number;
  readonly batches: number;
  /** Events given up, by kind of error. */
  readonly failed: Readonly<Record<string, number>>;
  /** Replies that asked to slow down. */
  readonly throttled: number;
  /** Events sent again after a reply or connection was lost: the most that can be stored twice. */
  readonly resent: number;
  /** Events given up of which no answer says whether they are stored; part of `failed`. */
  readonly unknown: number;
  /** Arrivals that the generator took up more than 50 ms after their time. */
  readonly late: number;
  /** Arrivals given up because the generator was too far behind. */
  readonly dropped: number;
  readonly injected: Readonly<Record<string, number>>;
  /** Acknowledged events by partition id. */
  readonly partitions: Readonly<Record<string, number>>;
  /** From the first intended arrival to the last acknowledgement. */
  readonly durationMs: number;
  /** Arrivals per second over the scheduled time; 0 for a closed model. */
  readonly requestedPerSecond: number;
  /** Acknowledged events per second over the whole duration. */
  readonly achievedPerSecond: number;
  /** Scheduling error: how late the generator took up arrivals, apart from what the service did. */
  readonly scheduling: HistogramSummary;
  readonly startMicros: number;
  /** False when the generator could not keep to its schedule, so that latencies say more about it than the service. */
  readonly trustworthy: boolean;
  readonly doubts: readonly string[];
  readonly interrupted: boolean;
}

/** The part of a run that one thread makes. */
export interface ShareResult {
  readonly offered: number;
  readonly sent: number;
  readonly sizeBytes: number;
  readonly batches: number;
  readonly failed: Record<string, number>;
  readonly throttled: number;
  readonly resent: number;
  readonly unknown: number;
  readonly late: number;
  readonly dropped: number;
  readonly injected: Record<string, number>;
  readonly partitions: Record<string, number>;
  /** Intended time of the last arrival taken up, and time of the last acknowledgement, from the start. */
  readonly lastOffsetMs: number;
  readonly lastAcknowledgedMs: number;
  readonly startMicros: number;
  readonly closedModel: boolean;
  readonly interrupted: boolean;
}

export interface ShareOptions extends ProduceOptions {
  /** This thread makes part `index` of `count` parts of the shard. */
  readonly part?: { readonly index: number; readonly count: number };
  /** Asked when the links are open, instead of `startMicros`: the threads of a run start together. */
  readonly agreeOnStart?: () => Promise<number>;
  /** Lateness of taking up arrivals, microseconds. */
  readonly scheduling: Histogram;
}
