import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalStack, startLocal } from '../../src/local/index.ts';
import { type RunningCli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

const MIB = 1024 * 1024;

let stack: LocalStack;
let cwd: string;
const started: RunningCli[] = [];

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cosmos-pipe-kill-'));
  stack = await startLocal({
    hubs: ['killed', 'detached', 'large'].map((name) => ({ name, partitionCount: 4 })),
  });
});
afterAll(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await Promise.all(started.map(({ done }) => done));
  await stack.stop();
  await rm(cwd, { recursive: true, force: true });
});

/** Hub, container and checkpoints of a test have one name. */
function start(name: string, ...argv: string[]): RunningCli {
  const env = { ...stack.environment, EVENTHUB_NAME: name, COSMOS_CONTAINER: name };
  const running = spawnCli(argv, { cwd, env });
  started.push(running);
  return running;
}

const ingest = (name: string, ...argv: string[]): RunningCli =>
  start(name, 'ingest', '--create', '--checkpoints', `file:${name}`, ...argv);

const storedIn = (name: string): number =>
  stack.cosmos.stats().containers.find(({ container }) => container === name)?.documents ?? 0;

/** Reads the Prometheus endpoint that `--health-port` announced. */
async function metricsOf(running: RunningCli): Promise<(name: string) => number> {
  const address = /http:\/\/\S+/.exec(running.stderr())?.[0];
  const text = await (await fetch(`${address}/metrics`)).text();
  return (name) => {
    const value = new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`no ${name} yet`);
    return Number(value);
  };
}

/** 0 where there is no /proc to ask. */
async function residentBytes({ child }: RunningCli): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

describe('ingest', () => {
  it('stores every event once and in order although it is killed twice under load', async () => {
    const often = ['--throughput', '60000', '--checkpoint-events', '200', '--checkpoint-interval', '300ms'];
    const producer = start(
      'killed',
      ...['produce', '--events', '5000', '--rate', '2500/s', '--keys', '100'],
      ...['--ledger', 'killed.ndjson', '--yes', '--json'],
    );
    for (const atLeast of [500, 2_500]) {
      const doomed = ingest('killed', ...often);
      await eventually(() => storedIn('killed') >= atLeast);
      doomed.child.kill('SIGKILL');
      await doomed.done;
    }
    expect(await producer.done).toMatchObject({ code: 0 });
    expect(await ingest('killed', ...often, '--until-drained').done).toMatchObject({ code: 0 });

    const { code, stdout } = await start('killed', 'verify', '--ledger', 'killed.ndjson', '--json').done;
    expect(JSON.parse(stdout).verdict).toMatchObject({
      acknowledged: 5_000,
      ledger: 'complete',
      totals: { lost: 0, duplicated: 0, outOfOrder: 0, corrupted: 0, unexpected: 0 },
    });
    expect(code).toBe(0);
    expect(storedIn('killed')).toBe(5_000);
  });

  it('ends when it is told to although the service has detached its links', async () => {
    const connectionString = stack.environment['EVENTHUB_CONNECTION_STRING'] ?? '';
    await sendTelemetry({ connectionString, eventHub: 'detached', count: 200 });
    const running = ingest('detached');
    await eventually(() => storedIn('detached') === 200);
    stack.faults.add('event-hubs:detach');
    await eventually(() => stack.faults.list().every(({ state }) => state === 'spent'));
    running.child.kill('SIGTERM');
    expect(await running.done).toMatchObject({ code: 130 });
  });

  it('reads no faster than it can store', async () => {
    const count = 8_000;
    const filler = 'x'.repeat(5_000);
    await sendTelemetry({
      connectionString: stack.environment['EVENTHUB_CONNECTION_STRING'] ?? '',
      eventHub: 'large',
      count,
      body: (i) => ({ eventId: `e-${i}`, deviceId: `device-${i % 40}`, filler }),
    });
    // 7.6 RU per write: the container takes 530 of these events a second, the hub gives thousands.
    const limits = ['--throughput', '4000', '--max-buffer', '1MiB', '--health-port', '0'];
    const running = ingest('large', ...limits);
    let mostBuffered = 0;
    let mostResident = 0;
    await eventually(async () => {
      const metrics = await metricsOf(running);
      mostBuffered = Math.max(mostBuffered, metrics('cosmos_pipe_ingest_buffered_bytes'));
      mostResident = Math.max(mostResident, await residentBytes(running));
      // The gauge is as old as the last progress, up to a second.
      return mostBuffered > MIB / 2 && metrics('cosmos_pipe_ingest_stored_total') >= 3_000;
    });
    // 1 MiB of events, and for each of the four partitions one that waits for room.
    expect(mostBuffered).toBeLessThan(MIB + 4 * (filler.length + 1_000));
    expect(mostResident).toBeLessThan(250 * MIB);
  });
});
