import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openChangeFeed, runChangeFeed } from '../../../src/cosmos/change-feed/reader.ts';
import type { FeedChange } from '../../../src/cosmos/change-feed/types.ts';
import { deleteContainer, provision } from '../../../src/cosmos/containers.ts';
import { type Clock, systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';
import { type FeedAccount, startFeedAccount } from './feed-account.ts';

let account: FeedAccount;
let charged = 0;

beforeEach(async () => {
  charged = 0;
  account = await startFeedAccount(
    { changeFeedRetentionMinutes: 10 },
    {
      charge(operation, _rangeId, requestCharge) {
        if (operation === 'changeFeed') charged += requestCharge;
      },
      throttled() {},
    },
  );
});

afterEach(() => account.close());

const toTheEnd = { untilIdleMs: 0 } as const;

describe('reading from the beginning', () => {
  it('delivers every item once, each range in the order of its log sequence numbers', async () => {
    await account.write(500);
    const seen: FeedChange[] = [];
    const lastOf = new Map<string, number>();
    await runChangeFeed(account.connection, { start: 'beginning', pageSize: 30, ...toTheEnd }, (page) => {
      for (const change of page.changes) {
        expect(change.lsn).toBeGreaterThanOrEqual(lastOf.get(page.rangeId) ?? 0);
        lastOf.set(page.rangeId, change.lsn);
        seen.push(change);
      }
      expect(page.lsn).toBe(page.changes.at(-1)?.lsn);
    });
    expect(lastOf.size).toBeGreaterThan(1);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(500);
    expect(seen).toHaveLength(500);
    expect(seen[0]).toMatchObject({ operation: 'upsert', partitionKey: seen[0]?.item['pk'] });
    expect(charged).toBeGreaterThan(0);
  });

  it('shows an overwritten item once, at its newest version', async () => {
    await account.write(20);
    await account.write(20);
    const sequences: unknown[] = [];
    await runChangeFeed(account.connection, { start: 'beginning', ...toTheEnd }, ({ changes }) => {
      sequences.push(...changes.map(({ item }) => item['sequence']));
    });
    expect(sequences).toHaveLength(20);
    expect(sequences.every((sequence) => Number(sequence) >= 2)).toBe(true);
  });

  it('tells how much of a range is still to come', async () => {
    await account.write(200);
    const lags = new Map<string, number[]>();
    await runChangeFeed(account.connection, { start: 'beginning', pageSize: 10, ...toTheEnd }, (page) => {
      lags.set(page.rangeId, [...(lags.get(page.rangeId) ?? []), page.lagItems]);
    });
    for (const lag of lags.values()) {
      expect(lag.at(-1)).toBe(0);
      expect(lag).toEqual([...lag].sort((a, b) => b - a));
    }
  });
});

describe('reading from now', () => {
  it('leaves out what was there and delivers what comes', async () => {
    await account.write(50, 'old-');
    const stop = new AbortController();
    const ids: string[] = [];
    const feed = await openChangeFeed(account.connection, {
      start: 'now',
      pollMs: 20,
      signal: stop.signal,
    });
    const done = feed.run(({ changes }) => {
      ids.push(...changes.map(({ id }) => id));
    });
    await eventually(() => feed.status().every(({ caughtUp }) => caughtUp));
    await account.write(50, 'new-');
    await eventually(() => expect(ids).toHaveLength(50));
    expect(ids.every((id) => id.startsWith('new-'))).toBe(true);
    await eventually(() => feed.status().every(({ lagMs = Number.NaN }) => lagMs < 5_000));
    stop.abort();
    await done;
  });
});

it.each(['first', 'last'] as const)(
  'does not take a pause of the process for quiet, when the range of a change is the %s to be asked after it',
  async (place) => {
    let skippedMs = 0;
    let sleepers: (() => void)[] = [];
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + skippedMs,
      sleep: (_, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) reject(signal.reason);
          sleepers.push(resolve);
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    };
    const ids: string[] = [];
    const feed = await openChangeFeed(account.connection, { start: 'now', untilIdleMs: 60_000, clock });
    let hasEnded = false;
    const done = feed
      .run(({ changes }) => {
        ids.push(...changes.map(({ id }) => id));
      })
      .finally(() => {
        hasEnded = true;
      });
    const count = feed.status().length;
    await eventually(() => sleepers.length === count);
    const ranges = sleepers;
    sleepers = [];
    await account.write(1);
    skippedMs = 120_000;
    for (const [at, wake] of (place === 'first' ? ranges : ranges.reverse()).entries()) {
      wake();
      await eventually(() => hasEnded || sleepers.length === at + 1);
    }
    expect({ hasEnded, ids }).toEqual({ hasEnded: false, ids: ['event-0'] });
    skippedMs = 240_000;
    for (const wake of sleepers) wake();
    await done;
  },
);

describe('a position', () => {
  it('goes on exactly where the reading was stopped, also within a page', async () => {
    await account.write(300);
    const ids: string[] = [];
    const first = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 50 });
    await first.run((page) => {
      const taken = page.changes.slice(0, 7);
      ids.push(...taken.map(({ id }) => id));
      first.stopAfter(page, taken.length);
    });
    expect(ids.length).toBeLessThan(300);
    const start = { continuation: first.position() };
    await runChangeFeed(account.connection, { start, ...toTheEnd }, ({ changes }) => {
      ids.push(...changes.map(({ id }) => id));
    });
    expect(new Set(ids).size).toBe(300);
    // The 100 operations of a bulk request are transactions of their own, so no change shares its number.
    expect(ids).toHaveLength(300);
  });

  it('does not move over a page whose handler failed', async () => {
    await account.write(100);
    const ids = new Set<string>();
    let calls = 0;
    const feed = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 10 });
    const failing = feed.run(({ changes }) => {
      if (++calls === 3) throw new Error('no');
      for (const { id } of changes) ids.add(id);
    });
    await expect(failing).rejects.toThrow('no');
    const start = { continuation: feed.position() };
    await runChangeFeed(account.connection, { start, ...toTheEnd }, ({ changes }) => {
      for (const { id } of changes) ids.add(id);
    });
    expect(ids.size).toBe(100);
  });

  it('is refused for a container that was deleted and made again', async () => {
    const position = await runChangeFeed(account.connection, { start: 'beginning', ...toTheEnd }, () => {});
    await deleteContainer(account.connection);
    await provision(account.connection, { partitionKeyPath: '/pk' });
    const again = openChangeFeed(account.connection, { start: { continuation: position } });
    await expect(again).rejects.toThrow('another container');
  });
});

it('measures lag from the age of what was read, not from the time of reading', async () => {
  await account.write(40);
  const inAnHour = { ...systemClock, epochMicros: () => systemClock.epochMicros() + 3_600_000_000 };
  const feed = await openChangeFeed(account.connection, {
    start: 'beginning',
    pageSize: 5,
    clock: inAnHour,
    ...toTheEnd,
  });
  expect(feed.status().map(({ lagMs }) => lagMs)).toEqual(feed.status().map(() => undefined));
  let second = false;
  await feed.run((page) => {
    const status = feed.status().find(({ min }) => min === page.feedRange.min);
    if (status?.changes === 5) {
      second = true;
      expect(status.lagMs).toBeGreaterThan(3_590_000);
    }
  });
  expect(second).toBe(true);
  // Read to the end an instant ago, however old the last change is.
  expect(feed.status().every(({ lagMs = Number.NaN }) => lagMs < 600_000)).toBe(true);
});

describe('splits', () => {
  it.each([1, 2, 3])(
    'are followed without loss or repetition, in order per key (round %i)',
    async (round) => {
      await account.write(400);
      const sequences = new Map<string, number[]>();
      let count = 0;
      const splitAt = new Set([40 * round, 90 * round, 260]);
      const gone = new Set<string>();
      const feed = await openChangeFeed(account.connection, {
        start: 'beginning',
        pageSize: 10,
        ...toTheEnd,
      });
      await feed.run((page) => {
        for (const { partitionKey, item } of page.changes) {
          const key = String(partitionKey);
          sequences.set(key, [...(sequences.get(key) ?? []), Number(item['sequence'])]);
          count += 1;
          // The page after the last one of a range that was split may have been fetched before.
          if (!splitAt.has(count) || gone.has(page.rangeId)) continue;
          gone.add(page.rangeId);
          account.split(page.rangeId);
        }
      });
      expect(count).toBe(400);
      expect(feed.status().length).toBeGreaterThan(4);
      for (const seen of sequences.values()) expect(seen).toEqual(seen.map((_, index) => index));
    },
  );

  it('that happened while nobody was reading do not invalidate a position', async () => {
    await account.write(100);
    const ids = new Set<string>();
    const feed = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 10 });
    await feed.run((page) => {
      for (const { id } of page.changes) ids.add(id);
      if (ids.size >= 50) feed.stopAfter(page, page.changes.length);
    });
    account.split('0');
    account.split('1');
    const start = { continuation: feed.position() };
    await runChangeFeed(account.connection, { start, ...toTheEnd }, ({ changes }) => {
      for (const { id } of changes) {
        expect(ids.has(id)).toBe(false);
        ids.add(id);
      }
    });
    expect(ids.size).toBe(100);
  });
});

describe('all versions and deletes', () => {
  it('delivers creates, replaces and deletes with their keys', async () => {
    const stop = new AbortController();
    const changes: FeedChange[] = [];
    const feed = await openChangeFeed(account.connection, {
      start: 'now',
      mode: 'allVersions',
      pollMs: 20,
      signal: stop.signal,
    });
    const done = feed.run((page) => {
      changes.push(...page.changes);
    });
    await eventually(() => feed.status().every(({ caughtUp }) => caughtUp));
    const { items } = account.connection.container;
    await items.create({ id: 'a', pk: 'x', value: 1 });
    await items.upsert({ id: 'a', pk: 'x', value: 2 });
    await account.connection.container.item('a', 'x').delete();
    await eventually(() => expect(changes).toHaveLength(3));
    stop.abort();
    await done;
    expect(changes.map(({ operation }) => operation)).toEqual(['create', 'replace', 'delete']);
    expect(changes.map(({ id, partitionKey }) => `${partitionKey}/${id}`)).toEqual(['x/a', 'x/a', 'x/a']);
    expect(changes[1]?.item['value']).toBe(2);
  });

  it('cannot start at the beginning', async () => {
    const opening = openChangeFeed(account.connection, { start: 'beginning', mode: 'allVersions' });
    await expect(opening).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

it('reads on through throttling, outages and moving partitions', async () => {
  await account.write(200);
  const feed = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 10, ...toTheEnd });
  for (const spec of ['cosmos:throttle=10%', 'cosmos:unavailable=10%', 'cosmos:gone=10%'])
    account.service.faults.add(spec);
  const ids = new Set<string>();
  await feed.run(({ changes }) => {
    for (const { id } of changes) ids.add(id);
  });
  expect(ids.size).toBe(200);
});

it('reads dozens of ranges at once without a warning of Node', async () => {
  const many = await startFeedAccount({ throughput: 180_000 });
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listen);
  try {
    await many.write(300);
    const stop = new AbortController();
    let count = 0;
    const feed = await openChangeFeed(many.connection, {
      start: 'beginning',
      pollMs: 20,
      signal: stop.signal,
    });
    expect(feed.status()).toHaveLength(30);
    const done = feed.run(({ changes }) => {
      count += changes.length;
    });
    await eventually(() => count === 300 && feed.status().every(({ caughtUp }) => caughtUp));
    stop.abort();
    await done;
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', listen);
    await many.close();
  }
});

it('ends with an error, and not with a crash, when the container goes away while a page is handled', async () => {
  await account.write(200);
  const feed = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 5 });
  let gone: Promise<unknown> | undefined;
  const reading = feed.run(async () => {
    gone ??= deleteContainer(account.connection);
    await gone;
    // Long enough for the page that is fetched ahead to fail first.
    await account.connection.client.getDatabaseAccount();
    await account.connection.client.getDatabaseAccount();
  });
  await expect(reading).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});
