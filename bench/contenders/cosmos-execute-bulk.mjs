// `items.executeBulkOperations`, the SDK's current bulk API, pages of 2,000 with two in flight.
import { BulkOperationType, CosmosClient } from '@azure/cosmos';
import { eventText, measure, nextEvent, target } from './cosmos-load.mjs';

const PAGE = 2_000;
const client = new CosmosClient({ endpoint: target.endpoint, key: target.key });
const { items } = client.database(target.database).container(target.container);

await measure(async () => {
  let acknowledged = 0;
  await Promise.all(
    Array.from({ length: 2 }, async () => {
      for (;;) {
        const operations = [];
        for (let n = nextEvent(); n !== undefined; n = operations.length < PAGE ? nextEvent() : undefined) {
          const resourceBody = JSON.parse(eventText(n));
          operations.push({
            operationType: BulkOperationType.Upsert,
            partitionKey: resourceBody.deviceId,
            resourceBody,
          });
        }
        if (operations.length === 0) return;
        const results = await items.executeBulkOperations(operations, {
          contentResponseOnWriteEnabled: false,
        });
        acknowledged += results.filter(
          ({ response }) => response !== undefined && response.statusCode < 300,
        ).length;
      }
    }),
  );
  return acknowledged;
});
client.dispose();
