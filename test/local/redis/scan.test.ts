import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { flushPrefix } from '../../../src/cache/flush.ts';
import { Database } from '../../../src/local/redis/database.ts';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { targetOf } from '../../cache/helpers.ts';

describe('Database.scan', () => {
  it('returns every key that is there all the time exactly once, whatever comes and goes meanwhile', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), key: fc.nat(60) }),
      fc.record({ kind: fc.constant('remove' as const), key: fc.nat(60) }),
      fc.record({ kind: fc.constant('step' as const), key: fc.integer({ min: 1, max: 7 }) }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), fc.array(action, { maxLength: 80 }), (initial, actions) => {
        const database = new Database(0);
        const put = (key: number) => database.put(`k${key}`, Buffer.alloc(1), 0, 0);
        for (const key of initial) put(key);
        const stable = new Set(initial);
        const seen: string[] = [];
        let cursor = 0;
        let ended = false;
        const step = (count: number): void => {
          const { next, keys } = database.scan(cursor, count, 1);
          seen.push(...keys);
          cursor = next;
          ended = next === 0;
        };
        for (const { kind, key } of actions) {
          if (kind === 'put') put(key);
          else if (kind === 'remove') {
            database.remove(`k${key}`);
            stable.delete(key);
          } else if (!ended) step(key);
        }
        while (!ended) step(5);
        for (const key of stable) expect(seen).toContain(`k${key}`);
        const survivors = [...stable].map((key) => `k${key}`);
        for (const key of survivors) expect(seen.filter((each) => each === key)).toHaveLength(1);
      }),
    );
  });
});

describe('SCAN and UNLINK of 100,000 keys under concurrent writes', () => {
  let redis: RedisService;
  let cache: CacheConnection;
  beforeAll(async () => {
    redis = await startRedis();
    cache = await openCache(targetOf(redis));
  });
  afterAll(async () => {
    cache.dispose();
    await redis.stop();
  });

  it('deletes every key of the prefix and no other', async () => {
    const KEYS = 100_000;
    const fill = async (prefix: string, count: number): Promise<void> => {
      for (let at = 0; at < count; at += 5_000)
        await cache.client.mset(
          ...Array.from({ length: 5_000 }, (_, index) => [`${prefix}${at + index}`, 'v']).flat(),
        );
    };
    await fill('gone:', KEYS);
    await fill('kept:', 20_000);
    const writer = cache.masters()[0]!.duplicate();
    await writer.connect();
    let writing = true;
    let written = 0;
    const write = async (): Promise<void> => {
      // Overwrites and new keys, which must survive, and deletes among half of those that the flush deletes too.
      while (writing) {
        const batch = writer.pipeline();
        for (let index = 0; index < 50; index++) {
          batch.set(`kept:new:${written++}`, 'v');
          batch.unlink(`gone:${(written * 7919) % (KEYS / 2)}`);
          batch.set(`kept:${(written * 31) % 20_000}`, 'w');
        }
        await batch.exec();
      }
    };
    const busy = write();
    const result = await flushPrefix(cache, 'gone:');
    writing = false;
    await busy;
    writer.disconnect();
    expect(result.complete).toBe(true);
    expect(result.deleted).toBeGreaterThanOrEqual(KEYS / 2);
    expect(written).toBeGreaterThan(0);
    const left = await cache.client.keys('*');
    expect(left.filter((key) => key.startsWith('gone:'))).toEqual([]);
    expect(left).toHaveLength(20_000 + written);
  });
});
