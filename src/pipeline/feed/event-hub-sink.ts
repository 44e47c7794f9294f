import type { EventHubsTarget } from '../../config/targets.ts';
import type { FeedChange, FeedPage } from '../../cosmos/change-feed/types.ts';
import { eventHubsConnection } from '../../eventhubs/connection.ts';
import { partitionForKey } from '../../hashing/partition-for-key.ts';
import { PipeError } from '../../util/errors.ts';
import { feedDocument, textOf } from './format.ts';
import type { FeedSink } from './sink.ts';

/**
 * One event for each change, to the partition that its partition key belongs to, so that the order of a key is kept. The
 * message id is `<range>:<lsn>:<id>`, the same again when a page is delivered twice.
 */
export async function eventHubSink(target: EventHubsTarget): Promise<FeedSink> {
  const connection = await eventHubsConnection(target);
  const client = connection.producer();
  const partitionIds = await client.getPartitionIds().catch(async (error: unknown) => {
    await client.close();
    throw connection.explain(error);
  });
  const sendAll = async (partitionId: string, changes: readonly FeedChange[], page: FeedPage) => {
    if (changes.length === 0) return;
    let batch = await client.createBatch({ partitionId });
    for (const change of changes) {
      const event = {
        body: feedDocument(change, page),
        contentType: 'application/json',
        messageId: `${page.rangeId}:${change.lsn}:${change.id}`,
        properties: { operation: change.operation, key: textOf(change.partitionKey) },
      };
      if (batch.tryAdd(event)) continue;
      if (batch.count > 0) await client.sendBatch(batch);
      batch = await client.createBatch({ partitionId });
      if (!batch.tryAdd(event))
        throw new PipeError(
          'E_USAGE',
          `item ${change.id} is larger than an event of ${connection.eventHub} may be (${batch.maxSizeInBytes} bytes)`,
          { hint: 'send less of it with --fields' },
        );
    }
    if (batch.count > 0) await client.sendBatch(batch);
  };
  return {
    name: 'event-hub',
    async deliver(changes, page) {
      const byPartition: FeedChange[][] = partitionIds.map(() => []);
      for (const change of changes)
        byPartition[partitionForKey(textOf(change.partitionKey), partitionIds.length)]?.push(change);
      try {
        await Promise.all(partitionIds.map((id, index) => sendAll(id, byPartition[index] ?? [], page)));
      } catch (error) {
        throw connection.explain(error);
      }
    },
    close: () => client.close(),
  };
}
