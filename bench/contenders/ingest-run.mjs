// What every contender shares: where to read and write, and how the result is reported.
import { performance } from 'node:perf_hooks';
import { CosmosClient } from '@azure/cosmos';
import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs';

const env = process.env;

export const source = { connectionString: env.BENCH_HUB_CONNECTION, eventHub: env.BENCH_HUB };
export const target = {
  endpoint: env.BENCH_ENDPOINT,
  key: env.BENCH_KEY,
  database: env.BENCH_DATABASE,
  container: env.BENCH_CONTAINER,
};
const expected = Number(env.BENCH_EVENTS);

/** Tells the parent what happened. Seconds run from the first event received to the last answer. */
export function report({ received, acknowledged, seconds, cpuBefore }) {
  const { user, system } = process.cpuUsage(cpuBefore);
  process.send({ received, acknowledged, seconds, clientCpuMicros: user + system }, () => process.exit(0));
}

/**
 * The receiving side as the documentation of @azure/event-hubs teaches it, with the page size and wait that a knowledgeable
 * user sets. `store(items, page)` gets the parsed bodies of one page and resolves to how many were acknowledged. Several pages
 * of a partition may be stored at the same time; a checkpoint would have to keep track of that, which is left out here.
 */
export async function receiveAndStore({ pageSize = 300, pagesInFlight = 1 }, store) {
  const cosmos = new CosmosClient({ endpoint: target.endpoint, key: target.key });
  const { items } = cosmos.database(target.database).container(target.container);
  const cpuBefore = process.cpuUsage();
  const consumer = new EventHubConsumerClient('$Default', source.connectionString, source.eventHub);
  let received = 0;
  let acknowledged = 0;
  let startedAt;
  const pages = {};
  await new Promise((resolve) => {
    consumer.subscribe(
      {
        async processEvents(events, { partitionId }) {
          if (events.length === 0) return;
          startedAt ??= performance.now();
          const bodies = events.map(({ body }) => ({ ...body, id: body.eventId }));
          pages[partitionId] ??= new Set();
          const busy = pages[partitionId];
          const page = store(items, bodies).then((stored) => {
            busy.delete(page);
            acknowledged += stored;
            received += events.length;
            if (received >= expected) resolve();
          });
          busy.add(page);
          if (busy.size >= pagesInFlight) await Promise.race(busy);
        },
        async processError(error) {
          process.stderr.write(`${error.message}\n`);
        },
      },
      { startPosition: earliestEventPosition, maxBatchSize: pageSize, maxWaitTimeInSeconds: 5 },
    );
  });
  report({ received, acknowledged, seconds: (performance.now() - startedAt) / 1000, cpuBefore });
}
