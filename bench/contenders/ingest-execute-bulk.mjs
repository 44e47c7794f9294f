// `items.executeBulkOperations`, the SDK's current bulk API, one call per page of 1,000, four pages of each partition in flight.
import { BulkOperationType } from '@azure/cosmos';
import { receiveAndStore } from './ingest-run.mjs';

await receiveAndStore({ pageSize: 1000, pagesInFlight: 4 }, async (items, bodies) => {
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
