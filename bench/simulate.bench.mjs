// The prediction against the measurement: each load is run by `cosmos-pipe bench` on the embedded stack, then predicted from
// its flags alone (nothing of the run itself goes in). `node bench/run.mjs simulate` prints both.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Terms indexed by each policy that `bench` can make: 29 values and the id, nothing, the key and the id. */
const TERMS = { all: 30, none: 0 };

/** Loads that one core carries beside the embedded stack: what limits them shall be request units, not the machine. */
const RUNS = [
  { name: 'enough', rate: 300, seconds: 10, throughput: 6_000 },
  { name: 'a quarter short', rate: 450, seconds: 12, throughput: 4_000 },
  { name: 'half short', rate: 400, seconds: 10, throughput: 2_500 },
  { name: 'no index', rate: 500, seconds: 10, throughput: 2_000, indexing: 'none' },
  { name: 'zipf(1.5)', rate: 700, seconds: 10, throughput: 12_000, keys: 50, distribution: 'zipf(1.5)' },
  {
    name: 'one hot key',
    rate: 600,
    seconds: 10,
    throughput: 18_000,
    keys: 20,
    distribution: 'hotspot(5/95)',
  },
  {
    name: 'burst',
    stages: '2s:200/s,1s:900/s,3s:900/s,1s:100/s,5s:100/s',
    seconds: 12,
    throughput: 4_000,
  },
  { name: 'events of 4 KB', rate: 200, seconds: 10, throughput: 1_500, size: '4KB', terms: 31 },
  { name: 'a single key', rate: 700, seconds: 8, throughput: 12_000, keys: 1 },
  { name: 'longer', rate: 250, seconds: 20, throughput: 2_800 },
];

/** A run whose generator was starved by its neighbours on the machine measures them: it is repeated. */
const ATTEMPTS = Number(process.env.BENCH_ATTEMPTS ?? 3);

const SIMULATED_STAGES = ['produce', 'ingest', 'feed', 'cache'];

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-simulate-'));
  const contenders = [];
  try {
    const wanted = process.env.BENCH_RUNS?.split(',');
    for (const load of RUNS) {
      if (wanted !== undefined && !wanted.includes(load.name)) continue;
      const measured = await measure(load, join(folder, 'measured.json'));
      const predicted = await report(join(folder, 'predicted.json'), [
        'simulate',
        ...loadFlags(load),
        ...simulateFlags(load),
      ]);
      contenders.push(compare(load, measured, predicted));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const worst = (key, rows = contenders) => Math.max(0, ...rows.map((row) => Math.abs(row[key])));
  const isShort = ({ bottleneck }) => bottleneck !== 'none';
  return {
    name: 'simulate',
    contenders,
    ratios: {
      'largest error of the time to finish, %': worst('finishErrorPercent'),
      'largest error of request units, %': worst('ruErrorPercent'),
      'largest error of the p99 where something is short, %': worst(
        'p99ErrorPercent',
        contenders.filter(isShort),
      ),
      'largest error of the p99 where nothing is, %': worst(
        'p99ErrorPercent',
        contenders.filter((row) => !isShort(row)),
      ),
      'runs in which the bottleneck differs': contenders.filter(({ sameBottleneck }) => !sameBottleneck)
        .length,
    },
  };
}

async function measure(load, path) {
  for (let attempt = 1; ; attempt += 1) {
    const measured = await report(path, ['bench', '--local', ...loadFlags(load), ...benchFlags(load)]);
    if (measured.valid || attempt >= ATTEMPTS) return measured;
  }
}

function loadFlags({ rate, stages, seconds, keys = 1_000, distribution = 'uniform', size }) {
  return [
    ...(stages === undefined ? ['--rate', `${rate}/s`] : ['--stages', stages]),
    '--duration',
    `${seconds}s`,
    '--keys',
    String(keys),
    '--key-distribution',
    distribution,
    ...(size === undefined ? [] : ['--size', size]),
  ];
}

function benchFlags({ throughput, indexing = 'all' }) {
  return ['--throughput', String(throughput), '--indexing', indexing];
}

/** What the embedded stack is: a hub of four partitions without a limit of its own, and a pipeline in one process. */
function simulateFlags({ throughput, indexing = 'all', terms }) {
  return [
    '--throughput',
    String(throughput),
    '--indexed-terms',
    String(terms ?? TERMS[indexing]),
    '--partitions',
    '4',
    '--throughput-units',
    '40',
    '--consumers',
    '1',
  ];
}

/** Exit code 4 and 99 still leave a report. */
async function report(path, args) {
  const child = spawn(
    process.execPath,
    [process.env.BENCH_CLI ?? 'dist/bin/cosmos-pipe.js', ...args, '--output', path, '--quiet', '--json'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  await once(child, 'exit');
  return JSON.parse(readFileSync(path, 'utf8'));
}

function compare(load, measured, predicted) {
  const last = SIMULATED_STAGES.at(-1);
  const [before, after] = [measured, predicted].map((document) => ({
    // From the start of the load to the last event in the cache.
    finishSeconds: finishOf(document, last) / 1000,
    requestUnits: document.ru.requestCharge,
    throttled: document.ru.throttled,
    p99Ms: document.endToEnd.p99Ms,
    bottleneck: document.bottleneck?.reason === 'latency' ? 'none' : (document.bottleneck?.stage ?? 'none'),
  }));
  const error = (key) => Number((((after[key] - before[key]) / before[key]) * 100).toFixed(1));
  return {
    name: load.name,
    events: measured.load.sent,
    finishSeconds: Number(before.finishSeconds.toFixed(1)),
    predictedFinishSeconds: Number(after.finishSeconds.toFixed(1)),
    finishErrorPercent: error('finishSeconds'),
    requestUnits: Math.round(before.requestUnits),
    predictedRequestUnits: Math.round(after.requestUnits),
    ruErrorPercent: error('requestUnits'),
    p99Ms: Math.round(before.p99Ms),
    predictedP99Ms: Math.round(after.p99Ms),
    p99ErrorPercent: error('p99Ms'),
    throttled: before.throttled,
    predictedThrottled: after.throttled,
    bottleneck: before.bottleneck,
    predictedBottleneck: after.bottleneck,
    sameBottleneck: before.bottleneck === after.bottleneck,
    valid: measured.valid,
  };
}

function finishOf({ stages }, name) {
  const [first] = stages;
  const last = stages.find((stage) => stage.name === name);
  return last.activeMs + (last.startedMicros - first.startedMicros) / 1000;
}
