// Stores pages of 1,000 with `items.executeBulkOperations`.
import { BulkOperationType } from '@azure/cosmos';
import { receiveAndStore } from './ingest-run.mjs';

export const bulkUpserts = (reading, options) =>
  receiveAndStore({ pageSize: 1000, ...reading }, async (items, bodies) => {
    const results = await items.executeBulkOperations(
      bodies.map((resourceBody) => ({
        operationType: BulkOperationType.Upsert,
        partitionKey: resourceBody.deviceId,
        resourceBody,
      })),
      options,
    );
    return results.filter(({ response }) => response !== undefined && response.statusCode < 300).length;
  });
