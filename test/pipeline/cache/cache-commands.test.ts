import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { readEntries } from '../../../src/cache/entry.ts';
import { type CosmosConnection, openCosmos } from '../../../src/cosmos/client.ts';
import { provision } from '../../../src/cosmos/containers.ts';
import { type CosmosService, startCosmos } from '../../../src/local/cosmos/index.ts';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { type Clock, systemClock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { targetOf } from '../../cache/helpers.ts';
import { cli } from '../../helpers/cli.ts';
import { eventually } from '../../helpers/eventually.ts';
import { freePort } from '../../helpers/ports.ts';

const ITEMS = 40;
let cosmos: CosmosService;
let redis: RedisService;
let cache: CacheConnection;
let store: CosmosConnection;
let env: NodeJS.ProcessEnv;
let cwd: string;

beforeAll(async () => {
  [cosmos, redis] = await Promise.all([startCosmos({ throttling: false }), startRedis()]);
  env = { ...cosmos.environment, ...redis.environment };
  cache = await openCache(targetOf(redis));
  store = await openCosmos({
    endpoint: env['COSMOS_ENDPOINT'] as string,
    key: new Secret(env['COSMOS_KEY'] as string),
    database: 'pipeline',
    container: 'events',
  });
  await provision(store, { partitionKeyPath: '/deviceId', throughput: 12_000 });
});
beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'cache-'));
  await cache.client.flushall();
  await Promise.all(Array.from({ length: ITEMS }, (_, index) => put(index, 0)));
});
afterAll(async () => {
  store.dispose();
  cache.dispose();
  await Promise.all([cosmos.stop(), redis.stop()]);
});

const put = (index: number, value: number) =>
  store.container.items.upsert({ id: `i${index}`, deviceId: `d${index % 4}`, value });

async function json(argv: readonly string[], signal?: AbortSignal, clock?: Clock) {
  const result = await cli([...argv, '--json'], {
    env,
    cwd,
    ...(signal && { signal }),
    ...(clock && { clock }),
  });
  if (result.stdout === '') throw new Error(`${argv.join(' ')}: ${result.stderr}`);
  return { ...result, document: JSON.parse(result.stdout) };
}

async function cached(index: number): Promise<unknown> {
  const [entry] = await readEntries(cache, [`cp:d${index % 4}:i${index}`]);
  return entry?.kind === 'document' ? JSON.parse(entry.json).value : entry?.kind;
}

describe('cosmos-pipe invalidate', () => {
  it('refreshes what is held and goes on from its position', async () => {
    await json(['warm', '--query', 'SELECT * FROM c WHERE c.id = "i1"']);
    await put(1, 7);
    await put(2, 8);
    const argv = [
      'invalidate',
      '--mode',
      'refresh-if-present',
      '--from',
      'beginning',
      '--until-idle',
      '--resume',
      'p.json',
    ];
    const first = await json(argv);
    expect(first.document).toMatchObject({ changes: ITEMS, applied: 1, unaffected: ITEMS - 1 });
    expect(first.document.lag.count).toBe(ITEMS);
    expect([await cached(1), await cached(2)]).toEqual([7, 'missing']);
    await put(1, 9);
    const second = await json(argv);
    expect(second.document).toMatchObject({ changes: 1, applied: 1 });
    expect(await cached(1)).toBe(9);
  });

  it('runs until it is stopped and deletes what changes', async () => {
    await json(['warm']);
    const stop = new AbortController();
    const running = json(['invalidate', '--poll', '20ms', '--from', '-1h'], stop.signal);
    const indexes = Array.from({ length: ITEMS }, (_, index) => index);
    await eventually(async () =>
      expect(new Set(await Promise.all(indexes.map(cached)))).toEqual(new Set(['tombstone'])),
    );
    stop.abort();
    const { code, document } = await running;
    expect(code).toBe(130);
    expect(document.applied).toBe(ITEMS);
  });
});

describe('cosmos-pipe cache verify', () => {
  it('tells fresh, stale, orphaned and missing', async () => {
    await json(['warm', '--query', 'SELECT * FROM c WHERE c.deviceId != "d3"']);
    const good = await json(['cache', 'verify']);
    expect(good.code).toBe(0);
    expect(good.document).toMatchObject({ checked: 30, fresh: 30, wanted: ITEMS, missing: 10 });
    await put(1, 99);
    await store.container.item('i2', 'd2').delete();
    const bad = await json(['cache', 'verify']);
    expect(bad.code).toBe(4);
    expect(bad.document).toMatchObject({ checked: 30, fresh: 28, stale: 1, orphan: 1 });
    expect(bad.document.examples).toContainEqual({ key: 'cp:d1:i1', state: 'stale' });
    expect((await json(['cache', 'verify', '--max-stale', '0.1'])).code).toBe(0);
  });
});

describe('cosmos-pipe serve and stats', () => {
  it('serves through the cache, shows what is hot, and warms from it', async () => {
    const stop = new AbortController();
    const port = await freePort();
    const patient = ['--memory-entries', '0', '--redis-timeout', '60s'];
    const serving = json(['serve', '--port', String(port), ...patient], stop.signal);
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => expect((await fetch(`${url}/healthz`)).ok).toBe(true));
    const results: (string | null)[] = [];
    for (const id of ['i1', 'i1', 'i1', 'i5'])
      results.push((await fetch(`${url}/v1/items/d1/${id}`)).headers.get('x-cache'));
    expect(results).toEqual(['MISS', 'HIT', 'HIT', 'MISS']);
    let watched = false;
    let reads = 0;
    // The interval ends when something was read in it, and not before.
    const clock: Clock = {
      ...systemClock,
      async sleep() {
        const from = reads;
        await eventually(() => reads > from + 1);
      },
    };
    const watching = json(['stats', '--min-hit-rate', '100%'], undefined, clock).finally(() => {
      watched = true;
    });
    for (; !watched; reads++) await fetch(`${url}/v1/items/d1/i1`);
    const { code, document } = await watching;
    expect(code).toBe(0);
    expect(document.hits).toBeGreaterThan(0);
    expect(document.hitRate).toBe(1);
    expect(document.prefixes[0]).toMatchObject({ prefix: 'cp:', keys: 2, share: 1 });

    const wanted = ['--min-hit-rate', '1%', '--hot-file', 'hot.ndjson'];
    const stats = await json(['stats', '--interval', '1ms', '--serve', url, ...wanted]);
    expect(stats.code).toBe(99);
    expect(stats.document.hot.keys[0]).toMatchObject({ key: 'cp:d1:i1', node: cache.address });
    expect(readFileSync(join(cwd, 'hot.ndjson'), 'utf8')).toContain('{"partitionKey":"d1","id":"i1"}');
    await cache.client.flushall();
    expect((await json(['warm', '--keys-file', 'hot.ndjson'])).document).toMatchObject({ written: 2 });
    stop.abort();
    expect((await serving).document).toMatchObject({ errors: 0, byResult: { MISS: 2 } });
  });
});
