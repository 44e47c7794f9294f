// `items.bulk` tuned by hand: four pages of each partition in flight, minimal responses, throttled operations sent again.
import { BulkOperationType } from '@azure/cosmos';
import { receiveAndStore } from './ingest-run.mjs';

await receiveAndStore({ pagesInFlight: 4 }, async (items, bodies) => {
  let operations = bodies.map((resourceBody) => ({
    operationType: BulkOperationType.Upsert,
    partitionKey: resourceBody.deviceId,
    resourceBody,
  }));
  let acknowledged = 0;
  while (operations.length > 0) {
    const page = operations;
    const results = await items.bulk(page, {}, { contentResponseOnWriteEnabled: false });
    acknowledged += results.filter(({ statusCode }) => statusCode < 300).length;
    operations = page.filter((_, i) => results[i].statusCode === 429);
    if (operations.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return acknowledged;
});
