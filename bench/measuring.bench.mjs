// What measuring costs: the whole pipeline at full speed with everything that a bench measures and verifies, and with the same
// stages doing the same work unmeasured. Pairs of rounds that follow each other directly, every other pair in reverse, so that a
// machine that gets slower favours neither side; the embedded stack has a process of its own.
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const dist = new URL(`../${process.env.COSMOS_PIPE_DIST ?? 'dist'}/`, import.meta.url);
const { startLocalChild } = await import(new URL('src/cli/local-child.js', dist));
const { resolveTargets } = await import(new URL('src/config/resolve-targets.js', dist));
const { openBenchStages } = await import(new URL('src/pipeline/bench/services.js', dist));
const { startBench } = await import(new URL('src/pipeline/bench/bench.js', dist));
const { systemClock } = await import(new URL('src/util/clock.js', dist));

const EVENTS = 60_000;
const PAIRS = Number(process.env.BENCH_ROUNDS ?? 16);
const CLI = fileURLToPath(new URL('bin/cosmos-pipe.js', dist));
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
const SIDES = { measured, unmeasured };

export async function run() {
  const stack = await startLocalChild([process.execPath, CLI], [], process.cwd());
  try {
    const services = resolveTargets(['eventHubs', 'cosmos', 'redis'], {}, stack.state);
    for (const name of Object.keys(SIDES)) await round(services, name, 'warmup');
    const pairs = [];
    for (let index = 0; index < PAIRS; index += 1) {
      const pair = {};
      const names = Object.keys(SIDES);
      for (const name of index % 2 === 0 ? names : names.reverse())
        pair[name] = await round(services, name, index);
      pairs.push(pair);
    }
    return {
      name: 'measuring',
      parameters: { events: EVENTS, pairs: PAIRS },
      contenders: Object.keys(SIDES).map((name) => ({
        name,
        eventsPerSecond: Math.round(median(pairs.map((pair) => pair[name].eventsPerSecond))),
        clientCpuMicrosPerEvent: Number(median(pairs.map((pair) => pair[name].cpuMicros)).toFixed(1)),
      })),
      ratios: {
        ...spread(
          'measured/unmeasured throughput',
          pairs.map((pair) => pair.measured.eventsPerSecond / pair.unmeasured.eventsPerSecond),
        ),
        ...spread(
          'measured/unmeasured client CPU',
          pairs.map((pair) => pair.measured.cpuMicros / pair.unmeasured.cpuMicros),
        ),
      },
    };
  } finally {
    await stack.stop();
  }
}

/** The median over the pairs, and between which values half of them lie. */
function spread(name, ratios) {
  const sorted = ratios.toSorted((a, b) => a - b);
  const quarter = Math.floor(sorted.length / 4);
  const round3 = (value) => Number(value.toFixed(3));
  return {
    [name]: round3(median(sorted)),
    [`${name}, lower quartile`]: round3(sorted[quarter]),
    [`${name}, upper quartile`]: round3(sorted[sorted.length - 1 - quarter]),
  };
}

async function round(services, name, index) {
  const runId = `measuring-${name}-${index}`;
  // What one side leaves behind must not be collected in the time of the other.
  collectGarbage();
  const stages = await openBenchStages(services, {
    run: runId,
    clock: systemClock,
    workload: { events: EVENTS, keys: { count: 1_000 }, seed: 1 },
    container: { partitionKeyPath: '/deviceId', throughput: 60_000, indexing: 'none' },
  });
  try {
    return await SIDES[name](stages, runId);
  } finally {
    await stages.close();
  }
}

async function measured(stages, runId) {
  const before = process.cpuUsage();
  let cpu;
  const { durationMs, verdict } = await startBench(stages, {
    run: runId,
    clock: systemClock,
    signal: new AbortController().signal,
    bodyFields: { key: 'deviceId', sequence: 'deviceSequenceNumber' },
    // Verifying what is stored comes after the load and is no part of it.
    onDrained: async () => {
      cpu = process.cpuUsage(before);
    },
  }).result;
  if (!verdict.ok) throw new Error(`round ${runId} is not complete`);
  return figures(durationMs, cpu);
}

/** The same stages with nobody listening: what is acknowledged and what has gone through is counted, to know the end. */
async function unmeasured(stages, runId) {
  const ignore = () => {};
  const recorder = {
    name: 'none',
    offered: ignore,
    done: ignore,
    failed: ignore,
    throttled: ignore,
    inFlight: ignore,
    serviceTime: ignore,
    latency: ignore,
  };
  const ru = { charge: ignore, throttled: ignore };
  const end = new AbortController();
  const context = { recorder, ru, signal: end.signal };
  const before = process.cpuUsage();
  const cache = await stages.openCache(context);
  let through = 0;
  let ready;
  const isReady = new Promise((resolve) => {
    ready = resolve;
  });
  const feeding = stages.feed({
    ...context,
    ready,
    async handle(changes) {
      // Other rounds are in the same container; their changes are older.
      const mine = changes.filter(({ item }) => item.pipe?.run === runId);
      await cache.write(mine);
      through += mine.length;
    },
  });
  await isReady;
  const ledger = { acknowledged: ignore, injected: ignore };
  const producing = stages.produce({ ...context, ledger, started: ignore });
  const ingesting = stages.ingest({ ...context, drainAfter: producing });
  const [{ sent, startMicros }] = await Promise.all([producing, ingesting]);
  while (through < sent) await systemClock.sleep(20);
  const durationMs = (systemClock.epochMicros() - startMicros) / 1000;
  end.abort();
  await feeding;
  const cpu = process.cpuUsage(before);
  await cache.close();
  return figures(durationMs, cpu);
}

function figures(durationMs, { user, system }) {
  return { eventsPerSecond: (EVENTS * 1000) / durationMs, cpuMicros: (user + system) / EVENTS };
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
