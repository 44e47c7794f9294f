import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { startRedis } from '../../../src/local/redis/index.ts';
import { targetOf } from '../../cache/helpers.ts';
import { DIST } from '../../helpers/build.ts';

/** The server in a process of its own, from the build, so that it can be killed. */
const PROGRAM = `
const { startRedis } = await import(process.argv[1]);
const { port } = await startRedis({ dataDir: process.argv[2] });
console.log(port);
setInterval(() => {}, 1e6);
`;

const folder = (): string => mkdtempSync(join(tmpdir(), 'redis-data-'));

async function startChild(dataDir: string): Promise<{ child: ChildProcess; cache: CacheConnection }> {
  const module = pathToFileURL(resolve(DIST, 'src/local/redis/index.js')).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, module, dataDir]);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const url = `redis://127.0.0.1:${output.toString().trim()}`;
  return {
    child,
    cache: await openCache({ ...targetOf({ environment: { REDIS_URL: url } }) }, { maxRetries: 0 }),
  };
}

/** Runs `use` on a server that reads `dataDir`, and stops it. */
async function reopened<T>(dataDir: string, use: (cache: CacheConnection) => Promise<T>): Promise<T> {
  const redis = await startRedis({ dataDir });
  const cache = await openCache(targetOf(redis));
  try {
    return await use(cache);
  } finally {
    cache.dispose();
    await redis.stop();
  }
}

it('keeps every acknowledged write through SIGKILL', async () => {
  const dataDir = folder();
  const { child, cache } = await startChild(dataDir);
  let acknowledged = 0;
  const write = async (): Promise<void> => {
    for (let at = 0; ; at += 20) {
      await cache.send(
        Array.from({ length: 20 }, (_, index) => ['set', `key-${at + index}`, `value-${at + index}`]),
      );
      acknowledged = at + 20;
      if (acknowledged === 2_000) child.kill('SIGKILL');
    }
  };
  await expect(write()).rejects.toMatchObject({ code: 'E_UNREACHABLE' });
  cache.dispose();
  expect(acknowledged).toBeGreaterThanOrEqual(2_000);
  await reopened(dataDir, async ({ client }) => {
    const keys = Array.from({ length: acknowledged }, (_, index) => `key-${index}`);
    const values = await client.mget(keys);
    expect(values).toEqual(keys.map((_, index) => `value-${index}`));
  });
});

it('brings back every type, expiry, database and the effects of scripts and transactions', async () => {
  const dataDir = folder();
  const expiry = await reopened(dataDir, async ({ client }) => {
    await client.set('s', 'v', 'EX', 1_000);
    await client.hset('h', { a: '1', b: '2' });
    await client.sadd('set', 'x', 'y', 'z');
    await client.spop('set');
    await client.zadd('z', 1.5, 'm', Number.POSITIVE_INFINITY, 'top');
    await client.rpush('l', '1', '2', '3');
    await client.lpop('l');
    await client.incrbyfloat('f', '0.1');
    await client.set('gone', 'v');
    await client.unlink('gone');
    await client.multi().set('m1', '1').incr('m2').exec();
    await client.eval(
      "redis.call('SET', KEYS[1], ARGV[1]) redis.call('EXPIRE', KEYS[1], 500)",
      1,
      'lua',
      'v',
    );
    await client.select(3);
    await client.set('other', 'db');
    await client.select(0);
    return client.pexpiretime('s');
  });
  const first = await reopened(dataDir, snapshot);
  expect(first).toMatchObject({
    s: ['v', expiry],
    h: { a: '1', b: '2' },
    setSize: 2,
    z: ['m', '1.5', 'top', 'inf'],
    l: ['2', '3'],
    f: '0.1',
    gone: null,
    transaction: ['1', '1'],
    other: 'db',
  });
  // The same once more after the file was written anew.
  await reopened(dataDir, ({ client }) => client.call('BGREWRITEAOF'));
  expect(await reopened(dataDir, snapshot)).toEqual(first);
});

async function snapshot({ client }: CacheConnection) {
  await client.select(3);
  const other = await client.get('other');
  await client.select(0);
  return {
    other,
    s: [await client.get('s'), await client.pexpiretime('s')],
    h: await client.hgetall('h'),
    setSize: await client.scard('set'),
    z: await client.zrangebyscore('z', '-inf', '+inf', 'WITHSCORES'),
    l: await client.lrange('l', 0, -1),
    f: await client.get('f'),
    gone: await client.get('gone'),
    transaction: await client.mget('m1', 'm2'),
    lua: [await client.get('lua'), await client.pexpiretime('lua')],
  };
}

it('cuts a torn tail, and a transaction that is not whole, and goes on', async () => {
  const dataDir = folder();
  await reopened(dataDir, ({ client }) => client.set('a', '1'));
  const file = join(dataDir, 'appendonly.aof');
  const whole = statSync(file).size;
  appendFileSync(
    file,
    '*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n*3\r\n$3\r\nSET\r\n$1\r\nb',
  );
  await reopened(dataDir, async ({ client }) => {
    expect(await client.get('a')).toBe('1');
    expect(statSync(file).size).toBe(whole);
    await client.set('c', '3');
  });
  expect(await reopened(dataDir, ({ client }) => client.mget('a', 'b', 'c'))).toEqual(['1', null, '3']);
});
