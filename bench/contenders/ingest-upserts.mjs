// Concurrent `items.upsert`, as the quickstart teaches: 32 in flight for each page.
import { receiveAndStore } from './ingest-run.mjs';

const IN_FLIGHT_PER_PAGE = 32;

await receiveAndStore({ pageSize: 1000 }, async (items, bodies) => {
  let next = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT_PER_PAGE }, async () => {
      while (next < bodies.length) await items.upsert(bodies[next++]);
    }),
  );
  return bodies.length;
});
