import type { Clock } from '../util/clock.ts';
import {
  type Checkpoint,
  type PartitionOwnership,
  type ResettableCheckpointStore,
  scopeKey,
} from './checkpoint-store.ts';

/** Owners and checkpoints for the life of this process: for measurements, and as the model of the durable stores. */
export function memoryCheckpointStore(clock: Clock): ResettableCheckpointStore {
  const owners = new Map<string, Map<string, PartitionOwnership>>();
  const checkpoints = new Map<string, Map<string, Checkpoint>>();
  let version = 0;

  return {
    async listOwnership(fullyQualifiedNamespace, eventHubName, consumerGroup) {
      const scope = scopeKey({ fullyQualifiedNamespace, eventHubName, consumerGroup });
      return [...(owners.get(scope)?.values() ?? [])].map((owner) => ({ ...owner }));
    },
    async claimOwnership(claims) {
      return claims.flatMap((claim) => {
        const partitions = entry(owners, scopeKey(claim));
        if (partitions.get(claim.partitionId)?.etag !== claim.etag) return [];
        version += 1;
        const won = {
          ...claim,
          etag: String(version),
          lastModifiedTimeInMs: Math.floor(clock.epochMicros() / 1000),
        };
        partitions.set(claim.partitionId, won);
        return [{ ...won }];
      });
    },
    async updateCheckpoint(checkpoint) {
      const partitions = entry(checkpoints, scopeKey(checkpoint));
      const current = partitions.get(checkpoint.partitionId);
      if (current === undefined || checkpoint.sequenceNumber >= current.sequenceNumber)
        partitions.set(checkpoint.partitionId, checkpoint);
    },
    async listCheckpoints(fullyQualifiedNamespace, eventHubName, consumerGroup) {
      const scope = scopeKey({ fullyQualifiedNamespace, eventHubName, consumerGroup });
      return [...(checkpoints.get(scope)?.values() ?? [])];
    },
    async resetCheckpoints(scope, partitionIds) {
      for (const id of partitionIds) checkpoints.get(scopeKey(scope))?.delete(id);
    },
  };
}

function entry<T>(map: Map<string, Map<string, T>>, key: string): Map<string, T> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}
