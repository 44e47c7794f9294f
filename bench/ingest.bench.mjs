// Event Hubs to Cosmos DB on the same local endpoints: `ingest` against what a user would write instead. Each server and each
// contender has a process of its own; contenders take turns, and the median of their rounds counts. What each one stored is
// counted in its container afterwards. `node bench/run.mjs ingest` prints it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openCosmos } from '../dist/src/cosmos/client.js';
import { deleteContainer, provision } from '../dist/src/cosmos/containers.js';
import { queryItems } from '../dist/src/cosmos/items.js';
import { Secret } from '../dist/src/util/secret.js';
import { fill } from './contenders/ingest-fill.mjs';

const CONTENDERS = {
  'cosmos-pipe': 'ingest-ours.mjs',
  upserts: 'ingest-upserts.mjs',
  executeBulkOperations: 'ingest-execute-bulk.mjs',
  'executeBulkOperations, tuned': 'ingest-execute-bulk-tuned.mjs',
  'items.bulk, tuned': 'ingest-items-bulk.mjs',
};
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const EVENTS = Number(process.env.BENCH_EVENTS ?? 60_000);
/** 200,000 RU/s are 34 physical partitions and more than two cores can use. */
const THROUGHPUT = Number(process.env.BENCH_THROUGHPUT ?? 200_000);
const DEVICES = Number(process.env.BENCH_DEVICES ?? 1_000);
const EVENT_HUB = 'bench';

const script = (name) => new URL(`./contenders/${name}`, import.meta.url);

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export async function run() {
  const hub = fork(script('ingest-hub-server.mjs'));
  const store = fork(script('cosmos-server.mjs'));
  const [[{ environment: hubs }], [{ environment: cosmos }]] = await Promise.all([
    once(hub, 'message'),
    once(store, 'message'),
  ]);
  const rounds = Object.fromEntries(Object.keys(CONTENDERS).map((name) => [name, []]));
  try {
    await fill(hubs.EVENTHUB_CONNECTION_STRING, EVENT_HUB, EVENTS, DEVICES);
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of Object.keys(CONTENDERS))
        rounds[name].push(await contend(name, `ingest-${name}-${round}`, { ...hubs, ...cosmos }, store));
    }
  } finally {
    hub.send('stop');
    store.send('stop');
  }
  const contenders = Object.entries(rounds).map(([name, all]) => ({ name, ...median(all) }));
  const [ours, ...others] = contenders;
  return {
    name: 'ingest',
    parameters: { events: EVENTS, requestUnitsPerSecond: THROUGHPUT, devices: DEVICES, rounds: ROUNDS },
    contenders,
    ratios: Object.fromEntries(
      others.map(({ name, eventsPerSecond }) => [
        `${ours.name}/${name}`,
        Number((ours.eventsPerSecond / eventsPerSecond).toFixed(2)),
      ]),
    ),
  };
}

async function contend(name, container, environment, store) {
  const { COSMOS_ENDPOINT, COSMOS_KEY, EVENTHUB_CONNECTION_STRING } = environment;
  const target = { endpoint: COSMOS_ENDPOINT, key: new Secret(COSMOS_KEY), database: 'bench', container };
  const connection = await openCosmos(target);
  await provision(connection, { partitionKeyPath: '/deviceId', throughput: THROUGHPUT });
  const serverBefore = await cpuOf(store);
  const child = fork(script(CONTENDERS[name]), {
    env: {
      ...process.env,
      BENCH_HUB: EVENT_HUB,
      BENCH_HUB_CONNECTION: EVENTHUB_CONNECTION_STRING,
      BENCH_ENDPOINT: COSMOS_ENDPOINT,
      BENCH_KEY: COSMOS_KEY,
      BENCH_DATABASE: target.database,
      BENCH_CONTAINER: container,
      BENCH_EVENTS: String(EVENTS),
    },
  });
  const [{ received, acknowledged, seconds, clientCpuMicros }] = await once(child, 'message');
  const serverCpuMicros = (await cpuOf(store)) - serverBefore;
  let stored = 0;
  for await (const count of queryItems(connection, 'SELECT VALUE COUNT(1) FROM c')) stored += count;
  await deleteContainer(connection);
  connection.dispose();
  return {
    eventsPerSecond: Math.round(acknowledged / seconds),
    clientCpuMicrosPerEvent: Number((clientCpuMicros / received).toFixed(1)),
    serverCpuMicrosPerEvent: Number((serverCpuMicros / received).toFixed(1)),
    stored,
    lost: EVENTS - stored,
    duplicated: Math.max(0, stored - EVENTS),
  };
}

async function cpuOf(server) {
  server.send('cpu');
  const [{ cpuMicros }] = await once(server, 'message');
  return cpuMicros;
}

/** The round of median throughput; losses of any round are kept. */
function median(rounds) {
  const sorted = rounds.toSorted((a, b) => a.eventsPerSecond - b.eventsPerSecond);
  return { ...sorted[Math.floor(sorted.length / 2)], lost: Math.max(...rounds.map(({ lost }) => lost)) };
}
