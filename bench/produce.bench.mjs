// Sending the default telemetry event, rendering included: ours against the ways the SDK offers, on one local endpoint.
// Server and contenders have a process each; contenders take turns, and the median of their rounds counts.
// `npm run bench -- produce` prints it.
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Slow ways get fewer events, so that every contender runs for some seconds. */
export const CONTENDERS = {
  'cosmos-pipe': { script: 'produce-ours.mjs', events: 1_000_000, perEventKeys: true },
  'cosmos-pipe, 2 workers': { script: 'produce-ours-workers.mjs', events: 1_000_000, perEventKeys: true },
  'cosmos-pipe, public API only': { script: 'produce-ours-public.mjs', events: 200_000, perEventKeys: true },
  'createBatch, full batches': { script: 'produce-create-batch.mjs', events: 200_000, perEventKeys: false },
  'buffered producer': { script: 'produce-buffered.mjs', events: 60_000, perEventKeys: true },
  'sendBatch per event': { script: 'produce-send-each.mjs', events: 10_000, inFlight: 1, perEventKeys: true },
  'sendBatch per event, 32 in flight': {
    script: 'produce-send-each.mjs',
    events: 20_000,
    inFlight: 32,
    perEventKeys: true,
  },
};
/** For a first look at some of them: names, with semicolons between. */
const ONLY = process.env.BENCH_ONLY?.split(';');
const names = Object.keys(CONTENDERS).filter((name) => ONLY?.includes(name) ?? true);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SCALE = Number(process.env.BENCH_SCALE ?? 1);
/** Share of the measured maximum at which the schedule has to be kept. */
const PACED_SHARE = 0.5;
const PACED_SECONDS = 20;

const script = (name) => new URL(`./contenders/${name}`, import.meta.url);

/** @returns what DESIGN calls a benchmark document, without the environment that the runner adds */
export async function run() {
  const rounds = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) rounds[name].push(await contend(CONTENDERS[name]));
  }
  const contenders = Object.entries(rounds).map(([name, all]) => ({
    name,
    perEventKeys: CONTENDERS[name].perEventKeys,
    ...median(all),
  }));
  const [ours, ...others] = contenders;
  const paced = await pacedRounds(ours.eventsPerSecond);
  return {
    name: 'produce',
    parameters: { partitions: 4, devices: 1_000, rounds: ROUNDS },
    contenders,
    paced,
    // Client CPU of the other by that of ours: how many times cheaper an event is.
    ratios: Object.fromEntries(
      others.map(({ name, clientCpuMicrosPerEvent }) => [
        `${ours.name}/${name}`,
        Number((clientCpuMicrosPerEvent / ours.clientCpuMicrosPerEvent).toFixed(1)),
      ]),
    ),
  };
}

/** Ours at half of its maximum, best round first: what else the machine does shows in the others. */
export async function pacedRounds(maximumPerSecond) {
  const paced = [];
  for (let round = 0; round < ROUNDS; round++) paced.push(await pace(maximumPerSecond * PACED_SHARE));
  return paced.sort((a, b) => a.schedulingP99Ms - b.schedulingP99Ms);
}

/** Ours at a rate: how much of it was achieved, and how late events were taken up. */
function pace(rate) {
  const seconds = Math.max(2, Math.round(PACED_SECONDS * SCALE));
  return withServer((_server, environment) =>
    answer('produce-paced.mjs', {
      ...environment,
      BENCH_RATE: String(Math.round(rate)),
      BENCH_SECONDS: String(seconds),
    }),
  );
}

/** What a script reports when it is done. */
async function answer(name, environment) {
  const child = fork(script(name), { env: { ...process.env, ...environment } });
  const [result] = await once(child, 'message');
  return result;
}

/** Every contender gets a fresh server, so that none pays for the memory of another. */
async function withServer(use) {
  const server = fork(script('produce-server.mjs'));
  const [{ connectionString }] = await once(server, 'message');
  try {
    return await use(server, { BENCH_CONNECTION_STRING: connectionString });
  } finally {
    server.send('stop');
    await once(server, 'exit');
  }
}

export function contend({ events, inFlight = 1, script: name }) {
  return withServer(async (server, environment) => {
    const result = await answer(name, {
      ...environment,
      BENCH_EVENTS: String(Math.round(events * SCALE)),
      BENCH_IN_FLIGHT: String(inFlight),
    });
    server.send('stats');
    const [{ cpuMicros, stored }] = await once(server, 'message');
    const { cpuMicros: clientCpuMicros, sent, seconds } = result;
    return {
      eventsPerSecond: Math.round(sent / seconds),
      clientCpuMicrosPerEvent: Number((clientCpuMicros / sent).toFixed(2)),
      serverCpuMicrosPerEvent: Number((cpuMicros / stored).toFixed(2)),
      stored,
      lost: Math.max(0, result.total - stored),
    };
  });
}

/** The round in the middle by client CPU per event, so that its figures belong together. */
function median(rounds) {
  const sorted = rounds.toSorted((a, b) => a.clientCpuMicrosPerEvent - b.clientCpuMicrosPerEvent);
  return sorted[Math.floor(sorted.length / 2)];
}
