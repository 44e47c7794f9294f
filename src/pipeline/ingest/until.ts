import { lagOf } from '../../eventhubs/backlog.ts';
import type { Checkpoint } from '../../eventhubs/checkpoint-store.ts';
import { lastSkipped, type PartitionState, type StartFrom } from '../../eventhubs/processor-position.ts';

/**
 * The events that must be durable before a run that was asked to drain is finished: for each partition the last sequence
 * number of `partitions`, unless nothing is left to read there after the checkpoint or the start position.
 */
export function drainTargets(
  partitions: readonly PartitionState[],
  checkpoints: readonly Checkpoint[],
  from: StartFrom,
): ReadonlyMap<string, number> {
  const targets = new Map<string, number>();
  for (const partition of partitions) {
    const { partitionId, lastSequenceNumber } = partition;
    const checkpoint = checkpoints.find((entry) => entry.partitionId === partitionId)?.sequenceNumber;
    if (lagOf(partition, checkpoint ?? lastSkipped(from, partition)) > 0)
      targets.set(partitionId, lastSequenceNumber);
  }
  return targets;
}

/** Partitions whose target is not reached yet, given how far each is durable. */
export function undrained(
  targets: ReadonlyMap<string, number>,
  durable: (partitionId: string) => number | undefined,
): string[] {
  return [...targets]
    .filter(([partitionId, target]) => (durable(partitionId) ?? -1) < target)
    .map(([partitionId]) => partitionId);
}

/** Checkpoints that are about another hub of the same name: it was created at another time, or it ends before them. */
export function staleCheckpoints(
  hub: { readonly createdMs: number; readonly partitions: readonly PartitionState[] },
  checkpoints: readonly Checkpoint[],
): Checkpoint[] {
  const lastOf = new Map(
    hub.partitions.map((partition) => [partition.partitionId, partition.lastSequenceNumber]),
  );
  return checkpoints.filter(
    ({ hubCreatedMs, partitionId, sequenceNumber }) =>
      sequenceNumber > (lastOf.get(partitionId) ?? Number.POSITIVE_INFINITY) ||
      (hubCreatedMs !== undefined && hubCreatedMs !== hub.createdMs),
  );
}
