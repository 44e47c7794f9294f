import type { ResettableCheckpointStore } from '../../eventhubs/checkpoint-store.ts';
import type { Clock } from '../../util/clock.ts';

/** How long each worker may claim only what is meant for it, once it is there: several rounds of balancing. */
const DEALT_MS = 10_000;
/** How long a worker that is not there yet is waited for: a busy machine takes its time to start a thread. */
const AWAITED_MS = 60_000;

/**
 * Deals the partitions to the workers of one process while they start. Otherwise the first one would claim everything and
 * lose half of it to the second one, which reads part of it again. Refusing a claim is enough: losing one is normal, and the
 * worker that the partition is meant for comes within one round. Afterwards the balancing has its way.
 */
export function dealtTo(
  owners: readonly string[],
  store: ResettableCheckpointStore,
  clock: Clock,
): ResettableCheckpointStore {
  const startedAt = clock.now();
  const cameAt = new Map<string, number>();
  const isDealtTo = (partitionId: string, ownerId: string): boolean => {
    const number = Number(partitionId);
    const owner = owners[(Number.isSafeInteger(number) ? number : 0) % owners.length] as string;
    const until = Math.min(
      (cameAt.get(owner) ?? Number.POSITIVE_INFINITY) + DEALT_MS,
      startedAt + AWAITED_MS,
    );
    return ownerId === owner || clock.now() >= until;
  };
  return {
    ...store,
    async claimOwnership(claims) {
      for (const { ownerId } of claims) if (!cameAt.has(ownerId)) cameAt.set(ownerId, clock.now());
      return store.claimOwnership(
        claims.filter(({ ownerId, partitionId }) => ownerId === '' || isDealtTo(partitionId, ownerId)),
      );
    },
  };
}
