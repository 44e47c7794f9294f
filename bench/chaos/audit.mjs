// A second opinion that shares nothing with `ingest` and `verify`: the official SDKs read the event hub and the container, and
// every stored item must be the event that was sent, field by field.
import { isDeepStrictEqual } from 'node:util';
import { CosmosClient } from '@azure/cosmos';
import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs';

const EXAMPLES = 5;
/** What the service adds to an item, and what `ingest` does. */
const ADDED = new Set(['_rid', '_self', '_etag', '_attachments', '_ts', '_lsn', 'id', 'pipe']);

/**
 * @param environment the stack's environment variables
 * @param names database and container to audit
 * @returns counts, and the ids of a few items that are wrong
 */
export async function audit(environment, { database, container }) {
  const { bodies: sent, outOfOrder } = await readHub(environment);
  const account = new CosmosClient(environment.COSMOS_CONNECTION_STRING);
  const found = {
    sent: sent.size,
    stored: 0,
    missing: 0,
    corrupted: 0,
    sentOutOfOrder: outOfOrder,
    examples: [],
  };
  const seen = new Set();
  const note = (kind, id) => {
    found[kind] += 1;
    if (found.examples.length < EXAMPLES) found.examples.push(`${kind}: ${id}`);
  };
  try {
    const items = account.database(database).container(container).items.readAll({ maxItemCount: 1_000 });
    for await (const { resources } of items.getAsyncIterator()) {
      for (const item of resources) {
        found.stored += 1;
        seen.add(item.id);
        const body = Object.fromEntries(Object.entries(item).filter(([name]) => !ADDED.has(name)));
        if (!isDeepStrictEqual(body, sent.get(item.id))) note('corrupted', item.id);
      }
    }
  } finally {
    account.dispose();
  }
  for (const id of sent.keys()) if (!seen.has(id)) note('missing', id);
  return found;
}

/**
 * Bodies by event id, and how many events the hub itself holds out of order. An event that was sent again after a lost answer
 * is there twice, with the same body, and the second copy is behind events that were sent after the first.
 */
async function readHub({ EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME }) {
  const client = new EventHubConsumerClient('$Default', EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME);
  const bodies = new Map();
  /** Last copies in the order of the hub, which is the order in which they are stored for good. */
  const lastCopies = new Map();
  try {
    const partitions = await Promise.all(
      (await client.getPartitionIds()).map((id) => client.getPartitionProperties(id)),
    );
    await Promise.all(
      partitions
        .filter(({ isEmpty }) => !isEmpty)
        .map(
          ({ partitionId, lastEnqueuedSequenceNumber }) =>
            new Promise((resolve, reject) => {
              const subscription = client.subscribe(
                partitionId,
                {
                  async processEvents(events) {
                    for (const { body, properties } of events) {
                      bodies.set(body.eventId, body);
                      lastCopies.delete(body.eventId);
                      lastCopies.set(body.eventId, properties);
                    }
                    if ((events.at(-1)?.sequenceNumber ?? -1) < lastEnqueuedSequenceNumber) return;
                    void subscription.close().then(resolve, reject);
                  },
                  processError: async (error) => reject(error),
                },
                { startPosition: earliestEventPosition, maxBatchSize: 1_000, maxWaitTimeInSeconds: 1 },
              );
            }),
        ),
    );
  } finally {
    await client.close();
  }
  return { bodies, outOfOrder: countDisorder(lastCopies.values()) };
}

/** Events behind one with a higher sequence number of their key; a key is on one partition. */
function countDisorder(events) {
  const highest = new Map();
  let count = 0;
  for (const { 'cp-key': key, 'cp-seq': sequence } of events) {
    if (sequence < (highest.get(key) ?? -1)) count += 1;
    else highest.set(key, sequence);
  }
  return count;
}
