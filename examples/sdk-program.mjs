// A program written against Azure's documentation, with nothing of cosmos-pipe in it. It runs unchanged on the embedded stack:
//
//   npx cosmos-pipe local -- node examples/sdk-program.mjs
//
// and on Azure, with the same environment variables set to your accounts.
import { CosmosClient } from '@azure/cosmos';
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs';
import { Redis } from 'ioredis';

const {
  EVENTHUB_CONNECTION_STRING,
  EVENTHUB_NAME = 'telemetry',
  COSMOS_ENDPOINT,
  COSMOS_KEY,
  REDIS_URL,
} = process.env;

const producer = new EventHubProducerClient(EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME);
const batch = await producer.createBatch({ partitionKey: 'device-1' });
for (let n = 0; n < 10; n++) batch.tryAdd({ body: { deviceId: 'device-1', n } });
await producer.sendBatch(batch);
await producer.close();

const cosmos = new CosmosClient({ endpoint: COSMOS_ENDPOINT, key: COSMOS_KEY });
const { database } = await cosmos.databases.createIfNotExists({ id: 'sample' });
const { container } = await database.containers.createIfNotExists({
  id: 'readings',
  partitionKey: { paths: ['/deviceId'], version: 2 },
  throughput: 1000,
});

const consumer = new EventHubConsumerClient('$Default', EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME);
let stored = 0;
let requestCharge = 0;
await new Promise((resolve, reject) => {
  const subscription = consumer.subscribe(
    {
      async processEvents(events) {
        for (const { body, sequenceNumber } of events) {
          const response = await container.items.upsert({ id: String(sequenceNumber), ...body });
          requestCharge += response.requestCharge;
          if (++stored === 10) subscription.close().then(resolve, reject);
        }
      },
      async processError(error) {
        reject(error);
      },
    },
    { startPosition: earliestEventPosition },
  );
});
await consumer.close();

const redis = new Redis(REDIS_URL);
const { resources } = await container.items
  .query({
    query: 'SELECT VALUE COUNT(1) FROM c WHERE c.deviceId = @device',
    parameters: [{ name: '@device', value: 'device-1' }],
  })
  .fetchAll();
await redis.set('readings:device-1', resources[0], 'EX', 60);
console.log(
  `stored ${stored} events for ${requestCharge.toFixed(2)} RU; cached count ${await redis.get('readings:device-1')}`,
);
await redis.quit();
cosmos.dispose();
