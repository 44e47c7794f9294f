/** Whose checkpoints: the three coordinates that every store files them under. */
export interface CheckpointScope {
  readonly fullyQualifiedNamespace: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
}

/** The right to process one partition; `ownerId` is empty when it was given up. */
export interface PartitionOwnership {
  readonly fullyQualifiedNamespace: string;
  readonly eventHubName: string;
  readonly consumerGroup: string;
  readonly partitionId: string;
  ownerId: string;
  /** When the claim was made, by the clock of the store. */
  lastModifiedTimeInMs?: number;
  /** Version of the claim; a claim without one asserts that nobody ever claimed the partition. */
  etag?: string;
}

/** The highest event of a partition up to which everything is durable. */
export interface Checkpoint extends CheckpointScope {
  readonly partitionId: string;
  readonly sequenceNumber: number;
  readonly offset: string;
  /**
   * When the hub was created, milliseconds since the Unix epoch. A hub of the same name that was created at another time
   * counts its events anew, and the checkpoint is about events that are gone.
   */
  readonly hubCreatedMs?: number;
}

/** Whether a checkpoint is about the hub that was created then, as far as that is known. */
export function isOfHub({ hubCreatedMs }: Checkpoint, createdMs: number | undefined): boolean {
  return hubCreatedMs === undefined || createdMs === undefined || hubCreatedMs === createdMs;
}

/**
 * Where owners and checkpoints are kept. The shape is that of `CheckpointStore` in @azure/event-hubs, so that stores
 * written for the SDK fit here and ours fit the SDK. Two rules go beyond it: losing a claim is normal and never throws,
 * and a checkpoint that goes backwards is ignored.
 */
export interface CheckpointStore {
  listOwnership(
    fullyQualifiedNamespace: string,
    eventHubName: string,
    consumerGroup: string,
  ): Promise<PartitionOwnership[]>;
  /** Returns the claims that were won, with their new etag and time. */
  claimOwnership(claims: PartitionOwnership[]): Promise<PartitionOwnership[]>;
  updateCheckpoint(checkpoint: Checkpoint): Promise<void>;
  listCheckpoints(
    fullyQualifiedNamespace: string,
    eventHubName: string,
    consumerGroup: string,
  ): Promise<Checkpoint[]>;
}

/** A store that can also forget, for hubs that were deleted and made again. */
export interface ResettableCheckpointStore extends CheckpointStore {
  /** Forgets the checkpoints of these partitions. */
  resetCheckpoints(scope: CheckpointScope, partitionIds: readonly string[]): Promise<void>;
}

/** `namespace/hub/group`, lower-cased as Azure's own blob store does: the names are case-insensitive in the service. */
export function scopeKey(scope: CheckpointScope): string {
  return [scope.fullyQualifiedNamespace, scope.eventHubName, scope.consumerGroup].join('/').toLowerCase();
}

/**
 * Files everything under `namespace` instead of the host name that the SDK passes. The SDK drops the port, so that two
 * local stacks on one machine would otherwise continue from each other's checkpoints.
 */
export function scopedTo(store: ResettableCheckpointStore, namespace: string): ResettableCheckpointStore {
  const renamed = <T extends { readonly fullyQualifiedNamespace: string }>(value: T): T => ({
    ...value,
    fullyQualifiedNamespace: namespace,
  });
  return {
    listOwnership: (_, hub, group) => store.listOwnership(namespace, hub, group),
    claimOwnership: (claims) => store.claimOwnership(claims.map(renamed)),
    updateCheckpoint: (checkpoint) => store.updateCheckpoint(renamed(checkpoint)),
    listCheckpoints: (_, hub, group) => store.listCheckpoints(namespace, hub, group),
    resetCheckpoints: (scope, partitionIds) => store.resetCheckpoints(renamed(scope), partitionIds),
  };
}
