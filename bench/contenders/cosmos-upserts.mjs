// Concurrent `items.upsert`, as the quickstart teaches, 32 in flight.
import { CosmosClient } from '@azure/cosmos';
import { eventText, measure, nextEvent, target } from './cosmos-load.mjs';

const client = new CosmosClient({ endpoint: target.endpoint, key: target.key });
const { items } = client.database(target.database).container(target.container);

await measure(async () => {
  let acknowledged = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      for (let n = nextEvent(); n !== undefined; n = nextEvent()) {
        await items.upsert(JSON.parse(eventText(n)));
        acknowledged++;
      }
    }),
  );
  return acknowledged;
});
client.dispose();
