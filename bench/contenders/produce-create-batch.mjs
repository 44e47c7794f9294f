// As the SDK's documentation teaches for throughput: full batches, one loop per partition. Events have no key of their own.
import { EventHubProducerClient } from '@azure/event-hubs';
import { connectionString, eventHub, measure, properties, telemetry } from './produce-load.mjs';

const client = new EventHubProducerClient(connectionString, eventHub);
const partitionIds = await client.getPartitionIds();

await measure(async (events) => {
  let next = 0;
  const loop = async (partitionId) => {
    while (next < events) {
      const batch = await client.createBatch({ partitionId });
      while (next < events && batch.tryAdd({ body: telemetry(next), properties: properties(next) }))
        next += 1;
      await client.sendBatch(batch);
    }
  };
  await Promise.all(partitionIds.map(loop));
});
await client.close();
process.disconnect();
