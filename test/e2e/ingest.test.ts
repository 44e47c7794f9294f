import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient } from '@azure/cosmos';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CosmosService, startCosmos } from '../../src/local/cosmos/index.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';
import { cli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

let hubs: EventHubsService;
let cosmos: CosmosService;
let client: CosmosClient;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  hubs = await startEventHubs({ port: 0 });
  cosmos = await startCosmos({ port: 0 });
  client = new CosmosClient(cosmos.environment['COSMOS_CONNECTION_STRING'] ?? '');
  env = { ...process.env, ...hubs.environment, ...cosmos.environment, COSMOS_DATABASE: 'e2e' };
});
afterAll(async () => {
  client.dispose();
  await hubs.stop();
  await cosmos.stop();
});

const send = (eventHub: string, count: number, first = 0) =>
  sendTelemetry({
    connectionString: hubs.environment['EVENTHUB_CONNECTION_STRING'] ?? '',
    eventHub,
    count,
    first,
  });

async function storedIds(container: string): Promise<Set<string>> {
  const { resources } = await client
    .database('e2e')
    .container(container)
    .items.query<string>('SELECT VALUE c.id FROM c')
    .fetchAll();
  return new Set(resources);
}

async function start(eventHub: string, extra: readonly string[] = [], folder?: string) {
  const cwd = folder ?? (await mkdtemp(join(tmpdir(), 'ingest-e2e-')));
  const arguments_ = [
    ...['ingest', '--event-hub', eventHub, '--container', eventHub, '--create', '--throughput', '100000'],
    ...extra,
  ];
  return { cwd, ...spawnCli(arguments_, { cwd, env }) };
}

describe('the ingest command', () => {
  it('loses nothing when it is killed twice and started again', async () => {
    const hub = 'killed';
    await send(hub, 4_000);
    const often = ['--checkpoint-events', '100', '--checkpoint-interval', '300ms'];
    let folder: string | undefined;
    for (const atLeast of [500, 2_500]) {
      const running = await start(hub, often, folder);
      folder = running.cwd;
      await eventually(async () => (await storedIds(hub).catch(() => new Set())).size >= atLeast);
      running.child.kill('SIGKILL');
      await running.done;
    }
    await send(hub, 400, 4_000);
    const last = await start(hub, [...often, '--until-drained', '--json'], folder);
    const { code, stdout, stderr } = await last.done;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ ended: 'drained', deadLettered: 0, missing: 0 });
    expect(result.received).toBeGreaterThanOrEqual(400);
    const ids = await storedIds(hub);
    expect([...Array(4_400).keys()].filter((i) => !ids.has(`e-${i}`))).toEqual([]);
    expect(ids.size).toBe(4_400);
  });

  it('drains on SIGTERM with exit code 130 and leaves the backlog at zero', async () => {
    const hub = 'stopped';
    await send(hub, 400);
    const running = await start(hub, ['--health-port', '0']);
    await eventually(async () => (await storedIds(hub).catch(() => new Set())).size === 400);
    const address = await eventually(() => /http:\/\/\S+/.exec(running.stderr())?.[0] ?? false);
    await eventually(async () => expect((await fetch(`${address}/health`)).status).toBe(200));
    expect(await (await fetch(`${address}/metrics`)).text()).toContain('cosmos_pipe_ingest_stored_total');
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.done;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^ingested {5}[4-9]\d\d events/m);
    expect(stdout).toContain('resume       cosmos-pipe ingest --event-hub stopped');

    await send(hub, 40, 400);
    const backlog = await spawnCli(['backlog', '--event-hub', hub, '--json'], { cwd: running.cwd, env }).done;
    expect(JSON.parse(backlog.stdout)).toMatchObject({ eventHub: hub, lagEvents: 40 });
    const text = await spawnCli(['backlog', '--event-hub', hub], { cwd: running.cwd, env }).done;
    const looked = await cli(['backlog', '--event-hub', hub, '--checkpoints', 'cosmos:never-made'], { env });
    expect([looked.code, looked.stderr]).toEqual([
      3,
      expect.stringContaining('there are no checkpoints in e2e/never-made'),
    ]);
    expect(text.stdout).toMatch(/PARTITION +OWNER +CHECKPOINT +LAST +LAG +NEWEST EVENT\n0 +- +99 +109 +10 /);
  });

  it('shares the partitions between worker threads, with one checkpoint and one dead letter for all', async () => {
    const hub = 'threads';
    await sendTelemetry({
      connectionString: hubs.environment['EVENTHUB_CONNECTION_STRING'] ?? '',
      eventHub: hub,
      count: 800,
      body: (i) => (i === 3 ? Buffer.from('nonsense') : undefined),
    });
    const { cwd, done } = await start(hub, ['--until-drained', '--json', '--workers', '2']);
    const { code, stdout } = await done;
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    const { received, stored } = result;
    // More where a busy machine kept the claims from being renewed: then a part is read again.
    expect(received).toBeGreaterThanOrEqual(800);
    expect(result).toMatchObject({
      ended: 'drained',
      partitions: ['0', '1', '2', '3'].map((partitionId) => ({ partitionId, sequenceNumber: 199 })),
      stage: { offered: received, done: stored, latency: { count: stored } },
    });
    expect(result.deadLettered).toBeGreaterThanOrEqual(1);
    expect((await storedIds(hub)).size).toBe(799);
    const again = await start(hub, ['--until-drained', '--json'], cwd);
    expect(JSON.parse((await again.done).stdout)).toMatchObject({ received: 0 });
  });

  it('lists dead letters, and replays those that a better mapping can store', async () => {
    const hub = 'dead';
    await sendTelemetry({
      connectionString: hubs.environment['EVENTHUB_CONNECTION_STRING'] ?? '',
      eventHub: hub,
      count: 8,
      body: (i) => {
        if (i === 1) return Buffer.from('nonsense');
        return i === 2 ? { eventId: 'e-2', sensor: 'device-2' } : undefined;
      },
    });
    const { cwd, done } = await start(hub, ['--until-drained']);
    expect((await done).stdout).toContain('2 dead-lettered');
    const again = (more: readonly string[]) =>
      spawnCli(['ingest', 'dead-letter', ...more], { cwd, env: { ...env, COSMOS_CONTAINER: hub } }).done;
    const listed = await again(['list']);
    // Two partitions, so either may have come first.
    expect(listed.stdout).toMatch(/^malformed +1 +0 /m);
    expect(listed.stdout).toMatch(/^missing-partition-key +2 +0 /m);
    const replayed = await again(['replay', '--rename', 'sensor=deviceId', '--json']);
    expect(JSON.parse(replayed.stdout)).toEqual({ replayed: 1, remaining: 1, reasons: { malformed: 1 } });
    expect((await again(['list', '--json'])).stdout.trim().split('\n')).toHaveLength(1);
    expect((await storedIds(hub)).has('e-2')).toBe(true);
  });

  it('says which flags exclude each other, and refuses an unknown action', async () => {
    const both = await spawnCli(['ingest', '--until-drained', '--until-idle', '1s'], { env }).done;
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('exclude each other')]);
    const action = await spawnCli(['ingest', 'dead-letter', 'burn'], { env }).done;
    expect([action.code, action.stderr]).toEqual([
      2,
      expect.stringContaining('unknown action "dead-letter burn"'),
    ]);
  });
});
