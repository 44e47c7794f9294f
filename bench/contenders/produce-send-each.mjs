// What most samples do: one send per event with its partition key, one after the other or many in flight.
import { EventHubProducerClient } from '@azure/event-hubs';
import { connectionString, deviceOf, eventHub, measure, properties, telemetry } from './produce-load.mjs';

const client = new EventHubProducerClient(connectionString, eventHub);
const IN_FLIGHT = Number(process.env.BENCH_IN_FLIGHT);

await measure(async (events) => {
  let next = 0;
  const loop = async () => {
    while (next < events) {
      const index = next;
      next += 1;
      await client.sendBatch([{ body: telemetry(index), properties: properties(index) }], {
        partitionKey: deviceOf(index),
      });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
});
await client.close();
process.disconnect();
