import type { ResettableCheckpointStore } from '../../eventhubs/checkpoint-store.ts';
import type { Clock } from '../../util/clock.ts';

/** How long each worker may claim only what is meant for it: several rounds of balancing. */
const DEALT_MS = 10_000;

/**
 * Deals the partitions to the workers of one process while they start. Otherwise the first one would claim everything and
 * lose half of it to the second one, which reads part of it again. Refusing a claim is enough: losing one is normal, and the
 * worker that the partition is meant for comes within one round. Afterwards the SDK's balancing has its way.
 */
export function dealtTo(
  owners: readonly string[],
  store: ResettableCheckpointStore,
  clock: Clock,
): ResettableCheckpointStore {
  const startedAt = clock.now();
  const dealt = (partitionId: string): string | undefined => {
    const number = Number(partitionId);
    return owners[(Number.isSafeInteger(number) ? number : 0) % owners.length];
  };
  return {
    ...store,
    async claimOwnership(claims) {
      if (clock.now() - startedAt >= DEALT_MS) return store.claimOwnership(claims);
      return store.claimOwnership(
        claims.filter(({ ownerId, partitionId }) => ownerId === '' || dealt(partitionId) === ownerId),
      );
    },
  };
}
