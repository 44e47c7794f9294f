// What the comparisons of `ingest` share: hub and store in a process each, containers, and what became of a run.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openCosmos } from '../dist/src/cosmos/client.js';
import { deleteContainer, provision } from '../dist/src/cosmos/containers.js';
import { queryItems } from '../dist/src/cosmos/items.js';
import { Secret } from '../dist/src/util/secret.js';

export const EVENT_HUB = 'bench';
const DATABASE = 'bench';

/** Starts a script of bench/contenders in a process of its own. */
export function start(name, environment = {}) {
  return fork(new URL(`./contenders/${name}`, import.meta.url), { env: { ...process.env, ...environment } });
}

/** The next message of a process, which must not end before it. */
export async function messageOf(child) {
  const ended = new AbortController();
  try {
    return await Promise.race([
      once(child, 'message', { signal: ended.signal }).then(([message]) => message),
      once(child, 'exit', { signal: ended.signal }).then(([code]) => {
        throw new Error(`a process of the comparison ended with code ${code}`);
      }),
    ]);
  } finally {
    ended.abort();
  }
}

/** Runs `use` with an embedded Event Hubs and an embedded Cosmos DB, each in a process of its own. */
export async function withServices(use) {
  const hub = start('ingest-hub-server.mjs');
  const store = start('cosmos-server.mjs');
  try {
    const [{ environment: hubs }, { environment: cosmos }] = await Promise.all([
      messageOf(hub),
      messageOf(store),
    ]);
    return await use({ store, environment: { ...hubs, ...cosmos } });
  } finally {
    hub.send('stop');
    store.send('stop');
  }
}

/** A new container has a partition per so many RU/s; a partition can be raised to 10,000. */
const RU_OF_A_NEW_PARTITION = 6_000;
/** 34 new partitions are about 200,000 RU/s, which 18,000 events/s use up; more than that shows what the client could do. */
const RU_PER_PARTITION = Number(process.env.BENCH_RU_PER_PARTITION ?? RU_OF_A_NEW_PARTITION);

/**
 * Runs `use` with a fresh container of so many physical partitions and the environment of a contender.
 *
 * @returns what `use` returned, the items stored, and the CPU time of the store
 */
export async function withContainer({ store, environment }, { container, partitions }, use) {
  const { COSMOS_ENDPOINT, COSMOS_KEY, EVENTHUB_CONNECTION_STRING } = environment;
  const target = { endpoint: COSMOS_ENDPOINT, key: new Secret(COSMOS_KEY), database: DATABASE, container };
  const connection = await openCosmos(target);
  try {
    const throughput = partitions * RU_OF_A_NEW_PARTITION;
    await provision(connection, { partitionKeyPath: '/deviceId', throughput });
    if (RU_PER_PARTITION > RU_OF_A_NEW_PARTITION) await raise(connection, partitions * RU_PER_PARTITION);
    const before = await cpuOf(store);
    const result = await use({
      BENCH_HUB: EVENT_HUB,
      BENCH_HUB_CONNECTION: EVENTHUB_CONNECTION_STRING,
      BENCH_ENDPOINT: COSMOS_ENDPOINT,
      BENCH_KEY: COSMOS_KEY,
      BENCH_DATABASE: DATABASE,
      BENCH_CONTAINER: container,
    });
    const serverCpuMicros = (await cpuOf(store)) - before;
    let stored = 0;
    for await (const count of queryItems(connection, 'SELECT VALUE COUNT(1) FROM c')) stored += count;
    await deleteContainer(connection);
    return { result, stored, serverCpuMicros };
  } finally {
    connection.dispose();
  }
}

async function raise({ client, container }, offerThroughput) {
  const { resource: offer } = await container.readOffer();
  await client.offer(offer.id).replace({ ...offer, content: { ...offer.content, offerThroughput } });
}

async function cpuOf(server) {
  server.send('cpu');
  return (await messageOf(server)).cpuMicros;
}
