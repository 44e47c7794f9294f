import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ChangeFeedMode,
  ChangeFeedPolicy,
  ChangeFeedRetentionTimeSpan,
  ChangeFeedStartFrom,
} from '@azure/cosmos';

/** Reads until nothing is new. */
async function drain(container, changeFeedStartFrom, options = {}) {
  const iterator = container.items.getChangeFeedIterator({ changeFeedStartFrom, ...options });
  const changes = [];
  for (;;) {
    const page = await iterator.readNext();
    if (page.statusCode === 304) return { changes, continuation: page.continuationToken };
    changes.push(...page.result);
  }
}

/** The change feed, latest version and all versions. */
export async function checkChangeFeed({ check, container }) {
  const feed = await container('feed');
  await feed.items.bulk(
    Array.from({ length: 100 }, (_, i) => ({
      operationType: 'Create',
      resourceBody: { id: `${i}`, pk: `k${i % 10}` },
    })),
  );
  const start = ChangeFeedStartFrom;

  await check('reads the whole container from the beginning, with LSNs', async () => {
    const { changes } = await drain(feed, start.Beginning(), { maxItemCount: 7 });
    assert.equal(new Set(changes.map(({ id }) => id)).size, 100);
    assert.ok(changes.every(({ _lsn }) => _lsn > 0));
  });
  await check('covers the container once by its feed ranges', async () => {
    const seen = [];
    for (const range of await feed.getFeedRanges())
      seen.push(...(await drain(feed, start.Beginning(range))).changes);
    assert.equal(seen.length, 100);
  });
  await check('reads one partition key', async () => {
    const { changes } = await drain(feed, start.Beginning('k3'));
    assert.equal(changes.length, 10);
  });
  await check('goes around the ranges breadth first', async () => {
    const iterator = feed.items.getChangeFeedIterator({
      changeFeedStartFrom: start.Beginning(),
      maxItemCount: 1,
    });
    const rangeOf = async () => (await iterator.readNext()).headers['x-ms-documentdb-partitionkeyrangeid'];
    assert.notEqual(await rangeOf(), await rangeOf());
  });
  await check('starts now, and goes on from a continuation', async () => {
    const { changes, continuation } = await drain(feed, start.Now());
    assert.deepEqual(changes, []);
    await feed.items.upsert({ id: 'new-1', pk: 'x' });
    await feed.items.upsert({ id: 'new-2', pk: 'y' });
    const next = await drain(feed, start.Continuation(continuation));
    assert.deepEqual(new Set(next.changes.map(({ id }) => id)), new Set(['new-1', 'new-2']));
  });
  await check('tells the latest version of an item once', async () => {
    for (let v = 0; v < 5; v++) await feed.items.upsert({ id: 'latest', pk: 'latest', v });
    const { changes } = await drain(feed, start.Beginning('latest'));
    assert.deepEqual(
      changes.map(({ v }) => v),
      [4],
    );
  });
  await check('does not tell what was deleted', async () => {
    await feed.items.create({ id: 'deleted', pk: 'deleted' });
    await feed.item('deleted', 'deleted').delete();
    assert.deepEqual((await drain(feed, start.Beginning('deleted'))).changes, []);
  });
  await check('starts at a time', async () => {
    await delay(1_100);
    const from = new Date();
    await delay(1_100);
    await feed.items.upsert({ id: 'timed', pk: 'timed' });
    const { changes } = await drain(feed, start.Time(from));
    assert.deepEqual(
      changes.map(({ id }) => id),
      ['timed'],
    );
  });
  await check('tells every version and delete, in order', async () => {
    const full = await container('versions', {
      throughput: 400,
      changeFeedPolicy: new ChangeFeedPolicy(ChangeFeedRetentionTimeSpan.fromMinutes(5)),
    });
    const mode = { changeFeedMode: ChangeFeedMode.AllVersionsAndDeletes };
    const { continuation } = await drain(full, start.Now(), mode);
    await full.items.create({ id: '1', pk: 'a', v: 1 });
    await full.item('1', 'a').replace({ id: '1', pk: 'a', v: 2 });
    await full.item('1', 'a').delete();
    const { changes } = await drain(full, start.Continuation(continuation), mode);
    assert.deepEqual(
      changes.map(({ metadata }) => metadata.operationType),
      ['create', 'replace', 'delete'],
    );
    assert.deepEqual(
      changes.slice(0, 2).map(({ current }) => current.v),
      [1, 2],
    );
  });
  await check('serves the older call items.changeFeed', async () => {
    const page = await feed.items.changeFeed('k3', { startFromBeginning: true }).fetchNext();
    assert.equal(page.count, 10);
  });
}
