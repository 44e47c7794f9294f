// Concurrent `items.upsert`, as the quickstart teaches: 32 in flight over all partitions.
import { receiveAndStore } from './ingest-run.mjs';

const IN_FLIGHT_PER_PARTITION = 8;

await receiveAndStore({}, async (items, bodies) => {
  let next = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT_PER_PARTITION }, async () => {
      while (next < bodies.length) await items.upsert(bodies[next++]);
    }),
  );
  return bodies.length;
});
