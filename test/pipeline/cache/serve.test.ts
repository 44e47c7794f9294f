import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { versionOf } from '../../../src/cache/version.ts';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import {
  type CacheServer,
  parsePartitionKey,
  type ServeOptions,
  startCacheServer,
} from '../../../src/pipeline/cache/serve.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { targetOf } from '../../cache/helpers.ts';
import { eventually } from '../../helpers/eventually.ts';
import { freePort } from '../../helpers/ports.ts';

let redis: RedisService;
let cache: CacheConnection;
let server: CacheServer;
let reads: string[];
/** Holds the store's answers back while it is set. */
let gate: Promise<void> | undefined;

const store = new Map<string, Record<string, unknown>>();

async function start(extra: Partial<ServeOptions> = {}): Promise<void> {
  server = await startCacheServer({
    cache,
    async read(partitionKey, id) {
      reads.push(`${String(partitionKey)}/${id}`);
      await gate;
      const item = store.get(`${String(partitionKey)}/${id}`);
      return item && { item, requestCharge: 1.25 };
    },
    keyPrefix: () => 'cp:',
    partitionKeyPaths: 1,
    ttlMs: 600_000,
    negativeTtlMs: 600_000,
    memoryEntries: 0,
    memoryTtlMs: 600_000,
    maxStoreReads: 8,
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    random: seededRandom(1),
    ...extra,
  });
}

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}${path}`, { headers });
const result = async (path: string) => (await get(path)).headers.get('x-cache');

describe('startCacheServer', () => {
  beforeEach(async () => {
    redis = await startRedis();
    cache = await openCache(targetOf(redis), { commandTimeoutMs: 60_000, maxRetries: 1 });
    reads = [];
    gate = undefined;
    store.clear();
    store.set('d1/a', { id: 'a', deviceId: 'd1', value: 1, _ts: 100, _etag: '"e1"' });
  });
  afterEach(async () => {
    await server.stop();
    cache.dispose();
    await redis.stop();
  });

  it('misses once, then hits, and says what it cost', async () => {
    await start();
    const miss = await get('/v1/items/d1/a');
    expect(await miss.json()).toEqual(store.get('d1/a'));
    expect(miss.headers.get('x-cache')).toBe('MISS');
    expect(miss.headers.get('x-cosmos-ru')).toBe('1.25');
    expect(miss.headers.get('server-timing')).toMatch(/^redis;dur=[\d.]+, cosmos;dur=[\d.]+$/);
    const hit = await get('/v1/items/d1/a');
    expect(hit.headers.get('x-cache')).toBe('HIT');
    expect(hit.headers.get('x-cosmos-ru')).toBe('0.00');
    expect(await hit.json()).toEqual(store.get('d1/a'));
    expect(reads).toEqual(['d1/a']);
    expect(server.stats()).toMatchObject({
      requests: 2,
      hitRate: 0.5,
      requestCharge: 1.25,
      requestChargeSaved: 1.25,
    });
  });

  it('answers 304 to the ETag that the item has in the store', async () => {
    await start();
    const etag = (await get('/v1/items/d1/a')).headers.get('etag');
    expect(etag).toBe('"e1"');
    const again = await get('/v1/items/d1/a', { 'if-none-match': etag as string });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe('');
  });

  it('reads the store once for all who ask at once', async () => {
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await start();
    const answers = Array.from({ length: 20 }, () => result('/v1/items/d1/a'));
    await eventually(() => expect(reads).toHaveLength(1));
    // Everybody is on the way to Redis or waiting for the one read.
    await eventually(() => expect(redis.stats().misses).toBe(20));
    open();
    const results = await Promise.all(answers);
    expect(results.filter((each) => each === 'MISS')).toHaveLength(1);
    expect(results.filter((each) => each === 'COALESCED')).toHaveLength(19);
    expect(reads).toHaveLength(1);
    expect(server.stats().stampedeFactor).toBe(1);
  });

  it('remembers that there is no such item, until the item comes', async () => {
    await start();
    expect((await get('/v1/items/d1/none')).status).toBe(404);
    const again = await get('/v1/items/d1/none');
    expect([again.status, again.headers.get('x-cache')]).toEqual([404, 'HIT']);
    await cache.send([['cpSetIfNewer', 'cp:d1:none', versionOf(5), '{"id":"none"}', '', 600_000, 'newer']]);
    expect((await get('/v1/items/d1/none')).status).toBe(200);
    expect(reads).toHaveLength(1);
  });

  it('keeps hot entries in the process and drops them when told', async () => {
    await start({ memoryEntries: 10, subscribe: 'inv' });
    await get('/v1/items/d1/a');
    expect(await result('/v1/items/d1/a')).toBe('L1');
    await cache.client.publish('inv', 'cp:d1:a');
    await eventually(async () => expect(await result('/v1/items/d1/a')).toBe('HIT'));
  });

  it('serves an entry past its life while it is refreshed', async () => {
    await start({ ttlMs: 1, ttlJitter: 0, staleMs: 600_000 });
    await get('/v1/items/d1/a');
    store.set('d1/a', { id: 'a', value: 2, _ts: 101, _etag: '"e2"' });
    await eventually(async () => expect(await result('/v1/items/d1/a')).toBe('STALE'));
    await eventually(async () =>
      expect(await (await get('/v1/items/d1/a')).json()).toMatchObject({ value: 2 }),
    );
  });

  it('does not fill the cache with what was invalidated meanwhile', async () => {
    await start();
    await cache.send([['cpInvalidate', 'cp:d1:a', versionOf(100, 9), 600_000]]);
    expect(await result('/v1/items/d1/a')).toBe('MISS');
    expect(await result('/v1/items/d1/a')).toBe('MISS');
  });

  it('goes on from the store while Redis is down', async () => {
    // On a port that nobody else is given while it is free.
    await redis.stop();
    redis = await startRedis({ port: await freePort() });
    cache.dispose();
    cache = await openCache(targetOf(redis), { maxRetries: 1 });
    await start();
    await redis.stop();
    for (let round = 0; round < 8; round++) {
      const response = await get('/v1/items/d1/a');
      expect([response.status, response.headers.get('x-cache')]).toEqual([200, 'MISS']);
    }
    expect(await (await get('/healthz')).json()).not.toEqual({ breaker: 'closed' });
    redis = await startRedis();
  });

  it('answers 503 when far more reads of the store are wanted than it may have', async () => {
    let open: () => void = () => undefined;
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await start({ maxStoreReads: 1, negativeTtlMs: 0 });
    const asked = Array.from({ length: 14 }, (_, index) => get(`/v1/items/d1/x${index}`));
    const statuses: number[] = [];
    for (const each of asked) each.then(({ status }) => statuses.push(status)).catch(() => undefined);
    await eventually(() => expect(statuses.filter((status) => status === 503)).toHaveLength(3));
    open();
    await Promise.all(asked);
    expect(statuses.filter((status) => status === 404)).toHaveLength(11);
  });

  it('reads several ids at once, bypasses on demand and evicts', async () => {
    store.set('d1/b', { id: 'b', _ts: 1 });
    await start();
    const many = await get('/v1/items/d1?ids=a,b,c');
    expect(await many.json()).toEqual({ items: [store.get('d1/a'), store.get('d1/b')], missing: ['c'] });
    expect(await result('/v1/items/d1/a?nocache')).toBe('BYPASS');
    const evicted = await fetch(`${server.url}/v1/cache/d1/a`, { method: 'DELETE' });
    expect(evicted.status).toBe(204);
    expect(await result('/v1/items/d1/a')).toBe('MISS');
  });

  it('exports counters to Prometheus and hot keys to /stats', async () => {
    await start();
    for (let round = 0; round < 3; round++) await get('/v1/items/d1/a');
    expect(await (await get('/metrics')).text()).toContain(
      'cosmos_pipe_serve_requests_total{result="HIT"} 2',
    );
    const stats = (await (await get('/stats')).json()) as { hot: { keys: { key: string; count: number }[] } };
    expect(stats.hot.keys[0]).toMatchObject({ key: 'cp:d1:a', count: 3, share: 1 });
  });

  it('refuses what it does not know', async () => {
    await start();
    expect((await get('/nothing')).status).toBe(404);
    expect((await get('/v1/items/d1?ids=')).status).toBe(400);
    for (const items of ['d1/a%23b', 'd1/a%2Fb', 'd1?ids=a,b%3F'])
      expect((await get(`/v1/items/${items}`)).status).toBe(400);
    expect((await get('/v1/items/%zz/a')).status).toBe(400);
    expect((await fetch(`${server.url}/v1/items/d1/a`, { method: 'POST' })).status).toBe(405);
  });
});

it('reads partition keys of every kind from the address', () => {
  expect(parsePartitionKey('abc', 1)).toBe('abc');
  expect(parsePartitionKey('=5', 1)).toBe(5);
  expect(parsePartitionKey('=null', 1)).toBeNull();
  expect(parsePartitionKey('=', 1)).toBeUndefined();
  expect(parsePartitionKey('a|=1', 2)).toEqual(['a', 1]);
  expect(parsePartitionKey('a|b', 1)).toBe('a|b');
});
