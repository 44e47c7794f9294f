import { afterEach, beforeEach, expect, it } from 'vitest';
import { openFeedSource } from '../../../src/cosmos/change-feed/sdk-feed.ts';
import { type FeedAccount, startFeedAccount } from './feed-account.ts';

// Guards what src/cosmos/change-feed/sdk-feed.ts relies on and @azure/cosmos does not declare: a failure after an upgrade of
// the SDK means that this one file has to follow.

let account: FeedAccount;

beforeEach(async () => {
  account = await startFeedAccount({ throughput: 12_000 });
  await account.write(60);
});

afterEach(() => account.close());

it('builds feed ranges and continuations that the SDK accepts', async () => {
  const source = await openFeedSource(account.connection, 'latestVersion');
  const [first] = await source.ranges();
  if (first === undefined) throw new Error('no ranges');
  const page = await source.cursor(first, 'beginning', 5).next();
  expect(page.documents).toHaveLength(5);
  expect(page.positions).toEqual([page.served]);
  expect(page.served).toEqual({ ...first, continuation: expect.stringMatching(/^"\d+"$/) });
  expect(page.headLsn).toBeGreaterThan(5);
  expect(page.requestCharge).toBeGreaterThan(0);
  const next = await source.cursor(page.served, 'beginning', 5).next();
  expect(Number(next.documents[0]?.['_lsn'])).toBeGreaterThan(Number(page.documents.at(-1)?.['_lsn']));
});

it('sees a part of a partition only, when asked for a part', async () => {
  const source = await openFeedSource(account.connection, 'latestVersion');
  const count = async (min: string, max: string): Promise<number> =>
    (await source.cursor({ min, max }, 'beginning', 100).next()).documents.length;
  const [whole, lower, upper] = [
    await count('', '20000000000000000000000000000000'),
    await count('', '08000000000000000000000000000000'),
    await count('08000000000000000000000000000000', '20000000000000000000000000000000'),
  ];
  expect(lower + upper).toBe(whole);
});

it('tells the parts of a range that was split, the served one last', async () => {
  const source = await openFeedSource(account.connection, 'latestVersion');
  const [first] = await source.ranges();
  if (first === undefined) throw new Error('no ranges');
  const cursor = source.cursor(first, 'beginning', 5);
  const before = await cursor.next();
  account.split(before.rangeId);
  const after = await cursor.next();
  expect(after.positions).toHaveLength(2);
  expect(after.positions.at(-1)).toEqual(after.served);
  expect(after.positions.map(({ min }) => min).sort()[0]).toBe(first.min);
  const other = after.positions[0];
  expect(other?.continuation).toBe(before.served.continuation);
});

it('gives the text of each document as the service wrote it, where that is asked for', async () => {
  await account.connection.container.items.upsert({ id: 'odd', pk: 'key-1', text: '}],{"\\' });
  const source = await openFeedSource(account.connection, 'latestVersion', { texts: true });
  for (const range of await source.ranges()) {
    const { documents, texts } = await source.cursor(range, 'beginning', 100).next();
    expect(texts?.map((text) => JSON.parse(text))).toEqual(documents.length > 0 ? documents : undefined);
  }
  const [first] = await (await openFeedSource(account.connection, 'latestVersion')).ranges();
  if (first === undefined) throw new Error('no ranges');
  const plain = await openFeedSource(account.connection, 'latestVersion');
  expect((await plain.cursor(first, 'beginning', 100).next()).texts).toBeUndefined();
});
