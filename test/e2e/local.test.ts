import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { openCache } from '../../src/cache/connection.ts';
import { openCosmos } from '../../src/cosmos/client.ts';
import { provision } from '../../src/cosmos/containers.ts';
import { findRealRedis } from '../../src/local/redis/real-server.ts';
import { Secret } from '../../src/util/secret.ts';
import { CLI_ENTRY, cli, spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { holdConnection } from '../helpers/held-connection.ts';

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

it('splits a partition key range by its id, and names one that is not there', async () => {
  await startStack();
  const { COSMOS_ENDPOINT: endpoint = '', COSMOS_KEY: key = '' } = JSON.parse(
    (await cli(['local', 'env', '--json'], { cwd: folder })).stdout,
  );
  const connection = await openCosmos({ endpoint, key: new Secret(key), database: 'd', container: 'c' });
  await provision(connection, { partitionKeyPath: '/id' }).finally(() => connection.dispose());
  const split = (...args: string[]) => cli(['local', 'split', ...args], { cwd: folder });
  expect(JSON.parse((await split('d/c', '0')).stdout)).toEqual({
    container: 'd/c',
    split: '0',
    into: ['1', '2'],
  });
  const again = await split('d/c', '0');
  expect([again.code, again.stderr]).toEqual([
    2,
    expect.stringContaining('d/c has no partition key range 0'),
  ]);
  const add = await cli(['local', 'faults', 'add', 'redis:latency=1ms', 'x:y'], { cwd: folder });
  expect(add.code).toBe(2);
  expect(JSON.parse((await cli(['local', 'faults'], { cwd: folder })).stdout)).toEqual([]);
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

it('is found by what it runs, and by nothing else', async () => {
  const beside = await startStack();
  const commands = [
    'local stats --json',
    'local faults --json',
    'flush --prefix cp:none: --dry-run --json',
    'doctor --json --timeout 2m',
  ].map((line) => `"${process.execPath}" "${CLI_ENTRY}" ${line}`);
  const script = `${commands.join(' && ')} && echo "$COSMOS_PIPE_LOCAL_STATE"`;
  const wrapped = ['local', '--hub', 'inside:1', '--', 'sh', '-c', script];
  const { code, stdout, stderr } = await spawnCli(wrapped, { cwd: folder }).done;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('"inside"');
  expect(stdout).not.toContain('"telemetry"');

  const ended = stdout.trim().split('\n').at(-1) as string;
  expect(existsSync(ended)).toBe(false);
  const outlived = await cli(['local', 'stats'], {
    cwd: folder,
    env: { COSMOS_PIPE_LOCAL_STATE: ended },
  });
  expect(outlived.code).toBe(3);
  expect(outlived.stderr).toContain('the local stack that COSMOS_PIPE_LOCAL_STATE names has ended');
  expect((await cli(['local', 'stats', '--json'], { cwd: folder })).stdout).toContain('"telemetry"');
  beside.child.kill('SIGINT');
  await beside.done;
});

it.each(['/proc/none', 'file', 'file/below'])('says at once that it cannot keep data in %s', async (name) => {
  writeFileSync(join(folder, 'file'), '');
  const data = resolve(folder, name);
  const stack = spawnCli(['local', '--free-ports', '--data', data], { cwd: folder });
  onTestFinished(() => {
    stack.child.kill('SIGKILL');
  });
  const { code, stderr } = await stack.done;
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: cannot keep data in \S+ \([a-z ]+\) \[E_CONFIG\]\n hint: name a folder/);
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
    const held = await holdConnection(Number(new URL(environment.REDIS_URL).port));
    stack.child.kill('SIGINT');
    await Promise.all([held.ended, stack.done]);

    const again = await startStack('--redis', 'auto', '--data', data);
    const after = JSON.parse((await cli(['local', 'stats', '--json'], { cwd: folder })).stdout);
    expect(after.redis.keys).toBe(1);
    again.child.kill('SIGINT');
    await again.done;
  },
);

it('has keys deleted without asking only where the Redis is embedded', async () => {
  const stack = await startStack();
  const { environment } = JSON.parse(readFileSync(stateFile(), 'utf8'));
  const cache = await openCache({ url: new Secret(environment.REDIS_URL) });
  await cache.client.mset('cp:own:1', '1', 'cp:own:2', '2');
  const flush = (prefix: string) => ['flush', '--prefix', prefix, '--audit-file', 'audit.ndjson', '--json'];
  const other = join(folder, 'other');
  mkdirSync(other);
  // The same server, as one that somebody else may use as well.
  const wrapped = ['local', '--redis', environment.REDIS_URL, '--', process.execPath, CLI_ENTRY];
  const refused = await spawnCli([...wrapped, ...flush('cp:own:')], { cwd: other }).done;
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('refusing to delete 2 keys');
  const own = await cli(flush('cp:own:1'), { cwd: folder });
  expect(JSON.parse(own.stdout)).toMatchObject({ deleted: 1 });
  const named = await cli(flush('cp:own:2'), { cwd: folder, env: { REDIS_URL: environment.REDIS_URL } });
  expect(JSON.parse(named.stdout)).toMatchObject({ deleted: 1 });
  cache.dispose();
  stack.child.kill('SIGINT');
  await stack.done;
});

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
