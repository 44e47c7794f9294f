// Memory of `ingest` over a long run: `npm run bench -- ingest-memory`. The hub holds everything before ingest starts, so that
// nothing but its own back-pressure keeps it from reading ahead. The built CLI runs as a user runs it; its resident memory and
// its count of stored events are sampled together (Linux only, from /proc).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fill } from './contenders/ingest-fill.mjs';

const DIST = process.env.COSMOS_PIPE_DIST ?? 'dist';
const EVENTS = Number(process.env.BENCH_EVENTS ?? 500_000);
const WINDOWS = 5;
const SAMPLE_EVERY_MS = 250;
const MIB = 1024 * 1024;

/** @returns what DESIGN calls a benchmark document: the highest resident memory in each fifth of the run */
export async function run() {
  const folder = await mkdtemp(join(tmpdir(), 'ingest-memory-'));
  const stack = await startStack(folder);
  try {
    const { EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME } = stack.environment;
    await fill(EVENTHUB_CONNECTION_STRING, EVENTHUB_NAME, EVENTS, 1_000);
    const samples = await ingestAndSample(folder);
    const perWindow = highestPerWindow(samples);
    const [first, last] = [samples[0], samples.at(-1)];
    const stored = await storedIn(stack);
    return {
      name: 'ingest-memory',
      parameters: { events: EVENTS },
      contenders: [
        {
          name: 'cosmos-pipe ingest',
          eventsPerSecond: Math.round(((last.stored - first.stored) * 1_000) / (last.atMs - first.atMs)),
          clientCpuMicrosPerEvent: Number((last.cpuMicros / last.stored).toFixed(1)),
          stored,
          lost: EVENTS - stored,
          residentMiB: perWindow,
        },
      ],
      ratios: { 'last fifth/second fifth': Number((perWindow.at(-1) / perWindow[1]).toFixed(2)) },
    };
  } finally {
    stack.stop();
    await stack.ended;
    await rm(folder, { recursive: true, force: true });
  }
}

async function ingestAndSample(folder) {
  const limits = ['--create', '--throughput', '400000', '--health-port', '0', '--until-drained'];
  const { child, output } = startCli(folder, ['ingest', ...limits]);
  const ended = once(child, 'close');
  const samples = [];
  while (child.exitCode === null) {
    const sample = await look(child.pid, output.stderr).catch(() => undefined);
    if (sample !== undefined) samples.push(sample);
    await delay(SAMPLE_EVERY_MS);
  }
  const [code] = await ended;
  if (code !== 0 || samples.length === 0) throw new Error(`ingest exited with ${code}: ${output.stderr}`);
  return samples;
}

async function storedIn({ adminUrl }) {
  const { cosmos } = await (await fetch(`${adminUrl}/stats`)).json();
  return cosmos.containers.reduce((sum, { documents }) => sum + documents, 0);
}

/** Resident memory and CPU time of a process, and what it says it has stored. */
async function look(pid, stderr) {
  const [status, stat, metrics] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
    fetch(`${/http:\/\/\S+/.exec(stderr)[0]}/metrics`).then((response) => response.text()),
  ]);
  // proc(5): fields 14 and 15 are user and system time in clock ticks of 10 ms; the second field may hold spaces.
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return {
    atMs: performance.now(),
    residentBytes: Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024,
    stored: Number(/^cosmos_pipe_ingest_stored_total (\d+)/m.exec(metrics)[1]),
    cpuMicros: (utime + stime) * 10_000,
  };
}

function highestPerWindow(samples) {
  const windows = Array.from({ length: WINDOWS }, () => 0);
  for (const { residentBytes, stored } of samples) {
    const window = Math.min(WINDOWS - 1, Math.floor((stored / EVENTS) * WINDOWS));
    windows[window] = Math.max(windows[window], residentBytes);
  }
  return windows.map((bytes) => Math.round(bytes / MIB));
}

async function startStack(folder) {
  const { child, output } = startCli(folder, ['local', '--free-ports', '--json']);
  const ended = once(child, 'close');
  while (!output.stdout.trimEnd().endsWith('}')) {
    if (child.exitCode !== null) throw new Error(`the stack did not start: ${output.stderr}`);
    await delay(20);
  }
  return { ...JSON.parse(output.stdout), ended, stop: () => child.kill('SIGTERM') };
}

function startCli(cwd, args) {
  const cli = resolve(fileURLToPath(new URL('..', import.meta.url)), DIST, 'bin/cosmos-pipe.js');
  const env = { PATH: process.env.PATH, HOME: process.env.HOME };
  const child = spawn(process.execPath, [cli, ...args], { cwd, env });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return { child, output };
}
