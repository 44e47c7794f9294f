import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openCache } from '../../src/cache/connection.ts';
import { findRealRedis } from '../../src/local/redis/real-server.ts';
import { Secret } from '../../src/util/secret.ts';
import { spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';

const noRedis = findRealRedis() === undefined ? ' (skipped: no redis-server or valkey-server on PATH)' : '';

it.skipIf(noRedis !== '')(`ends the real Redis server when the stack is killed${noRedis}`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-auto-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { child, done } = spawnCli(['local', '--free-ports', '--redis', 'auto'], { cwd: folder });
  onTestFinished(() => void child.kill('SIGKILL'));
  const state = await eventually(async () =>
    JSON.parse(await readFile(join(folder, '.cosmos-pipe', 'local.json'), 'utf8')),
  );
  const target = { url: new Secret(state.environment.REDIS_URL) };
  const cache = await openCache(target);
  const [, path] = (await cache.client.call('CONFIG', 'GET', 'unixsocket')) as [string, string];
  cache.dispose();
  // A connection that was made ends with the process at its other end, and with nothing else.
  const held = connect(path);
  onTestFinished(() => void held.destroy());
  await once(held, 'connect');
  child.kill('SIGKILL');
  await Promise.all([once(held.resume(), 'close'), done]);
  await eventually(() => expect(existsSync(dirname(path))).toBe(false));
});
