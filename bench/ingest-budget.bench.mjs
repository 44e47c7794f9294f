// How much of 10,000 RU/s `ingest` uses when far more events wait than the container can take: request units used against
// provisioned, everything stored, no partition starved. `node bench/run.mjs ingest-budget` prints it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openCosmos } from '../dist/src/cosmos/client.js';
import { provision } from '../dist/src/cosmos/containers.js';
import { queryItems } from '../dist/src/cosmos/items.js';
import { Secret } from '../dist/src/util/secret.js';
import { fill } from './contenders/ingest-fill.mjs';

const EVENTS = Number(process.env.BENCH_EVENTS ?? 12_000);
const DEVICES = Number(process.env.BENCH_DEVICES ?? 1_000);
const THROUGHPUT = Number(process.env.BENCH_THROUGHPUT ?? 10_000);
const EVENT_HUB = 'budget';

const script = (name) => new URL(`./contenders/${name}`, import.meta.url);
const rounded = (value, digits) => Number(value.toFixed(digits));

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export async function run() {
  const hub = fork(script('ingest-hub-server.mjs'));
  const store = fork(script('cosmos-server.mjs'));
  try {
    const [[{ environment: hubs }], [{ environment: cosmos }]] = await Promise.all([
      once(hub, 'message'),
      once(store, 'message'),
    ]);
    await fill(hubs.EVENTHUB_CONNECTION_STRING, EVENT_HUB, EVENTS, DEVICES);
    const target = {
      endpoint: cosmos.COSMOS_ENDPOINT,
      key: new Secret(cosmos.COSMOS_KEY),
      database: 'bench',
      container: 'budget',
    };
    const connection = await openCosmos(target);
    await provision(connection, { partitionKeyPath: '/deviceId', throughput: THROUGHPUT });
    const child = fork(script('ingest-budget-ours.mjs'), {
      env: {
        ...process.env,
        BENCH_HUB: EVENT_HUB,
        BENCH_HUB_CONNECTION: hubs.EVENTHUB_CONNECTION_STRING,
        BENCH_ENDPOINT: cosmos.COSMOS_ENDPOINT,
        BENCH_KEY: cosmos.COSMOS_KEY,
        BENCH_DATABASE: target.database,
        BENCH_CONTAINER: target.container,
        BENCH_EVENTS: String(EVENTS),
      },
    });
    const [outcome] = await once(child, 'message');
    let stored = 0;
    for await (const count of queryItems(connection, 'SELECT VALUE COUNT(1) FROM c')) stored += count;
    connection.dispose();
    const byRange = outcome.requestChargePerSecondByRange;
    const used = byRange.reduce((sum, perSecond) => sum + perSecond, 0);
    const share = THROUGHPUT / byRange.length;
    return {
      name: 'ingest-budget',
      parameters: { events: EVENTS, requestUnitsPerSecond: THROUGHPUT, devices: DEVICES },
      contenders: [
        {
          name: 'cosmos-pipe',
          eventsPerSecond: Math.round(outcome.acknowledged / outcome.seconds),
          clientCpuMicrosPerEvent: rounded(outcome.clientCpuMicros / outcome.received, 1),
          stored,
          lost: EVENTS - stored,
          duplicated: Math.max(0, stored - EVENTS),
          throttled: outcome.throttled,
          measuredSeconds: outcome.measuredSeconds,
          leastUsedRange: rounded(Math.min(...byRange) / share, 3),
          longestStandstillMs: outcome.longestStandstillMs,
        },
      ],
      ratios: { 'used/provisioned': rounded(used / THROUGHPUT, 3) },
    };
  } finally {
    hub.send('stop');
    store.send('stop');
  }
}
