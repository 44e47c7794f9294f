import type { FeedChange, FeedOperation, FeedPage } from '../../cosmos/change-feed/types.ts';
import type { EventSchema, GridEvent } from '../../eventgrid/event.ts';
import { eventSizeBytes, MAX_REQUEST_BYTES } from '../../eventgrid/publisher.ts';
import { ARRIVAL_FIELD } from '../../util/envelope.ts';
import { feedDocument, textOf } from './format.ts';

/** Where changes come from, for source, subject and id of their events. */
export interface ChangeOrigin {
  readonly endpoint: string;
  readonly database: string;
  readonly container: string;
  /** Resource id of the container: one made again under the same name has other events. */
  readonly rid: string;
}

export interface ChangeEventOptions {
  readonly origin: ChangeOrigin;
  readonly schema: EventSchema;
  /** `keys`: id, partition key and coordinates. `full`: the item as well, which may be projected by then. */
  readonly payload: 'keys' | 'full';
  /** Items whose event would be larger are published with their keys only. Default 1 MB. */
  readonly maxEventBytes?: number;
}

const TYPES: Readonly<Record<FeedOperation, string>> = {
  upsert: 'CosmosPipe.Item.Upserted',
  create: 'CosmosPipe.Item.Created',
  replace: 'CosmosPipe.Item.Replaced',
  delete: 'CosmosPipe.Item.Deleted',
};

/** Type of the event of a change. */
export function changeType({ operation }: FeedChange): string {
  return TYPES[operation];
}

/** True of a document that `receive` stored: publishing it would send an event round for ever. */
export function cameFromEventGrid({ item }: FeedChange): boolean {
  const arrival = item[ARRIVAL_FIELD];
  return typeof arrival === 'object' && arrival !== null && 'receivedAt' in arrival;
}

/**
 * The event of a change. Its id is made of the container's resource id, the item and the log sequence number, so that a
 * change that is published again can be told by every consumer.
 */
export function changeEvent(
  change: FeedChange,
  page: FeedPage,
  { origin, schema, payload, maxEventBytes = MAX_REQUEST_BYTES }: ChangeEventOptions,
): { readonly event: GridEvent; readonly reduced: boolean } {
  const { id, lsn, partitionKey, storedMs } = change;
  const key = textOf(partitionKey);
  const path = `/dbs/${origin.database}/colls/${origin.container}`;
  const { item: _item, previous: _previous, ...keys } = feedDocument(change, page);
  const keysOnly: GridEvent = {
    id: `${origin.rid}:${key}/${id}:${lsn}`,
    type: changeType(change),
    source: `${origin.endpoint.replace(/\/$/, '')}${path}`,
    subject: `${path}/items/${encodeURIComponent(key)}/${encodeURIComponent(id)}`,
    time: new Date(storedMs).toISOString(),
    data: keys,
    extensions: {},
    schema,
  };
  if (payload === 'keys') return { event: keysOnly, reduced: false };
  const event = { ...keysOnly, data: feedDocument(change, page) };
  return eventSizeBytes(event) > maxEventBytes
    ? { event: keysOnly, reduced: true }
    : { event, reduced: false };
}
