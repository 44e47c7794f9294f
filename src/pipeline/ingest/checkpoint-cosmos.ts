import type { CosmosConnection } from '../../cosmos/client.ts';
import { provision } from '../../cosmos/containers.ts';
import { createDocumentStore, type DocumentStore, type StoredDocument } from '../../cosmos/document-store.ts';
import {
  type Checkpoint,
  type PartitionOwnership,
  type ResettableCheckpointStore,
  scopeKey,
} from '../../eventhubs/checkpoint-store.ts';
import type { Clock } from '../../util/clock.ts';

type OwnerDocument = {
  readonly id: string;
  readonly scope: string;
  readonly kind: 'owner';
  readonly partitionId: string;
  readonly ownerId: string;
  readonly claimedMs: number;
};

type CheckpointDocument = {
  readonly id: string;
  readonly scope: string;
  readonly kind: 'checkpoint';
  readonly partitionId: string;
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly hubCreatedMs?: number;
};

/** What the store keeps. */
export type CheckpointStoreDocument = OwnerDocument | CheckpointDocument;

/**
 * Owners and checkpoints as documents of one container, guarded by their ETags: the store for several hosts. Two documents
 * per partition, all of one consumer group in one logical partition, so that listing is one query of about 3 RU. Times are
 * of the claiming host: clocks of the hosts should agree within a few seconds, well below the ownership expiry.
 */
export async function cosmosCheckpointStore(
  connection: CosmosConnection,
  containerId: string,
  clock: Clock,
): Promise<ResettableCheckpointStore> {
  await provision(connection, {
    id: containerId,
    partitionKeyPath: '/scope',
    throughput: 400,
    indexing: 'keyOnly',
  });
  return documentCheckpointStore(
    createDocumentStore<CheckpointStoreDocument>(connection, containerId),
    clock,
  );
}

/** The store over any {@link DocumentStore}. */
export function documentCheckpointStore(
  documents: DocumentStore<CheckpointStoreDocument>,
  clock: Clock,
): ResettableCheckpointStore {
  /** What this process last wrote or saw, so that a checkpoint usually costs one write and no read. */
  const seen = new Map<string, StoredDocument<CheckpointDocument>>();

  async function claim(request: PartitionOwnership): Promise<PartitionOwnership | undefined> {
    const scope = scopeKey(request);
    const document: OwnerDocument = {
      id: `owner-${request.partitionId}`,
      scope,
      kind: 'owner',
      partitionId: request.partitionId,
      ownerId: request.ownerId,
      claimedMs: Math.floor(clock.epochMicros() / 1000),
    };
    const won =
      request.etag === undefined
        ? await documents.create(document)
        : await documents.replace(document, scope, request.etag);
    return won && { ...request, etag: won.etag, lastModifiedTimeInMs: document.claimedMs };
  }

  async function list<K extends CheckpointStoreDocument['kind']>(scope: string, kind: K) {
    type Match = StoredDocument<Extract<CheckpointStoreDocument, { kind: K }>>;
    return (await documents.list(scope)).filter((stored): stored is Match => stored.document.kind === kind);
  }

  return {
    async listOwnership(fullyQualifiedNamespace, eventHubName, consumerGroup) {
      const scope = { fullyQualifiedNamespace, eventHubName, consumerGroup };
      return (await list(scopeKey(scope), 'owner')).map(({ document, etag }) => ({
        ...scope,
        partitionId: document.partitionId,
        ownerId: document.ownerId,
        lastModifiedTimeInMs: document.claimedMs,
        etag,
      }));
    },
    async claimOwnership(claims) {
      const results = await Promise.all(claims.map(claim));
      return results.filter((result) => result !== undefined);
    },
    async updateCheckpoint(checkpoint) {
      const scope = scopeKey(checkpoint);
      const id = `checkpoint-${checkpoint.partitionId}`;
      const cacheKey = `${scope}/${id}`;
      const document: CheckpointDocument = {
        id,
        scope,
        kind: 'checkpoint',
        partitionId: checkpoint.partitionId,
        sequenceNumber: checkpoint.sequenceNumber,
        offset: checkpoint.offset,
        ...(checkpoint.hubCreatedMs === undefined ? {} : { hubCreatedMs: checkpoint.hubCreatedMs }),
      };
      for (;;) {
        const known = seen.get(cacheKey);
        // What is remembered may be outdated by a reset, so only a fresh read is a reason not to write.
        const current =
          known !== undefined && known.document.sequenceNumber <= checkpoint.sequenceNumber
            ? known
            : ((await documents.read(id, scope)) as StoredDocument<CheckpointDocument> | undefined);
        if (current !== undefined && current.document.sequenceNumber > checkpoint.sequenceNumber) return;
        const written =
          current === undefined
            ? await documents.create(document)
            : await documents.replace(document, scope, current.etag);
        if (written !== undefined) {
          seen.set(cacheKey, written as StoredDocument<CheckpointDocument>);
          return;
        }
        seen.delete(cacheKey);
      }
    },
    async listCheckpoints(fullyQualifiedNamespace, eventHubName, consumerGroup) {
      const scope = { fullyQualifiedNamespace, eventHubName, consumerGroup };
      return (await list(scopeKey(scope), 'checkpoint')).map(
        ({ document }): Checkpoint => ({
          ...scope,
          partitionId: document.partitionId,
          sequenceNumber: document.sequenceNumber,
          offset: document.offset,
          ...(document.hubCreatedMs === undefined ? {} : { hubCreatedMs: document.hubCreatedMs }),
        }),
      );
    },
    async resetCheckpoints(scope, partitionIds) {
      for (const partitionId of partitionIds) {
        const id = `checkpoint-${partitionId}`;
        seen.delete(`${scopeKey(scope)}/${id}`);
        await documents.delete(id, scopeKey(scope));
      }
    },
  };
}
