// The SDK's own way to a partition key per event: the buffered producer, fed in arrays per key as it takes one key a call.
import { EventHubBufferedProducerClient } from '@azure/event-hubs';
import { connectionString, deviceOf, eventHub, measure, properties, telemetry } from './produce-load.mjs';

let failure;
const client = new EventHubBufferedProducerClient(connectionString, eventHub, {
  onSendEventsErrorHandler: async ({ error }) => {
    failure = error;
  },
});

await measure(async (events) => {
  for (let index = 0; index < events; index += 1) {
    await client.enqueueEvent(
      { body: telemetry(index), properties: properties(index) },
      { partitionKey: deviceOf(index) },
    );
  }
  await client.flush();
  if (failure) throw failure;
});
await client.close();
process.disconnect();
