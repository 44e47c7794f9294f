import type { HubState } from '../../eventhubs/backlog.ts';
import { lagOf } from '../../eventhubs/backlog.ts';
import type { PartitionStatus } from '../../eventhubs/processor.ts';
import { lastSkipped, type PartitionState, type StartFrom } from '../../eventhubs/processor-position.ts';
import type { IngestPartition } from './partition.ts';
import type { PartitionProgress } from './types.ts';

export interface ProgressView {
  readonly hub: HubState;
  /** `hub` is too old to say how far anybody is behind. */
  readonly isStale: boolean;
  readonly partitions: ReadonlyMap<string, IngestPartition>;
  readonly status: (partitionId: string) => PartitionStatus;
  /** Where a partition without a checkpoint is read from. */
  readonly startOf: (partitionId: string) => StartFrom;
  readonly ownerId: string;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** State of every partition of the hub, ours and others'. `hub` may be some seconds old; what was received since counts. */
export function partitionProgress(view: ProgressView): readonly PartitionProgress[] {
  const { hub, isStale, nowMs, ownerId, partitions, startOf, status } = view;
  return hub.partitions.map((state) => {
    const partition = partitions.get(state.partitionId);
    if (partition === undefined)
      return {
        partitionId: state.partitionId,
        owner: undefined,
        sequenceNumber: undefined,
        lagEvents: undefined,
        lagMs: undefined,
        checkpointAgeMs: 0,
        unsettled: 0,
      };
    const { durable } = partition;
    const lag = isStale ? undefined : lagIn(state, partition, startOf(state.partitionId));
    // Without a link nothing is learned of what has come in since the service was asked.
    const lagEvents = lag === 0 && status(state.partitionId) !== 'reading' ? undefined : lag;
    return {
      partitionId: state.partitionId,
      owner: ownerId,
      sequenceNumber: durable?.sequenceNumber,
      lagEvents,
      lagMs: lagMsOf(lagEvents, durable?.enqueuedMs, nowMs),
      checkpointAgeMs: partition.checkpointAgeMs(),
      unsettled: partition.unsettled,
    };
  });
}

/** Events in the hub after what is durable, or after the start position while nothing is. */
export function lagIn(state: PartitionState, partition: IngestPartition, from: StartFrom): number {
  const last = Math.max(state.lastSequenceNumber, partition.lastReceived ?? -1);
  return lagOf(
    { ...state, lastSequenceNumber: last, isEmpty: state.isEmpty && last === state.lastSequenceNumber },
    partition.durable?.sequenceNumber ?? partition.startedAfter ?? lastSkipped(from, state),
  );
}

function lagMsOf(
  lagEvents: number | undefined,
  durableMs: number | undefined,
  nowMs: number,
): number | undefined {
  if (lagEvents === undefined || lagEvents === 0) return lagEvents;
  return durableMs === undefined ? undefined : Math.max(0, nowMs - durableMs);
}

/** Sum of what is known; `undefined` while it is unknown for a partition that is ours. */
export function totalLag(
  partitions: readonly Pick<PartitionProgress, 'owner' | 'lagEvents'>[],
): number | undefined {
  let sum = 0;
  for (const { lagEvents, owner } of partitions) {
    if (owner === undefined) continue;
    if (lagEvents === undefined) return undefined;
    sum += lagEvents;
  }
  return sum;
}
