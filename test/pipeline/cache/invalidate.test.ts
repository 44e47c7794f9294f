import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CacheCommand } from '../../../src/cache/command.ts';
import { type CacheConnection, openCache } from '../../../src/cache/connection.ts';
import { readEntries } from '../../../src/cache/entry.ts';
import { cacheKey } from '../../../src/cache/key.ts';
import { versionOf } from '../../../src/cache/version.ts';
import type { FeedChange } from '../../../src/cosmos/change-feed/types.ts';
import { type RedisService, startRedis } from '../../../src/local/redis/index.ts';
import { findRealRedis, startRealRedis } from '../../../src/local/redis/real-server.ts';
import { createInvalidator, type InvalidateMode } from '../../../src/pipeline/cache/invalidate.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { type Random, seededRandom } from '../../../src/util/random.ts';
import { targetOf } from '../../cache/helpers.ts';
import { eventually } from '../../helpers/eventually.ts';

const KEY = cacheKey('cp:', 'pk', 'a');
let redis: RedisService;
let cache: CacheConnection;

beforeAll(async () => {
  redis = await startRedis();
  cache = await openCache(targetOf(redis));
});
beforeEach(async () => {
  await cache.client.flushall();
});
afterAll(async () => {
  cache.dispose();
  await redis.stop();
});

function change(value: number, seconds: number, lsn: number, extra: Partial<FeedChange> = {}): FeedChange {
  const item = { id: 'a', value, _ts: seconds };
  return { id: 'a', partitionKey: 'pk', lsn, storedMs: seconds * 1000, operation: 'upsert', item, ...extra };
}

const invalidator = (mode: InvalidateMode, extra = {}) =>
  createInvalidator({ cache, mode, keyPrefix: 'cp:', ttlMs: 600_000, clock: systemClock, ...extra });

/** What a reader does that found nothing, read the store and now fills the cache. */
const fill = (value: number, seconds: number) =>
  cache.send([
    [
      'cpSetIfNewer',
      KEY,
      versionOf(seconds),
      JSON.stringify({ id: 'a', value, _ts: seconds }),
      '',
      600_000,
      'newer',
    ],
  ]);

async function held(): Promise<number | string> {
  const [entry] = await readEntries(cache, [KEY]);
  return entry?.kind === 'document' ? JSON.parse(entry.json).value : (entry?.kind ?? 'missing');
}

describe('createInvalidator', () => {
  it('deletes, and does not let a reader of the old item put it back', async () => {
    await fill(1, 100);
    await invalidator('delete').apply({ changes: [change(2, 101, 7)] });
    expect(await held()).toBe('tombstone');
    await fill(1, 100);
    expect(await held()).toBe('tombstone');
    await fill(3, 102);
    expect(await held()).toBe(3);
  });

  it('gives way within one second, where only the feed knows the order', async () => {
    await invalidator('delete').apply({ changes: [change(2, 100, 7)] });
    await fill(1, 100);
    expect(await held()).toBe('tombstone');
  });

  it('refreshes, wanted or not', async () => {
    await invalidator('refresh').apply({ changes: [change(2, 100, 7)] });
    expect(await held()).toBe(2);
    await invalidator('refresh').apply({ changes: [change(1, 100, 6)] });
    expect(await held()).toBe(2);
  });

  it('refreshes only what is held', async () => {
    const totals = invalidator('refreshIfPresent');
    await totals.apply({ changes: [change(2, 100, 7)] });
    expect(await held()).toBe('missing');
    await fill(1, 90);
    await totals.apply({ changes: [change(2, 100, 7)] });
    expect(await held()).toBe(2);
    expect(totals.totals()).toMatchObject({ changes: 2, applied: 1, unaffected: 1 });
  });

  it('replaces plain strings, which carry no version', async () => {
    await cache.client.set(KEY, '{"id":"a","value":0}');
    expect(await held()).toBe(0);
    await invalidator('refreshIfPresent').apply({ changes: [change(2, 100, 7)] });
    expect(await held()).toBe(2);
  });

  it('leaves a tombstone for real deletes and for the soft-delete field, in every mode', async () => {
    const run = invalidator('refresh', { softDeleteField: 'gone' });
    await run.apply({ changes: [change(2, 100, 7)] });
    await run.apply({ changes: [change(2, 101, 8, { item: { id: 'a', gone: true } })] });
    expect(await held()).toBe('tombstone');
    await run.apply({ changes: [change(3, 102, 9)] });
    await run.apply({ changes: [change(3, 103, 10, { operation: 'delete', item: { id: 'a' } })] });
    expect(await held()).toBe('tombstone');
    expect(run.totals().deletes).toBe(2);
  });

  it('applies the last of several changes of a page and publishes each key once', async () => {
    const subscriber = cache.masters()[0]!.duplicate();
    await subscriber.connect();
    const heard: string[] = [];
    subscriber.on('message', (_channel: string, key: string) => heard.push(key));
    await subscriber.subscribe('inv');
    const run = invalidator('refresh', { publish: 'inv' });
    await run.apply({ changes: [change(1, 100, 1), change(2, 100, 2), change(3, 100, 3)] });
    expect(await held()).toBe(3);
    expect(run.totals()).toMatchObject({ changes: 3, coalesced: 2, applied: 1 });
    await eventually(() => expect(heard).toEqual([KEY]));
    subscriber.disconnect();
  });
});

const program = findRealRedis();
const servers = program === undefined ? (['embedded'] as const) : (['embedded', 'real'] as const);

describe.each(servers)('a reader that races an invalidation, on the %s server', (server) => {
  it('never leaves a stale value in the cache in 10,000 races', async () => {
    const real = server === 'real' ? await startRealRedis() : undefined;
    const connection = real ? await openCache(targetOf(real)) : cache;
    const random = seededRandom(20_261_123);
    const races = Array.from({ length: 10_000 }, (_, index) => race(index, random));
    // Every race is one interleaving of the feed with slow readers; the server takes them one command at a time.
    for (let at = 0; at < races.length; at += 1_000)
      await connection.send(races.slice(at, at + 1_000).flatMap(({ commands }) => commands));
    const entries = await readEntries(
      connection,
      races.map(({ key }) => key),
    );
    const stale = races.filter(({ newest }, index) => {
      const entry = entries[index];
      return entry?.kind === 'document' && JSON.parse(entry.json).value < newest;
    });
    expect(stale).toEqual([]);
    const documents = entries.filter((entry) => entry.kind === 'document').length;
    expect(documents).toBeGreaterThan(0);
    if (real) {
      connection.dispose();
      await real.stop();
    }
  });
});

/** Some versions of one item, all fed in order, mixed at random with fills by readers that read any of them before. */
function race(index: number, random: Random) {
  const key = `race:${index}`;
  const versions = 1 + random.below(4);
  let seconds = 100;
  const stored = Array.from({ length: versions }, (_, value) => {
    seconds += random.below(2);
    return { value, seconds, lsn: value + 1 };
  });
  const feed = stored.map(({ value, seconds: at, lsn }) =>
    random.below(2) === 0
      ? (['cpInvalidate', key, versionOf(at, lsn), 600_000] as const)
      : (['cpSetIfNewer', key, versionOf(at, lsn), `{"value":${value}}`, '', 600_000, 'equal'] as const),
  );
  const commands: CacheCommand[] = [];
  while (feed.length > 0 || random.below(3) > 0) {
    const next = random.below(2) === 0 ? feed.shift() : undefined;
    const read = stored[random.below(versions)]!;
    commands.push(
      next ?? ['cpSetIfNewer', key, versionOf(read.seconds), `{"value":${read.value}}`, '', 600_000, 'newer'],
    );
  }
  return { key, newest: versions - 1, commands };
}
