import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { estimateLag, estimateLagOfPosition } from '../../../src/cosmos/change-feed/lag.ts';
import { openChangeFeed, runChangeFeed } from '../../../src/cosmos/change-feed/reader.ts';
import { type FeedAccount, startFeedAccount } from './feed-account.ts';

let account: FeedAccount;

beforeEach(async () => {
  account = await startFeedAccount({ throughput: 400 });
});

afterEach(() => account.close());

const whole = [{ min: '', max: 'FF' }];

describe('lag without consuming', () => {
  it('counts everything before the first checkpoint, and nothing when starting from now', async () => {
    await account.write(30);
    const [fromBeginning] = await estimateLag(account.connection, whole, 'beginning');
    expect(fromBeginning).toMatchObject({ min: '', max: 'FF', items: 30 });
    expect(fromBeginning?.lagMs).toBeGreaterThanOrEqual(0);
    const [fromNow] = await estimateLag(account.connection, whole, 'now');
    expect(fromNow).toMatchObject({ items: 0, lagMs: 0 });
  });

  it('counts what a position has not read, and is zero for an idle range however old it is', async () => {
    await account.write(30);
    const feed = await openChangeFeed(account.connection, { start: 'beginning', pageSize: 30 });
    await feed.run((page) => feed.stopAfter(page, 12));
    expect((await estimateLagOfPosition(account.connection, feed.position()))[0]?.items).toBe(18);
    const end = await runChangeFeed(account.connection, { start: 'beginning', untilIdleMs: 0 }, () => {});
    const inAnHour = {
      now: () => 0,
      epochMicros: () => (Date.now() + 3_600_000) * 1000,
      sleep: async () => {},
    };
    expect(await estimateLagOfPosition(account.connection, end, { clock: inAnHour })).toMatchObject([
      { items: 0, lagMs: 0 },
    ]);
  });

  it('reports the parts of a range that was split', async () => {
    await account.write(30);
    account.split('0');
    const lags = await estimateLag(account.connection, whole, 'beginning');
    expect(lags).toHaveLength(2);
    expect(lags[0]?.max).toBe(lags[1]?.min);
    const items = lags.reduce((sum, lag) => sum + lag.items, 0);
    // An upper bound: numbers of before the split count for both parts.
    expect(items).toBeGreaterThanOrEqual(30);
  });
});
