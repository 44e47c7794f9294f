import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { openCosmos } from '../../../src/cosmos/client.ts';
import { provision } from '../../../src/cosmos/containers.ts';
import { type CosmosService, startCosmos } from '../../../src/local/cosmos/index.ts';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { countQuery, parseKeyLine } from '../../../src/pipeline/cache/warm-source.ts';
import { Secret } from '../../../src/util/secret.ts';
import { targetOf } from '../../cache/helpers.ts';
import { cli } from '../../helpers/cli.ts';

const ITEMS = 600;
let cosmos: CosmosService;
let redis: RedisService;
let cache: CacheConnection;
let env: NodeJS.ProcessEnv;
let cwd: string;

beforeAll(async () => {
  [cosmos, redis] = await Promise.all([startCosmos({ throttling: false }), startRedis()]);
  env = { ...cosmos.environment, ...redis.environment };
  cache = await openCache(targetOf(redis));
  const connection = await openCosmos({
    endpoint: env['COSMOS_ENDPOINT'] as string,
    key: new Secret(env['COSMOS_KEY'] as string),
    database: 'pipeline',
    container: 'events',
  });
  await provision(connection, { partitionKeyPath: '/deviceId', throughput: 12_000 });
  const all = Array.from({ length: ITEMS }, (_, index) => index);
  await Promise.all(
    all.map((index) =>
      connection.container.items.upsert({
        id: `item-${index}`,
        deviceId: `device-${index % 50}`,
        value: index,
        text: 'x'.repeat(100),
      }),
    ),
  );
  connection.dispose();
});
beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'warm-'));
  await cache.client.flushall();
});
afterAll(async () => {
  cache.dispose();
  await Promise.all([cosmos.stop(), redis.stop()]);
});

const json = async (...argv: string[]) => {
  const result = await cli([...argv, '--json'], { env, cwd });
  return { ...result, document: JSON.parse(result.stdout || '{}') };
};

describe('cosmos-pipe warm', () => {
  it('writes every item from the change feed with a life around the TTL, and verifies a sample', async () => {
    const { code, document } = await json('warm', '--ttl', '10h', '--verify', '20%');
    expect(document).toMatchObject({
      items: ITEMS,
      written: ITEMS,
      kept: 0,
      verified: { missing: 0, different: 0 },
    });
    expect(document.verified.checked).toBeGreaterThan(ITEMS / 10);
    expect(document.requestCharge).toBeGreaterThan(0);
    expect(code).toBe(0);
    const [, keys] = await cache.client.scan('0', 'MATCH', 'cp:device-7:*', 'COUNT', 10_000);
    expect(keys).toHaveLength(ITEMS / 50);
    const item = JSON.parse((await cache.client.hget('cp:device-7:item-57', 'd')) ?? '{}');
    expect(item).toMatchObject({ id: 'item-57', value: 57 });
    const life = await cache.client.pttl('cp:device-7:item-57');
    expect(life).toBeGreaterThan(32_000_000);
    expect(life).toBeLessThanOrEqual(39_600_000);
  });

  it('takes a query, projects and writes plain strings', async () => {
    const query = 'SELECT * FROM c WHERE c.value < 10';
    const { document } = await json(
      'warm',
      '--query',
      query,
      '--format',
      'string',
      '--project',
      'value',
      '--prefix',
      'app:',
    );
    expect(document).toMatchObject({ items: 10, written: 10 });
    expect(await cache.client.get('app:device-3:item-3')).toBe('{"id":"item-3","value":3}');
  });

  it('takes a key file and counts the keys that have no item', async () => {
    const lines = [
      'device-1,item-1',
      '{"partitionKey":"device-2","id":"item-2"}',
      'cp:device-3:item-3',
      'device-1,none',
    ];
    writeFileSync(join(cwd, 'keys.txt'), lines.join('\n'));
    const { document } = await json('warm', '--keys-file', 'keys.txt');
    expect(document).toMatchObject({ items: 3, written: 3, notFound: 1 });
  });

  it('estimates without writing', async () => {
    const { document } = await json('warm', '--dry-run', '--max-ru', '100');
    expect(document.items).toBe(ITEMS);
    expect(document.sizeBytes).toBeGreaterThan(ITEMS * 150);
    expect(document.seconds).toBeCloseTo(document.requestCharge / 100);
    expect(await cache.client.dbsize()).toBe(0);
  });

  it('goes on from the resume file, and refuses one of another source', async () => {
    const first = await json('warm', '--resume', 'position.json');
    const second = await json('warm', '--resume', 'position.json');
    expect(first.document.items).toBe(ITEMS);
    expect(second.document.items).toBe(0);
    expect(JSON.parse(readFileSync(join(cwd, 'position.json'), 'utf8')).source).toBe('feed');
    const other = await cli(['warm', '--resume', 'position.json', '--query', 'SELECT * FROM c'], {
      env,
      cwd,
    });
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('not of this source');
  });

  it.each([
    ['SELEC * FROM c', 'Cosmos DB refused the query (Syntax error'],
    ['SELECT c.id FROM c', 'items without id or /deviceId'],
  ])('says what is wrong with the query %s', async (query, problem) => {
    const { code, stderr } = await cli(['warm', '--query', query], { env, cwd });
    expect([code, stderr]).toEqual([2, expect.stringContaining(problem)]);
  });

  it('stops at the memory cap', async () => {
    const { document } = await json('warm', '--query', 'SELECT * FROM c', '--max-memory', '1KB');
    expect(document.stopped).toBe('memory');
    expect(document.items).toBeLessThan(ITEMS);
  });

  it('stays within the RU budget on average', async () => {
    const startedAt = performance.now();
    const { document } = await json('warm', '--query', 'SELECT * FROM c', '--max-ru', '40');
    const seconds = (performance.now() - startedAt) / 1000;
    expect(document.requestCharge).toBeGreaterThan(20);
    expect(document.requestCharge / seconds).toBeLessThanOrEqual(42);
  });
});

describe('cosmos-pipe flush', () => {
  beforeEach(async () => {
    for (const key of ['app:a', 'app:b', 'app:c*', 'apple', 'other']) await cache.client.set(key, 'v');
  });

  it('deletes the prefix and nothing else, and leaves an audit line', async () => {
    const { document, code } = await json('flush', '--prefix', 'app:', '--yes');
    expect(code).toBe(0);
    expect(document).toMatchObject({ deleted: 3, complete: true, preview: { keys: 3 } });
    expect((await cache.client.keys('*')).sort()).toEqual(['apple', 'other']);
    const audit = readFileSync(join(cwd, '.cosmos-pipe/audit.ndjson'), 'utf8').trim();
    expect(JSON.parse(audit)).toMatchObject({ command: 'flush', prefix: 'app:', matched: 3, deleted: 3 });
  });

  it('does not take an address of this machine for a server of its own', async () => {
    const { code, stderr } = await cli(['flush', '--prefix', 'app:'], { env, cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
    expect(await cache.client.dbsize()).toBe(5);
  });

  it('takes glob characters of the prefix literally', async () => {
    const { document } = await json('flush', '--prefix', 'app:c*', '--yes');
    expect(document.deleted).toBe(1);
    expect(await cache.client.exists('app:a', 'app:b')).toBe(2);
  });

  it('shows without deleting', async () => {
    const { document } = await json('flush', '--prefix', 'app:', '--dry-run');
    expect(document).toMatchObject({ deleted: 0, preview: { keys: 3, withoutTtl: 3 } });
    expect(document.preview.memoryBytes).toBeGreaterThan(0);
    expect(await cache.client.dbsize()).toBe(5);
  });

  it('refuses a short prefix without the exact number of keys', async () => {
    const refused = await cli(['flush', '--prefix', 'a'], { env, cwd });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('pass --expect 4');
    const wrong = await cli(['flush', '--prefix', 'a', '--expect', '3'], { env, cwd });
    expect(wrong.code).toBe(2);
    expect(await cache.client.dbsize()).toBe(5);
    const { document } = await json('flush', '--prefix', 'a', '--expect', '4', '--yes');
    expect(document.deleted).toBe(4);
  });

  it('refuses more keys than --max-keys and an empty prefix', async () => {
    expect((await cli(['flush', '--prefix', 'app:', '--max-keys', '2'], { env, cwd })).code).toBe(2);
    expect((await cli(['flush'], { env, cwd })).stderr).toContain('needs a prefix');
    expect(await cache.client.dbsize()).toBe(5);
  });

  it('starts a new generation in one step, which warm then writes to', async () => {
    const { document } = await json('flush', '--prefix', 'gen:', '--generation', '--yes');
    expect(document.generation).toBe(1);
    await json('warm', '--prefix', 'gen:', '--generation', '--query', 'SELECT * FROM c WHERE c.value = 5');
    expect(await cache.client.exists('gen:g1:device-5:item-5')).toBe(1);
  });
});

it('counts a query only where that gives the same number', () => {
  expect(countQuery('SELECT * FROM c WHERE c.a = 1')).toBe('SELECT VALUE COUNT(1) FROM c WHERE c.a = 1');
  expect(countQuery('select c.id, c.a from c')).toBe('SELECT VALUE COUNT(1) from c');
  expect(countQuery('SELECT DISTINCT c.a FROM c')).toBeUndefined();
  expect(countQuery('SELECT TOP 5 * FROM c')).toBeUndefined();
});

it('names the line of a key file that is not a key', () => {
  expect(parseKeyLine('a\tb', 'cp:', 1)).toEqual({ partitionKey: 'a', id: 'b' });
  expect(() => parseKeyLine('nonsense', 'cp:', 7)).toThrow('line 7');
});
