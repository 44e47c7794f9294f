import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { cli, type RunningCli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/ports.ts';

let folder: string;
const running: RunningCli[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-events-'));
  onTestFinished(async () => {
    for (const { child } of running.splice(0)) {
      child.kill('SIGKILL');
    }
    await rm(folder, { recursive: true, force: true });
  });
});

const run = (...argv: string[]) => cli(argv, { cwd: folder });

function start(...argv: string[]): RunningCli {
  const child = spawnCli(argv, { cwd: folder });
  running.push(child);
  return child;
}

/** A stack that other commands in the folder find; a second of Event Grid lasts a millisecond. */
async function startStack(...flags: string[]): Promise<RunningCli> {
  const stack = start('local', '--free-ports', '--event-grid-time-scale', '0.001', ...flags);
  await eventually(async () => expect((await run('local', 'env', '--json')).code).toBe(0));
  return stack;
}

async function killed({ child, done }: RunningCli): Promise<void> {
  child.kill('SIGKILL');
  await done;
}

const environment = async (): Promise<Record<string, string>> =>
  JSON.parse((await run('local', 'env', '--json')).stdout);

/** A receiver on a port that stays its own, so that another one can take its place. */
async function startReceiver(port: number, ...flags: string[]): Promise<RunningCli> {
  const receiver = start('receive', '--port', String(port), '--container', 'received', ...flags);
  // Before the subscription stands, what is published matches none; the stack has it in its journal by this line.
  const line = flags.includes('--no-subscribe') ? 'Storing deliveries' : 'subscribed';
  await eventually(() => expect(receiver.stderr()).toContain(line));
  return receiver;
}

const storedAndSound = async (count: number): Promise<void> => {
  const verdict = await run('verify', '--ledger', 'sent.ndjson', '--container', 'received', '--unordered');
  expect(verdict.stdout).toContain(`acknowledged ${count}   stored ${count}`);
  expect(verdict.code).toBe(0);
};

it('delivers what the stack had accepted when it was killed, after it is started again', async () => {
  const stack = await startStack('--data', 'data');
  const port = await freePort();
  const receiver = await startReceiver(port);
  await killed(receiver);
  expect(await run('publish', 'generate', '-n', '100', '--ledger', 'sent.ndjson')).toMatchObject({ code: 0 });
  await killed(stack);
  await startStack('--data', 'data');
  const second = await startReceiver(port, '--no-subscribe', '-n', '100');
  expect((await second.done).code).toBe(0);
  await storedAndSound(100);
});

it('lists what could not be delivered, and replays it to where it belongs', async () => {
  await startStack();
  const port = await freePort();
  const receiver = await startReceiver(port, '--no-subscribe');
  const { EVENTGRID_NAMESPACE_ENDPOINT: grid } = await environment();
  const answer = await fetch(`${grid}/topics/pipeline-events/eventSubscriptions/impatient`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      properties: {
        destination: {
          endpointType: 'WebHook',
          properties: { endpointUrl: `http://127.0.0.1:${port}/events` },
        },
        retryPolicy: { maxDeliveryAttempts: 1 },
        deadLetterDestination: { endpointType: 'StorageBlob' },
      },
    }),
  });
  expect(await answer.json()).toMatchObject({ properties: { provisioningState: 'Succeeded' } });
  await killed(receiver);
  // More than `list` shows by itself, so that `--all` has to mean all.
  expect(await run('publish', 'generate', '-n', '120', '--ledger', 'sent.ndjson')).toMatchObject({ code: 0 });
  const list = async () => JSON.parse((await run('events', 'dead-letter', 'list', '--json')).stdout);
  await eventually(async () => expect((await list()).total).toBe(120));
  const text = (await run('events', 'dead-letter', 'list', '--limit', '2')).stdout;
  expect(text).toMatch(/MaxDeliveryAttemptsExceeded after 1 attempts, the last one \w+/);
  expect(text).toContain('... and 118 more; pass --limit 120');

  const second = await startReceiver(port, '--no-subscribe', '-n', '120');
  const [{ id }] = (await list()).letters;
  expect((await run('events', 'dead-letter', 'replay', id)).stdout).toContain('replayed   1 events');
  expect((await run('events', 'dead-letter', 'replay', '--all')).stdout).toContain('replayed   119 events');
  expect((await second.done).code).toBe(0);
  expect((await list()).total).toBe(0);
  await storedAndSound(120);
});

it('tells a topic when ingest starts, gets on and ends', async () => {
  await startStack();
  await startReceiver(await freePort());
  expect(await run('produce', '-n', '300', '--rate', '1000/s')).toMatchObject({ code: 0 });
  const ingest = ['ingest', '--from', 'earliest', '--until-drained', '--notify', '--notify-every', '100'];
  expect(await run(...ingest)).toMatchObject({ code: 0 });
  const told = async (): Promise<{ readonly type: string; readonly data: Record<string, unknown> }[]> => {
    const feed = ['--container', 'received', '--from', 'beginning', '--until-idle', '50ms', '--json'];
    const { code, stdout } = await run('tail-feed', ...feed);
    expect(code).toBe(0);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line).item);
  };
  const all = await eventually(async () => {
    const events = await told();
    for (const kind of ['Started', 'Milestone', 'Completed'])
      expect(events.map(({ type }) => type)).toContain(`CosmosPipe.Ingest.${kind}`);
    return events;
  });
  const of = (kind: string) => all.filter(({ type }) => type === `CosmosPipe.Ingest.${kind}`);
  expect(of('Started')).toHaveLength(1);
  expect(of('Completed')).toMatchObject([{ data: { stored: 300 } }]);
  for (const { data } of of('Milestone')) expect(Number(data['milestone']) % 100).toBe(0);
  expect(of('Failed')).toEqual([]);
});
