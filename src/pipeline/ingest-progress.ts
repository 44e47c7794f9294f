import type { HubState } from '../eventhubs/backlog.ts';
import { lagOf } from '../eventhubs/backlog.ts';
import type { IngestPartition } from './ingest-partition.ts';
import type { PartitionProgress } from './ingest-types.ts';

/** State of every partition of the hub, ours and others'. `hub` may be some seconds old; what was received since counts. */
export function partitionProgress(
  hub: HubState,
  partitions: ReadonlyMap<string, IngestPartition>,
  ownerId: string,
  nowMs: number,
): readonly PartitionProgress[] {
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
    const last = Math.max(state.lastSequenceNumber, partition.lastReceived ?? -1);
    const lagEvents =
      durable === undefined
        ? undefined
        : lagOf({ ...state, lastSequenceNumber: last, isEmpty: false }, durable.sequenceNumber);
    return {
      partitionId: state.partitionId,
      owner: ownerId,
      sequenceNumber: durable?.sequenceNumber,
      lagEvents,
      lagMs: durable === undefined || lagEvents === 0 ? 0 : Math.max(0, nowMs - durable.enqueuedMs),
      checkpointAgeMs: partition.checkpointAgeMs(),
      unsettled: partition.unsettled,
    };
  });
}
