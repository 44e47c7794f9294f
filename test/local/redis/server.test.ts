import { afterEach, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { createFaults } from '../../../src/local/faults/faults.ts';
import { type RedisOptions, type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { findRealRedis, startRealRedis } from '../../../src/local/redis/real-server.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { targetOf } from '../../cache/helpers.ts';
import { eventually } from '../../helpers/eventually.ts';
import { RawClient } from './raw-client.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: RedisOptions = {}): Promise<{ redis: RedisService; cache: CacheConnection }> {
  const redis = await startRedis(options);
  cleanups.push(() => redis.stop());
  const cache = await openCache(targetOf(redis));
  cleanups.push(() => cache.dispose());
  return { redis, cache };
}

describe('startRedis with the unmodified ioredis', () => {
  it('keeps any bytes in keys and values', async () => {
    const { cache } = await start();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    await cache.client.set(bytes, bytes);
    expect(await cache.client.getBuffer(bytes)).toEqual(bytes);
    expect(await cache.client.scan(0)).toHaveLength(2);
  });

  it('expires keys when they are read and when nobody reads them', async () => {
    let micros = 1e15;
    const clock = { ...systemClock, epochMicros: () => micros };
    const { cache, redis } = await start({ clock });
    await cache.client.set('a', 'v', 'PX', 1_000);
    await cache.client.set('b', 'v', 'PX', 1_000);
    expect(await cache.client.pttl('a')).toBe(1_000);
    micros += 1_000_000;
    expect(await cache.client.get('a')).toBeNull();
    await eventually(() => expect(redis.stats()).toMatchObject({ keys: 0, expired: 2 }));
  });

  it('evicts the least recently used above maxmemory, or refuses', async () => {
    const { cache, redis } = await start({
      maxMemoryBytes: 200_000,
      evictionPolicy: 'allkeys-lru',
      random: seededRandom(1),
    });
    for (let index = 0; index < 500; index++) {
      await cache.client.set(`k${index}`, 'x'.repeat(1_000));
      await cache.client.get('k0');
    }
    expect(redis.stats().usedMemoryBytes).toBeLessThan(203_000);
    expect(redis.stats().evicted).toBeGreaterThan(250);
    await cache.client.config('SET', 'maxmemory-policy', 'noeviction');
    await cache.client.config('SET', 'maxmemory', '1000');
    await expect(cache.client.set('full', 'v')).rejects.toThrow('OOM command not allowed');
    expect(await cache.client.info('memory')).toContain('maxmemory:1000');
  });

  it('accounts for memory so that it returns to nothing', async () => {
    const { cache, redis } = await start();
    const { client } = cache;
    await client.hset('h', 'a', '1', 'b', 'x'.repeat(100));
    await client.hset('h', 'a', '22222');
    await client.sadd('s', 'm1', 'm2');
    await client.zadd('z', 1, 'a', 2, 'b');
    await client.zadd('z', 3, 'a');
    await client.rpush('l', '1', '2', '3');
    await client.ltrim('l', 1, 1);
    await client.append('str', 'abc');
    await client.append('str', 'def');
    await client.rename('h', 'h2');
    await client.copy('h2', 'h3');
    expect(redis.stats().usedMemoryBytes).toBeGreaterThan(0);
    await client.hdel('h2', 'a', 'b');
    await client.zpopmin('z', 2);
    await client.unlink('s', 'l', 'str', 'h3');
    expect(redis.stats()).toMatchObject({ keys: 0, usedMemoryBytes: 0 });
  });

  it('delivers messages to channels and patterns, in RESP3 and RESP2', async () => {
    const { cache, redis } = await start();
    const subscriber = cache.masters()[0]!.duplicate();
    cleanups.push(() => subscriber.disconnect());
    const heard: string[] = [];
    subscriber.on('message', (channel: string, message: string) => heard.push(`${channel}=${message}`));
    subscriber.on('pmessage', (pattern: string, channel: string, message: string) =>
      heard.push(`${pattern}:${channel}=${message}`),
    );
    await subscriber.subscribe('news');
    await subscriber.psubscribe('n*');
    const raw = await RawClient.connect({ port: redis.port });
    cleanups.push(() => raw.close());
    await raw.command(['SUBSCRIBE', 'news']);
    expect(await cache.client.publish('news', 'hello')).toBe(3);
    await eventually(() => expect(heard).toEqual(['news=hello', 'n*:news=hello']));
    expect(await raw.reply()).toBe('*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n');
    expect(await raw.command(['GET', 'x'])).toContain("Can't execute 'get'");
  });

  it('gives up a transaction when a watched key changed', async () => {
    const { cache } = await start();
    const other = cache.masters()[0]!.duplicate();
    cleanups.push(() => other.disconnect());
    await cache.client.watch('a');
    await other.set('a', '1');
    expect(await cache.client.multi().set('a', '2').exec()).toBeNull();
    expect(await cache.client.get('a')).toBe('1');
  });

  it('asks for the password before anything else', async () => {
    const { redis } = await start({ password: 'p@ss:w/ord' });
    const raw = await RawClient.connect({ port: redis.port });
    cleanups.push(() => raw.close());
    expect(await raw.command(['GET', 'a'])).toBe('-NOAUTH Authentication required.\r\n');
    expect(await raw.command(['AUTH', 'wrong'])).toContain('-WRONGPASS');
    expect(await raw.command(['AUTH', 'p@ss:w/ord'])).toBe('+OK\r\n');
    expect(await raw.command(['GET', 'a'])).toBe('$-1\r\n');
  });

  it('ends a script that does not end', async () => {
    let now = 0;
    const clock = { ...systemClock, now: () => (now += 1_000) };
    const { cache } = await start({ clock });
    await expect(cache.client.eval('while true do end', 0)).rejects.toThrow('ran for more than');
    expect(await cache.client.ping()).toBe('PONG');
  });

  it('closes the connection on what is not RESP', async () => {
    const { redis } = await start();
    const raw = await RawClient.connect({ port: redis.port });
    raw.write('*1\r\n!oops\r\n');
    expect(await raw.reply()).toBe("-ERR Protocol error: expected '$', got '!'\r\n");
    expect(await raw.reply()).toBe('');
  });
});

describe('faults', () => {
  it('delays, refuses, swallows and resets on demand', async () => {
    const faults = createFaults('redis', { random: seededRandom(1), clock: systemClock });
    const { redis } = await start({ faults });
    const raw = await RawClient.connect({ port: redis.port });
    cleanups.push(() => raw.close());
    faults.add('redis:loading=1');
    expect(await raw.command(['GET', 'a'])).toContain('-LOADING');
    faults.add('redis:error=1');
    expect(await raw.command(['GET', 'a'])).toContain('-ERR injected');
    faults.add('redis:timeout=1');
    raw.write('*2\r\n$3\r\nGET\r\n$1\r\na\r\n');
    expect(await raw.command(['ECHO', 'still here'])).toContain('still here');
    faults.clear();
    faults.add('redis:latency=30ms');
    const startedAt = performance.now();
    await raw.command(['PING']);
    expect(performance.now() - startedAt).toBeGreaterThan(25);
    faults.clear();
    faults.add('redis:reset');
    await eventually(async () => expect(redis.stats().connections).toBe(1));
  });
});

describe.skipIf(findRealRedis() === undefined)('startRealRedis', () => {
  it('starts a private server on a socket and takes it down', async () => {
    const real = await startRealRedis();
    const cache = await openCache(targetOf(real));
    expect(await cache.client.info('server')).toContain('redis_version');
    cache.dispose();
    await real.stop();
    await expect(openCache(targetOf(real))).rejects.toMatchObject({ code: 'E_UNREACHABLE' });
  });
});

it('says what to install when there is no real server', async () => {
  await expect(startRealRedis({ env: { PATH: '' } })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});
