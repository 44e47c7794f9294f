import assert from 'node:assert/strict';
import { ChangeFeedStartFrom, PartitionKeyKind } from '@azure/cosmos';

const KINDS = [
  ['of version 1', { paths: ['/name'], version: 1 }],
  ['without a version', { paths: ['/name'] }],
  ['of version 2', { paths: ['/name'], version: 2 }],
  ['hierarchical with one path', { paths: ['/name'], kind: PartitionKeyKind.MultiHash, version: 2 }],
];

async function countChanges(container, from) {
  const iterator = container.items.getChangeFeedIterator({
    changeFeedStartFrom: ChangeFeedStartFrom.Beginning(from),
  });
  let count = 0;
  for (;;) {
    const page = await iterator.readNext();
    if (page.statusCode === 304) return count;
    count += page.result.length;
  }
}

/** Every kind of partition key: the SDK hashes on its side for bulk, so that a difference shows as a lost item. */
export async function checkPartitionKeys({ check, container }) {
  for (const [index, [title, partitionKey]] of KINDS.entries()) {
    const keyOf = (name) => (partitionKey.kind === undefined ? name : [name]);
    const made = await container(`key-${index}`, { partitionKey, throughput: 21_000 });
    await check(`key ${title}: bulk writes are found by point reads`, async () => {
      const results = await made.items.bulk(
        Array.from({ length: 40 }, (_, i) => ({
          operationType: 'Create',
          resourceBody: { id: `b${i}`, name: `n${i}` },
        })),
      );
      assert.ok(results.every(({ statusCode }) => statusCode === 201));
      for (let i = 0; i < 40; i += 7)
        assert.equal((await made.item(`b${i}`, keyOf(`n${i}`)).read()).statusCode, 200);
    });
    await check(`key ${title}: the feed of one key, and of all`, async () => {
      assert.equal(await countChanges(made, keyOf('n7')), 1);
      assert.equal(await countChanges(made), 40);
    });
    await check(`key ${title}: a query of one key, and of all`, async () => {
      const count = async (options) =>
        (await made.items.query('SELECT VALUE COUNT(1) FROM c', options).fetchAll()).resources;
      assert.deepEqual(await count({ partitionKey: keyOf('n7') }), [1]);
      assert.deepEqual(await count(), [40]);
    });
  }

  const tree = await container('key-tree', {
    partitionKey: { paths: ['/t', '/u', '/s'], kind: PartitionKeyKind.MultiHash, version: 2 },
    throughput: 21_000,
  });
  for (const [id, t, u] of [
    ['1', 'T', 'U'],
    ['2', 'T', 'V'],
    ['3', 'X', 'V'],
  ])
    await tree.items.create({ id, t, u, s: 'S' });
  await check('hierarchical key: point read by all its parts', async () => {
    assert.equal((await tree.item('1', ['T', 'U', 'S']).read()).resource.id, '1');
  });
  await check('hierarchical key: query by a prefix', async () => {
    const { resources } = await tree.items
      .query('SELECT VALUE c.id FROM c', { partitionKey: ['T'] })
      .fetchAll();
    assert.deepEqual(resources.sort(), ['1', '2']);
  });
  await check('hierarchical key: change feed of a prefix', async () => {
    assert.equal(await countChanges(tree, ['T']), 2);
    assert.equal(await countChanges(tree, ['T', 'V', 'S']), 1);
  });
  await check('hierarchical key: transactional batch', async () => {
    const { result } = await tree.items.batch(
      [
        { operationType: 'Upsert', resourceBody: { id: '4', t: 'A', u: 'B', s: 'C' } },
        { operationType: 'Delete', id: 'none' },
      ],
      ['A', 'B', 'C'],
    );
    assert.deepEqual(
      result.map(({ statusCode }) => statusCode),
      [424, 404],
    );
  });
  await check('hierarchical key: executeBulkOperations', async () => {
    const results = await tree.items.executeBulkOperations([
      {
        operationType: 'Create',
        partitionKey: ['A', 'B', 'C'],
        resourceBody: { id: '5', t: 'A', u: 'B', s: 'C' },
      },
      { operationType: 'Read', id: '1', partitionKey: ['T', 'U', 'S'] },
      { operationType: 'Delete', id: '3', partitionKey: ['X', 'V', 'S'] },
    ]);
    assert.deepEqual(
      results.map(({ response }) => response?.statusCode),
      [201, 200, 204],
    );
  });
}
