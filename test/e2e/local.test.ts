import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { openCache } from '../../src/cache/connection.ts';
import { findRealRedis } from '../../src/local/redis/real-server.ts';
import { Secret } from '../../src/util/secret.ts';
import { cli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-local-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const stateFile = () => join(folder, '.cosmos-pipe', 'local.json');

async function startStack(...flags: string[]) {
  const stack = spawnCli(['local', '--free-ports', ...flags], { cwd: folder });
  onTestFinished(() => {
    stack.child.kill('SIGKILL');
  });
  await eventually(() => expect(existsSync(stateFile())).toBe(true));
  return stack;
}

it('prints addresses, tells other commands about itself, and stops cleanly on Ctrl-C', async () => {
  const stack = await startStack();
  await eventually(() => expect(stack.stdout()).toContain('Ready in'));
  const env = await cli(['local', 'env', '--format', 'json'], { cwd: folder });
  expect(Object.keys(JSON.parse(env.stdout))).toEqual(
    expect.arrayContaining(['EVENTHUB_CONNECTION_STRING', 'COSMOS_ENDPOINT', 'COSMOS_KEY', 'REDIS_URL']),
  );
  const shell = await cli(['local', 'env'], { cwd: folder });
  expect(shell.stdout).toMatch(/^export EVENTHUB_CONNECTION_STRING='Endpoint=sb:\/\//m);
  stack.child.kill('SIGINT');
  expect((await stack.done).code).toBe(0);
  expect(existsSync(stateFile())).toBe(false);
});

it('injects and clears faults while it runs', async () => {
  const stack = await startStack('--fault', 'cosmos:throttle=5%');
  const added = await cli(['local', 'faults', 'add', 'event-hubs:latency=50ms', '--json'], { cwd: folder });
  expect(
    JSON.parse(added.stdout)
      .map(({ spec }: { spec: string }) => spec)
      .toSorted(),
  ).toEqual(['cosmos:throttle=5%', 'event-hubs:latency=50ms']);
  const refused = await cli(['local', 'faults', 'add', 'cosmos:explode'], { cwd: folder });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('explode');
  expect(JSON.parse((await cli(['local', 'faults', 'clear', '--json'], { cwd: folder })).stdout)).toEqual([]);
  stack.child.kill('SIGTERM');
  await stack.done;
});

it('says how to start a stack when none runs here', async () => {
  const { code, stderr } = await cli(['local', 'stats'], { cwd: folder });
  expect(code).toBe(3);
  expect(stderr).toContain('hint: start it with `cosmos-pipe local`');
});

it('names the service and the port when a port is taken', async () => {
  const stack = await startStack();
  const { environment } = JSON.parse(readFileSync(stateFile(), 'utf8'));
  const { port } = new URL(environment.COSMOS_ENDPOINT);
  const clash = await cli(
    [
      'local',
      '--event-hubs-port',
      '0',
      '--redis-port',
      '0',
      '--admin-port',
      '0',
      '--cosmos-port',
      port,
      '--no-state',
    ],
    { cwd: folder, signal: AbortSignal.abort() },
  );
  expect(clash.code).toBe(2);
  expect(clash.stderr).toContain(`port ${port} for cosmos is already in use [E_PORT_IN_USE]`);
  stack.child.kill('SIGINT');
  await stack.done;
});

it('keeps a second stack out of the folder and out of a data folder', async () => {
  const data = join(folder, 'data');
  const stack = await startStack('--data', data);
  const here = await cli(['local', '--free-ports'], { cwd: folder, signal: AbortSignal.abort() });
  expect(here.code).toBe(2);
  expect(here.stderr).toContain(`a local stack runs in this folder already (process ${stack.child.pid})`);
  const second = await cli(['local', '--free-ports', '--no-state', '--data', data], {
    cwd: folder,
    signal: AbortSignal.abort(),
  });
  expect(second.code).toBe(2);
  expect(second.stderr).toContain('is in use by process');
  stack.child.kill('SIGINT');
  await stack.done;
});

it('starts over what a killed stack left behind', async () => {
  const killed = await startStack();
  killed.child.kill('SIGKILL');
  await killed.done;
  const left = JSON.parse(readFileSync(stateFile(), 'utf8'));
  // Another process has its id by now.
  writeFileSync(stateFile(), JSON.stringify({ ...left, pid: process.pid }));
  const { code, stdout } = await cli(['local', '--free-ports'], { cwd: folder, signal: AbortSignal.abort() });
  expect(code).toBe(0);
  expect(stdout).toContain('Ready in');
});

it('runs a command against a fresh stack and returns its exit code', async () => {
  const script = 'process.exit(process.env.COSMOS_ENDPOINT && process.env.REDIS_URL ? 7 : 1)';
  const { code } = await spawnCli(['local', '--', process.execPath, '-e', script], { cwd: folder }).done;
  expect(code).toBe(7);
});

const noRedis = findRealRedis() === undefined ? ' (skipped: no redis-server or valkey-server on PATH)' : '';

it.skipIf(noRedis !== '')(
  `runs the real Redis server of the PATH, which keeps its keys${noRedis}`,
  async () => {
    const data = join(folder, 'data');
    const stack = await startStack('--redis', 'auto', '--data', data);
    expect((await cli(['local', 'faults', 'add', 'redis:reset'], { cwd: folder })).stderr).toContain(
      'only an embedded server takes faults',
    );
    const { environment } = JSON.parse(readFileSync(stateFile(), 'utf8'));
    const target = { url: new Secret(environment.REDIS_URL) };
    const cache = await openCache(target);
    expect(await cache.client.info('server')).toContain('process_supervised');
    await cache.client.set('kept', '1');
    cache.dispose();
    const stats = JSON.parse((await cli(['local', 'stats', '--json'], { cwd: folder })).stdout);
    expect(stats.redis).toMatchObject({ server: findRealRedis(), keys: 1 });

    const second = spawnCli([
      'local',
      '--redis',
      environment.REDIS_URL,
      '--',
      process.execPath,
      '-p',
      'process.env.REDIS_URL',
    ]);
    expect(await second.done).toMatchObject({ code: 0 });
    stack.child.kill('SIGINT');
    await stack.done;
    await expect(openCache(target)).rejects.toMatchObject({ code: 'E_UNREACHABLE' });

    const again = await startStack('--redis', 'auto', '--data', data);
    const after = JSON.parse((await cli(['local', 'stats', '--json'], { cwd: folder })).stdout);
    expect(after.redis.keys).toBe(1);
    again.child.kill('SIGINT');
    await again.done;
  },
);

it('says when the given Redis server cannot be reached, and what a choice looks like', async () => {
  const refused = await cli(['local', '--free-ports', '--no-state', '--redis', 'redis://:pw@127.0.0.1:1'], {
    cwd: folder,
  });
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('cannot reach Redis at 127.0.0.1:1 (ECONNREFUSED) [E_UNREACHABLE]');
  const unknown = await cli(['local', '--redis', 'memcached'], { cwd: folder });
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain('expected embedded, auto or a redis:// URL, got "memcached"');
});

it('is reached over WebSockets, by our commands and by a program that it runs', async () => {
  const stack = await startStack();
  const produced = await cli(['produce', '-n', '40', '--web-sockets', '--yes', '--json'], { cwd: folder });
  expect(produced).toMatchObject({ code: 0, stderr: '' });
  const ingest = ['ingest', '--from', 'earliest', '--until-drained', '--web-sockets', '--json'];
  const ingested = await cli(ingest, { cwd: folder });
  expect(ingested.code).toBe(0);
  expect(JSON.parse(ingested.stdout)).toMatchObject({ stored: 40 });
  stack.child.kill('SIGINT');
  await stack.done;
  const trusting = `
    const tls = require('node:tls');
    const [, host, port] = /sb:\\/\\/(.+):(\\d+);/.exec(process.env.EVENTHUB_CONNECTION_STRING);
    tls.connect({ host, port }, function () { console.log(this.authorized); this.end(); });`;
  const run = await spawnCli(['local', '--', process.execPath, '-e', trusting], { cwd: folder }).done;
  expect(run).toMatchObject({ code: 0, stdout: 'true\n' });
});
