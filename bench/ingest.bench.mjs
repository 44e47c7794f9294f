// Event Hubs to Cosmos DB on the same local endpoints: `ingest` against what a user would write instead. Each server and each
// contender has a process of its own; contenders take turns, and the median of their rounds counts. What each one stored is
// counted in its container afterwards. `node bench/run.mjs ingest` prints it.
import { fill } from './contenders/ingest-fill.mjs';
import { EVENT_HUB, messageOf, start, withContainer, withServices } from './ingest-services.mjs';

const PARTITIONS = Number(process.env.BENCH_PARTITIONS ?? 34);
const CONTENDERS = {
  'cosmos-pipe': { script: 'ingest-ours.mjs', partitions: PARTITIONS },
  'cosmos-pipe, 100 partitions': { script: 'ingest-ours.mjs', partitions: 100 },
  upserts: { script: 'ingest-upserts.mjs', partitions: PARTITIONS },
  executeBulkOperations: { script: 'ingest-execute-bulk.mjs', partitions: PARTITIONS },
  'executeBulkOperations, tuned': { script: 'ingest-execute-bulk-tuned.mjs', partitions: PARTITIONS },
  'items.bulk, tuned': { script: 'ingest-items-bulk.mjs', partitions: PARTITIONS },
};
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const EVENTS = Number(process.env.BENCH_EVENTS ?? 60_000);
const DEVICES = Number(process.env.BENCH_DEVICES ?? 1_000);
/** For a first look at some of them: names, with semicolons between. */
const ONLY = process.env.BENCH_ONLY?.split(';');
const names = Object.keys(CONTENDERS).filter((name) => ONLY?.includes(name) ?? true);

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export function run() {
  return withServices(async (services) => {
    const rounds = Object.fromEntries(names.map((name) => [name, []]));
    await fill(services.environment.EVENTHUB_CONNECTION_STRING, EVENT_HUB, EVENTS, DEVICES);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [number, name] of names.entries())
        rounds[name].push(await contend(services, CONTENDERS[name], `ingest-${number}-${round}`));
    }
    const contenders = Object.entries(rounds).map(([name, all]) => ({ name, ...median(all) }));
    const [ours, ...others] = contenders;
    return {
      name: 'ingest',
      parameters: { events: EVENTS, physicalPartitions: PARTITIONS, devices: DEVICES, rounds: ROUNDS },
      contenders,
      ratios: Object.fromEntries(
        others.map(({ name, eventsPerSecond }) => [
          `${ours.name}/${name}`,
          Number((ours.eventsPerSecond / eventsPerSecond).toFixed(2)),
        ]),
      ),
    };
  });
}

async function contend(services, { script, partitions }, container) {
  const { result, stored, serverCpuMicros } = await withContainer(
    services,
    { container, partitions },
    (environment) => messageOf(start(script, { ...environment, BENCH_EVENTS: String(EVENTS) })),
  );
  const { received, acknowledged, seconds, clientCpuMicros } = result;
  return {
    eventsPerSecond: Math.round(acknowledged / seconds),
    clientCpuMicrosPerEvent: Number((clientCpuMicros / received).toFixed(1)),
    serverCpuMicrosPerEvent: Number((serverCpuMicros / received).toFixed(1)),
    stored,
    lost: EVENTS - stored,
    duplicated: Math.max(0, stored - EVENTS),
  };
}

/** The round of median throughput; losses of any round are kept. */
function median(rounds) {
  const sorted = rounds.toSorted((a, b) => a.eventsPerSecond - b.eventsPerSecond);
  return { ...sorted[Math.floor(sorted.length / 2)], lost: Math.max(...rounds.map(({ lost }) => lost)) };
}
