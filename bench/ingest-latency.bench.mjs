// How long an event takes from its acceptance by Event Hubs to the answer of Cosmos DB at half of the highest rate: first
// `ingest` drains a backlog as fast as it can, then our producer sends at a share of that rate while `ingest` follows.
// `node bench/run.mjs ingest-latency` prints it.
import { once } from 'node:events';
import { fill } from './contenders/ingest-fill.mjs';
import { EVENT_HUB, messageOf, start, withContainer, withServices } from './ingest-services.mjs';

const PARTITIONS = Number(process.env.BENCH_PARTITIONS ?? 34);
const EVENTS = Number(process.env.BENCH_EVENTS ?? 60_000);
const DEVICES = Number(process.env.BENCH_DEVICES ?? 1_000);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 20);
const SHARE = Number(process.env.BENCH_SHARE ?? 0.5);
/** A hub that nothing was sent to yet. */
const PACED_HUB = 'paced';

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export function run() {
  return withServices(async (services) => {
    await fill(services.environment.EVENTHUB_CONNECTION_STRING, EVENT_HUB, EVENTS, DEVICES);
    const backlog = await withContainer(
      services,
      { container: 'backlog', partitions: PARTITIONS },
      (environment) => messageOf(start('ingest-ours.mjs', { ...environment, BENCH_EVENTS: String(EVENTS) })),
    );
    const { acknowledged, received, seconds, clientCpuMicros } = backlog.result;
    const highest = acknowledged / seconds;
    const rate = Math.round(highest * SHARE);
    const paced = await withContainer(
      services,
      { container: 'paced', partitions: PARTITIONS },
      (environment) => pace({ ...environment, BENCH_HUB: PACED_HUB, BENCH_RATE: String(rate) }),
    );
    const { sent, ingested, producer } = paced.result;
    return {
      name: 'ingest-latency',
      parameters: { physicalPartitions: PARTITIONS, devices: DEVICES, seconds: SECONDS, share: SHARE },
      contenders: [
        {
          name: 'as fast as it can',
          eventsPerSecond: Math.round(highest),
          clientCpuMicrosPerEvent: Number((clientCpuMicros / received).toFixed(1)),
          stored: backlog.stored,
          lost: EVENTS - backlog.stored,
        },
        {
          name: `at ${SHARE} of that`,
          eventsPerSecond: Math.round(producer.achievedPerSecond),
          clientCpuMicrosPerEvent: Number((ingested.clientCpuMicros / ingested.stored).toFixed(1)),
          stored: paced.stored,
          lost: sent - paced.stored,
          p50Ms: ingested.p50Ms,
          p99Ms: ingested.p99Ms,
          trustworthy: producer.trustworthy,
        },
      ],
      ratios: {},
    };
  });
}

/** Starts `ingest`, waits for its partitions, sends a warm-up and then the load, and waits until everything is stored. */
async function pace(environment) {
  const ingester = start('ingest-paced.mjs', environment);
  await messageOf(ingester);
  const sender = start('ingest-produce.mjs', {
    ...environment,
    BENCH_DEVICES: String(DEVICES),
    BENCH_SECONDS: String(SECONDS),
  });
  await messageOf(sender);
  ingester.send('measure');
  const producer = await messageOf(sender);
  ingester.send('end');
  const ingested = await messageOf(ingester);
  if (ingester.exitCode === null) await once(ingester, 'exit');
  return { sent: producer.sent, producer, ingested };
}
