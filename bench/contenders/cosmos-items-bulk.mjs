// `items.bulk` tuned by hand: pages of 1,000, four in flight, minimal responses, throttled operations retried.
import { BulkOperationType, CosmosClient } from '@azure/cosmos';
import { eventText, measure, nextEvent, target } from './cosmos-load.mjs';

const PAGE = 1_000;
const client = new CosmosClient({ endpoint: target.endpoint, key: target.key });
const { items } = client.database(target.database).container(target.container);

await measure(async () => {
  let acknowledged = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      let operations = [];
      for (;;) {
        for (let n = operations.length < PAGE ? nextEvent() : undefined; n !== undefined; ) {
          const resourceBody = JSON.parse(eventText(n));
          operations.push({
            operationType: BulkOperationType.Upsert,
            partitionKey: resourceBody.deviceId,
            resourceBody,
          });
          n = operations.length < PAGE ? nextEvent() : undefined;
        }
        if (operations.length === 0) return;
        const page = operations;
        const results = await items.bulk(page, {}, { contentResponseOnWriteEnabled: false });
        operations = page.filter((_, i) => results[i].statusCode === 429);
        acknowledged += results.filter(({ statusCode }) => statusCode < 300).length;
        if (operations.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }),
  );
  return acknowledged;
});
client.dispose();
