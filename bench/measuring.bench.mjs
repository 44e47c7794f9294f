// What measuring costs: the whole pipeline at full speed with everything that a bench measures and verifies, and with the same
// stages doing the same work unmeasured. Interleaved rounds in one process; the embedded stack in another.
import { fileURLToPath } from 'node:url';

const dist = new URL(`../${process.env.COSMOS_PIPE_DIST ?? 'dist'}/`, import.meta.url);
const { startLocalChild } = await import(new URL('src/cli/local-child.js', dist));
const { resolveTargets } = await import(new URL('src/config/resolve-targets.js', dist));
const { openBenchStages } = await import(new URL('src/pipeline/bench-services.js', dist));
const { startBench } = await import(new URL('src/pipeline/bench.js', dist));
const { systemClock } = await import(new URL('src/util/clock.js', dist));

const EVENTS = 20_000;
const ROUNDS = 5;
const CLI = fileURLToPath(new URL('bin/cosmos-pipe.js', dist));

export async function run() {
  const stack = await startLocalChild([process.execPath, CLI], [], process.cwd());
  try {
    const services = resolveTargets(['eventHubs', 'cosmos', 'redis'], {}, stack.state);
    const rounds = { measured: [], unmeasured: [] };
    await round(services, 'warmup', measured);
    for (let index = 0; index < ROUNDS; index += 1) {
      rounds.unmeasured.push(await round(services, `unmeasured-${index}`, unmeasured));
      rounds.measured.push(await round(services, `measured-${index}`, measured));
    }
    const contenders = Object.entries(rounds).map(([name, results]) => ({
      name,
      eventsPerSecond: Math.round(median(results.map(({ eventsPerSecond }) => eventsPerSecond))),
      clientCpuMicrosPerEvent: Number(median(results.map(({ cpuMicros }) => cpuMicros)).toFixed(1)),
    }));
    const [on, off] = contenders;
    return {
      name: 'measuring',
      contenders,
      ratios: {
        'measured/unmeasured': on.eventsPerSecond / off.eventsPerSecond,
        'measured/unmeasured CPU': on.clientCpuMicrosPerEvent / off.clientCpuMicrosPerEvent,
      },
    };
  } finally {
    await stack.stop();
  }
}

async function round(services, name, carry) {
  const runId = `measuring-${name}`;
  const stages = await openBenchStages(services, {
    run: runId,
    clock: systemClock,
    workload: { events: EVENTS, keys: { count: 1_000 }, seed: 1 },
    container: { partitionKeyPath: '/deviceId', throughput: 60_000, indexing: 'none' },
  });
  try {
    return await carry(stages, runId);
  } finally {
    await stages.close();
  }
}

async function measured(stages, runId) {
  const before = process.cpuUsage();
  const bench = startBench(stages, {
    run: runId,
    clock: systemClock,
    signal: new AbortController().signal,
    bodyFields: { key: 'deviceId', sequence: 'deviceSequenceNumber' },
  });
  // Verifying what is stored comes after the load and is no part of it.
  while (bench.snapshot().phase !== 'verifying' && bench.snapshot().phase !== 'done')
    await systemClock.sleep(20);
  const cpu = process.cpuUsage(before);
  const { durationMs, verdict } = await bench.result;
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
  const producing = stages.produce({ ...context, ledger: { acknowledged: ignore, injected: ignore } });
  const ingesting = stages.ingest({ ...context, drainAfter: producing });
  const [{ sent, startMicros }] = await Promise.all([producing, ingesting]);
  while (through < sent) await systemClock.sleep(20);
  const durationMs = (systemClock.epochMicros() - startMicros) / 1000;
  const cpu = process.cpuUsage(before);
  end.abort();
  await feeding;
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
