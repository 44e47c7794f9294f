import type { ItemDefinition, JSONValue, PartitionKey as SdkPartitionKey, SqlQuerySpec } from '@azure/cosmos';
import { type Clock, systemClock } from '../util/clock.ts';
import type { CosmosConnection } from './client.ts';
import { toPipeError } from './errors.ts';
import type { PartitionKey } from './write-operation.ts';

/** An item as the service returns it, system properties included. */
export type StoredItem = Readonly<Record<string, unknown>> & { readonly id: string };

/** A point read, about 1 RU per KB. Resolves to `undefined` when there is no such item. */
export async function readItem<T = StoredItem>(
  connection: CosmosConnection,
  id: string,
  partitionKey: PartitionKey,
): Promise<{ readonly item: T; readonly etag: string; readonly requestCharge: number } | undefined> {
  try {
    const { resource, etag, requestCharge } = await connection.container
      .item(id, sdkPartitionKey(partitionKey))
      .read<ItemDefinition>();
    return resource === undefined ? undefined : { item: resource as T, etag, requestCharge };
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

export interface QueryOptions {
  /** Restricts the query to one partition key: cheaper, and needed by some clauses. */
  readonly partitionKey?: PartitionKey;
  /** Items per page, default 1000. */
  readonly pageSize?: number;
  /** Waits between pages so that the query uses at most this many request units per second on average. */
  readonly maxRuPerSecond?: number;
  /** Where an earlier query stopped; only for queries without ORDER BY, aggregates and the like. */
  readonly continuation?: string;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface QueryPage<T> {
  readonly items: readonly T[];
  readonly requestCharge: number;
  /** Absent on the last page, and for queries that cannot be continued. */
  readonly continuation?: string;
}

/** Runs a query page by page; the next page is asked for when the consumer comes back, so memory holds one page. */
export async function* queryPages<T = StoredItem>(
  connection: CosmosConnection,
  text: string,
  parameters: Readonly<Record<string, unknown>> = {},
  options: QueryOptions = {},
): AsyncGenerator<QueryPage<T>> {
  const { signal, maxRuPerSecond, clock = systemClock } = options;
  const query: SqlQuerySpec = {
    query: text,
    parameters: Object.entries(parameters).map(([name, value]) => ({
      name: name.startsWith('@') ? name : `@${name}`,
      value: value as JSONValue,
    })),
  };
  const iterator = connection.container.items.query<T>(query, {
    maxItemCount: options.pageSize ?? 1000,
    ...(options.partitionKey === undefined ? {} : { partitionKey: sdkPartitionKey(options.partitionKey) }),
    ...(options.continuation === undefined ? {} : { continuationToken: options.continuation }),
    ...(signal === undefined ? {} : { abortSignal: signal }),
  });
  const startedAt = clock.now();
  let used = 0;
  try {
    while (iterator.hasMoreResults()) {
      signal?.throwIfAborted();
      const { resources, requestCharge, continuationToken } = await iterator.fetchNext();
      used += requestCharge;
      if (resources !== undefined && (resources.length > 0 || continuationToken))
        yield {
          items: resources,
          requestCharge,
          ...(continuationToken ? { continuation: continuationToken } : {}),
        };
      if (maxRuPerSecond !== undefined) {
        const aheadMs = (used / maxRuPerSecond) * 1000 - (clock.now() - startedAt);
        if (aheadMs > 0) await clock.sleep(aheadMs, signal);
      }
    }
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

/** The items of {@link queryPages}, one by one. Parameters by name, with or without the `@`. */
export async function* queryItems<T = StoredItem>(
  connection: CosmosConnection,
  text: string,
  parameters: Readonly<Record<string, unknown>> = {},
  options: QueryOptions = {},
): AsyncGenerator<T> {
  for await (const page of queryPages<T>(connection, text, parameters, options)) yield* page.items;
}

/** The SDK writes an absent component as `{}` and takes hierarchical keys as arrays. */
export function sdkPartitionKey(partitionKey: PartitionKey): SdkPartitionKey {
  const one = (component: unknown): unknown => (component === undefined ? {} : component);
  return (Array.isArray(partitionKey) ? partitionKey.map(one) : one(partitionKey)) as SdkPartitionKey;
}
