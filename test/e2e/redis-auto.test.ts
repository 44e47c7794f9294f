import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openCache } from '../../src/cache/connection.ts';
import { findRealRedis } from '../../src/local/redis/real-server.ts';
import { Secret } from '../../src/util/secret.ts';
import { spawnCli } from '../helpers/cli.ts';
import { eventually } from '../helpers/eventually.ts';
import { holdConnection } from '../helpers/held-connection.ts';

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
  const held = await holdConnection(path);
  onTestFinished(held.close);
  child.kill('SIGKILL');
  await Promise.all([held.ended, done]);
  await eventually(() => expect(existsSync(dirname(path))).toBe(false));
});

it.skipIf(noRedis !== '')(`takes another port when somebody was faster${noRedis}`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cosmos-pipe-auto-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  // Ends the first time as a server does that cannot listen.
  const script = `#!/bin/sh\n[ -e "$0.tried" ] && exec '${findRealRedis()}' "$@"\n: > "$0.tried"\nexit 1\n`;
  await writeFile(join(folder, 'valkey-server'), script, { mode: 0o755 });
  const { child, done, stdout } = spawnCli(['local', '--free-ports', '--redis', 'auto'], {
    cwd: folder,
    env: { PATH: `${folder}${delimiter}${process.env['PATH']}` },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await eventually(() => expect(stdout()).toContain('Ready in'));
  expect(existsSync(join(folder, 'valkey-server.tried'))).toBe(true);
  child.kill('SIGINT');
  expect((await done).code).toBe(0);
});
