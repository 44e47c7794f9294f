// Bulk writes to the same local endpoint: ours against what a user would write instead. Server and contenders have a process
// each; contenders take turns, and the median of their rounds counts. `node bench/run.mjs cosmos` prints it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openCosmos } from '../dist/src/cosmos/client.js';
import { deleteContainer, provision } from '../dist/src/cosmos/containers.js';
import { queryItems } from '../dist/src/cosmos/items.js';
import { Secret } from '../dist/src/util/secret.js';

const CONTENDERS = {
  'cosmos-pipe': 'cosmos-ours.mjs',
  upserts: 'cosmos-upserts.mjs',
  executeBulkOperations: 'cosmos-execute-bulk.mjs',
  'items.bulk': 'cosmos-items-bulk.mjs',
};
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
/** 200,000 RU/s are 34 physical partitions and more than two cores can use. */
const THROUGHPUT = Number(process.env.BENCH_THROUGHPUT ?? 200_000);
const DEVICES = Number(process.env.BENCH_DEVICES ?? 1_000);

const script = (name) => new URL(`./contenders/${name}`, import.meta.url);

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export async function run() {
  const server = fork(script('cosmos-server.mjs'));
  const [{ environment }] = await once(server, 'message');
  const rounds = Object.fromEntries(Object.keys(CONTENDERS).map((name) => [name, []]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of Object.keys(CONTENDERS))
        rounds[name].push(await contend(name, `${name}-${round}`, environment, server));
    }
  } finally {
    server.send('stop');
  }
  const contenders = Object.entries(rounds).map(([name, all]) => ({ name, ...median(all) }));
  const [ours, ...others] = contenders;
  return {
    name: 'cosmos',
    parameters: { requestUnitsPerSecond: THROUGHPUT, devices: DEVICES, seconds: SECONDS, rounds: ROUNDS },
    contenders,
    ratios: Object.fromEntries(
      others.map(({ name, eventsPerSecond }) => [
        `${ours.name}/${name}`,
        Number((ours.eventsPerSecond / eventsPerSecond).toFixed(2)),
      ]),
    ),
  };
}

async function contend(name, container, { COSMOS_ENDPOINT, COSMOS_KEY }, server) {
  const target = { endpoint: COSMOS_ENDPOINT, key: new Secret(COSMOS_KEY), database: 'bench', container };
  const connection = await openCosmos(target);
  await provision(connection, { partitionKeyPath: '/deviceId', throughput: THROUGHPUT });
  const cpuBefore = await serverCpu(server);
  const child = fork(script(CONTENDERS[name]), {
    env: {
      ...process.env,
      BENCH_ENDPOINT: COSMOS_ENDPOINT,
      BENCH_KEY: COSMOS_KEY,
      BENCH_DATABASE: target.database,
      BENCH_CONTAINER: container,
      BENCH_SECONDS: String(SECONDS),
      BENCH_DEVICES: String(DEVICES),
      BENCH_RUN: container,
    },
  });
  const [{ acknowledged, sent, seconds, clientCpuMicros }] = await once(child, 'message');
  const serverCpuMicros = (await serverCpu(server)) - cpuBefore;
  let stored = 0;
  for await (const count of queryItems(connection, 'SELECT VALUE COUNT(1) FROM c')) stored += count;
  await deleteContainer(connection);
  connection.dispose();
  return {
    eventsPerSecond: Math.round(acknowledged / seconds),
    clientCpuMicrosPerEvent: Number((clientCpuMicros / sent).toFixed(1)),
    serverCpuMicrosPerEvent: Number((serverCpuMicros / sent).toFixed(1)),
    stored,
    lost: sent - stored,
    duplicated: 0,
  };
}

async function serverCpu(server) {
  server.send('cpu');
  const [{ cpuMicros }] = await once(server, 'message');
  return cpuMicros;
}

/** The round of median throughput; losses of any round are kept. */
function median(rounds) {
  const sorted = rounds.toSorted((a, b) => a.eventsPerSecond - b.eventsPerSecond);
  return { ...sorted[Math.floor(sorted.length / 2)], lost: Math.max(...rounds.map(({ lost }) => lost)) };
}
