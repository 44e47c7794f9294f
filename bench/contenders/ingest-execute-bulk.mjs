// `items.executeBulkOperations`, the SDK's current bulk API, one call per page.
import { BulkOperationType } from '@azure/cosmos';
import { receiveAndStore } from './ingest-run.mjs';

await receiveAndStore(async (items, bodies) => {
  const results = await items.executeBulkOperations(
    bodies.map((resourceBody) => ({
      operationType: BulkOperationType.Upsert,
      partitionKey: resourceBody.deviceId,
      resourceBody,
    })),
    { contentResponseOnWriteEnabled: false },
  );
  return results.filter(({ response }) => response !== undefined && response.statusCode < 300).length;
});
