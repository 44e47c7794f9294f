import type { ContainerClient } from '@azure/storage-blob';
import { PipeError } from '../util/errors.ts';
import type { Secret } from '../util/secret.ts';
import { type PartitionOwnership, type ResettableCheckpointStore, scopeKey } from './checkpoint-store.ts';

/**
 * Owners and checkpoints in Azure Blob Storage, in the layout of the Azure SDKs, so that a Functions app or another SDK can
 * continue from them. `container` is a name when a connection string is given, else the URL of the container, signed in
 * with DefaultAzureCredential. Throws E_CONFIG when the SDK's store is not installed: it is large, and few need it.
 */
export async function blobCheckpointStore(
  container: string,
  connectionString?: Secret,
): Promise<ResettableCheckpointStore> {
  const { BlobCheckpointStore, ContainerClient: Client } = await loadSdk();
  let client: ContainerClient;
  if (connectionString !== undefined) client = new Client(connectionString.reveal(), container);
  else if (/^https?:\/\//.test(container)) {
    const { DefaultAzureCredential } = await import('@azure/identity');
    client = new Client(container, new DefaultAzureCredential());
  } else
    throw new PipeError('E_CONFIG', `no storage account is configured for the blob container ${container}`, {
      hint: 'set AZURE_STORAGE_CONNECTION_STRING, or pass blob:https://<account>.blob.core.windows.net/<container>',
    });
  await client.createIfNotExists();
  const store = new BlobCheckpointStore(client);
  return {
    listOwnership: (namespace, hub, group) => store.listOwnership(namespace, hub, group),
    async claimOwnership(claims) {
      const ready = await Promise.all(claims.map((claim) => withEtag(client, claim)));
      return store.claimOwnership(ready.filter((claim) => claim !== undefined));
    },
    async updateCheckpoint(checkpoint) {
      const blob = client.getBlobClient(`${scopeKey(checkpoint)}/checkpoint/${checkpoint.partitionId}`);
      if (await blob.exists()) {
        const current = Number((await blob.getProperties()).metadata?.['sequencenumber']);
        if (current > checkpoint.sequenceNumber) return;
      }
      await store.updateCheckpoint(checkpoint);
    },
    listCheckpoints: (namespace, hub, group) => store.listCheckpoints(namespace, hub, group),
    async resetCheckpoints(scope, partitionIds) {
      for (const id of partitionIds)
        await client.getBlobClient(`${scopeKey(scope)}/checkpoint/${id}`).deleteIfExists();
    },
  };
}

/**
 * The SDK's store makes the first claim of a partition without a condition (2.0.0), so that two processes can both win it.
 * Here the blob is created first, which only one of them can do; `undefined` for the other.
 */
async function withEtag(
  client: ContainerClient,
  claim: PartitionOwnership,
): Promise<PartitionOwnership | undefined> {
  if (claim.etag !== undefined) return claim;
  const blob = client.getBlockBlobClient(`${scopeKey(claim)}/ownership/${claim.partitionId}`);
  try {
    const { etag } = await blob.upload('', 0, {
      metadata: { ownerid: claim.ownerId },
      conditions: { ifNoneMatch: '*' },
    });
    return etag === undefined ? undefined : { ...claim, etag };
  } catch (error) {
    if ((error as { statusCode?: unknown }).statusCode === 409) return undefined;
    throw error;
  }
}

async function loadSdk() {
  try {
    const [{ BlobCheckpointStore }, { ContainerClient }] = await Promise.all([
      import('@azure/eventhubs-checkpointstore-blob'),
      import('@azure/storage-blob'),
    ]);
    return { BlobCheckpointStore, ContainerClient };
  } catch (error) {
    throw new PipeError('E_CONFIG', 'the blob checkpoint store is not installed', {
      hint: 'npm install @azure/eventhubs-checkpointstore-blob @azure/storage-blob',
      cause: error,
    });
  }
}
