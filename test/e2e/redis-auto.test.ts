import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
  const cache = await openCache({ url: new Secret(state.environment.REDIS_URL) });
  // A port may be somebody else's the moment it is free, the path of a private socket never is.
  const [, path] = (await cache.client.call('CONFIG', 'GET', 'unixsocket')) as [string, string];
  cache.dispose();
  const socket = { url: new Secret(`unix://${path}`) };
  (await openCache(socket)).dispose();
  child.kill('SIGKILL');
  await done;
  await eventually(() => expect(openCache(socket)).rejects.toMatchObject({ code: 'E_UNREACHABLE' }));
  await eventually(() => expect(readFile(join(dirname(path), 'x'))).rejects.toThrow('ENOENT'));
});
