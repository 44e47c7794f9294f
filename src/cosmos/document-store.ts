import type { FeedOptions, Item, ItemDefinition, ItemResponse, RequestOptions } from '@azure/cosmos';
import type { CosmosConnection } from './client.ts';
import { toPipeError } from './errors.ts';
import { sdkPartitionKey } from './items.ts';
import type { PartitionKey } from './write-operation.ts';

/** A small JSON document, such as a lease or a checkpoint. */
export type StoreDocument = Readonly<Record<string, unknown>> & { readonly id: string };

export interface StoredDocument<T> {
  readonly document: T;
  readonly etag: string;
}

/**
 * Optimistic concurrency over small documents: whoever writes states the ETag that it read, and learns by `undefined`
 * (or false) that somebody else was faster. Nothing here overwrites blindly.
 */
export interface DocumentStore<T extends StoreDocument> {
  /** The partition key is read from the document. Resolves to `undefined` when a document of this id exists. */
  create(document: T): Promise<StoredDocument<T> | undefined>;
  /** Resolves to `undefined` when there is none. */
  read(id: string, partitionKey: PartitionKey): Promise<StoredDocument<T> | undefined>;
  /** Resolves to `undefined` when the document changed since `etag`, or is gone. */
  replace(document: T, partitionKey: PartitionKey, etag: string): Promise<StoredDocument<T> | undefined>;
  /** Resolves to false when the document changed since `etag`, or is gone. */
  delete(id: string, partitionKey: PartitionKey, etag?: string): Promise<boolean>;
  /** All documents of one partition key; without one, of the whole container. */
  list(partitionKey?: PartitionKey): Promise<readonly StoredDocument<T>[]>;
}

/** Works on a container of the connection's database; `provision` creates it. */
export function createDocumentStore<T extends StoreDocument>(
  connection: CosmosConnection,
  containerId: string,
): DocumentStore<T> {
  const container = connection.database.container(containerId);
  const target = { ...connection.target, container: containerId };
  const item = (id: string, partitionKey: PartitionKey): Item =>
    container.item(id, sdkPartitionKey(partitionKey));
  const ifMatch = (etag: string): RequestOptions => ({
    accessCondition: { type: 'IfMatch', condition: etag },
  });
  /** Runs `action`; `undefined` when it fails with a status that tells the caller what it asked. */
  async function unless<R>(statuses: readonly unknown[], action: () => Promise<R>): Promise<R | undefined> {
    try {
      return await action();
    } catch (error) {
      if (statuses.includes((error as { code?: unknown }).code)) return undefined;
      throw toPipeError(error, target);
    }
  }
  return {
    create: (document) =>
      unless([409], async () => stored<T>(await container.items.create<ItemDefinition>(document))),
    async read(id, partitionKey) {
      const found = await unless([404], () => item(id, partitionKey).read<ItemDefinition>());
      return found?.resource === undefined ? undefined : stored<T>(found);
    },
    replace: (document, partitionKey, etag) =>
      unless([404, 412], async () =>
        stored<T>(await item(document.id, partitionKey).replace<ItemDefinition>(document, ifMatch(etag))),
      ),
    async delete(id, partitionKey, etag) {
      const options = etag === undefined ? {} : ifMatch(etag);
      return (await unless([404, 412], () => item(id, partitionKey).delete(options))) !== undefined;
    },
    async list(partitionKey) {
      const options: FeedOptions =
        partitionKey === undefined ? {} : { partitionKey: sdkPartitionKey(partitionKey) };
      try {
        const { resources } = await container.items.query('SELECT * FROM c', options).fetchAll();
        return resources.map((resource) => withoutSystemProperties<T>(resource));
      } catch (error) {
        throw toPipeError(error, target);
      }
    },
  };
}

function stored<T>(response: ItemResponse<ItemDefinition>): StoredDocument<T> {
  return withoutSystemProperties(response.resource as unknown as Record<string, unknown>);
}

function withoutSystemProperties<T>(resource: Record<string, unknown>): StoredDocument<T> {
  const { _rid, _self, _etag, _attachments, _ts, ...document } = resource;
  return { document: document as T, etag: String(_etag) };
}
