import assert from 'node:assert/strict';

const statuses = (results) => results.map(({ statusCode }) => statusCode);

/** Transactional batches and the two bulk calls of the SDK. */
export async function checkBatches({ check, container }) {
  const { items, item } = await container('batches').then((made) => ({
    items: made.items,
    item: made.item.bind(made),
  }));

  await check('runs a transactional batch of every operation', async () => {
    const { code, result } = await items.batch(
      [
        { operationType: 'Create', resourceBody: { id: 'b1', pk: 'p', v: 1 } },
        { operationType: 'Upsert', resourceBody: { id: 'b2', pk: 'p' } },
        { operationType: 'Replace', id: 'b1', resourceBody: { id: 'b1', pk: 'p', v: 2 } },
        {
          operationType: 'Patch',
          id: 'b1',
          resourceBody: { operations: [{ op: 'incr', path: '/v', value: 5 }] },
        },
        { operationType: 'Read', id: 'b1' },
        { operationType: 'Delete', id: 'b2' },
      ],
      'p',
    );
    assert.equal(code, 200);
    assert.deepEqual(statuses(result), [201, 201, 200, 200, 200, 204]);
    assert.equal(result[4].resourceBody.v, 7);
  });
  await check('takes back a batch when one operation fails', async () => {
    const { code, result } = await items.batch(
      [
        { operationType: 'Create', resourceBody: { id: 'b9', pk: 'p' } },
        { operationType: 'Create', resourceBody: { id: 'b1', pk: 'p' } },
      ],
      'p',
    );
    assert.equal(code, 207);
    assert.deepEqual(statuses(result), [424, 409]);
    assert.equal((await item('b9', 'p').read()).statusCode, 404);
  });
  await check('obeys If-Match within a batch', async () => {
    const { result } = await items.batch(
      [{ operationType: 'Replace', id: 'b1', ifMatch: '"stale"', resourceBody: { id: 'b1', pk: 'p' } }],
      'p',
    );
    assert.deepEqual(statuses(result), [412]);
  });
  await check('refuses a batch over two partition keys, in the words of the service', async () => {
    const mixed = items.batch(
      [
        { operationType: 'Create', resourceBody: { id: 'm1', pk: 'p' }, partitionKey: 'p' },
        { operationType: 'Create', resourceBody: { id: 'm2', pk: 'p' }, partitionKey: 'other' },
      ],
      'p',
    );
    await assert.rejects(mixed, /have a different partition key value than the request/);
  });
  await check('refuses a batch of more than 100 operations', async () => {
    const operations = Array.from({ length: 101 }, (_, i) => ({
      operationType: 'Create',
      resourceBody: { id: `many-${i}`, pk: 'p' },
    }));
    await assert.rejects(items.batch(operations, 'p'), /more than 100 operations/);
  });
  await check('runs bulk operations over many keys', async () => {
    const results = await items.bulk(
      Array.from({ length: 90 }, (_, i) => ({
        operationType: 'Upsert',
        resourceBody: { id: `k${i}`, pk: `bulk-${i}`, v: i },
      })),
    );
    assert.equal(results.length, 90);
    assert.ok(results.every(({ statusCode, requestCharge }) => statusCode === 201 && requestCharge > 0));
  });
  await check('answers each bulk operation by itself', async () => {
    const results = await items.bulk([
      { operationType: 'Read', id: 'k1', partitionKey: 'bulk-1' },
      {
        operationType: 'Patch',
        id: 'k1',
        partitionKey: 'bulk-1',
        resourceBody: { operations: [{ op: 'incr', path: '/v', value: 1 }] },
      },
      { operationType: 'Delete', id: 'k2', partitionKey: 'bulk-2' },
      {
        operationType: 'Replace',
        id: 'k3',
        partitionKey: 'bulk-3',
        resourceBody: { id: 'k3', pk: 'bulk-3' },
      },
      { operationType: 'Create', resourceBody: { id: 'k4', pk: 'bulk-4' } },
      { operationType: 'Read', id: 'none', partitionKey: 'bulk-1' },
    ]);
    assert.deepEqual(statuses(results), [200, 200, 204, 200, 409, 404]);
  });
  await check('leaves bodies out of a bulk answer when they are not asked for', async () => {
    const [result] = await items.bulk(
      [{ operationType: 'Upsert', resourceBody: { id: 'quiet', pk: 'quiet' } }],
      {},
      { contentResponseOnWriteEnabled: false },
    );
    assert.equal(result.resourceBody, undefined);
  });
  await check('runs executeBulkOperations', async () => {
    const results = await items.executeBulkOperations(
      Array.from({ length: 250 }, (_, i) => ({
        operationType: 'Create',
        partitionKey: `e${i}`,
        resourceBody: { id: `e${i}`, pk: `e${i}` },
      })),
    );
    assert.ok(results.every(({ response }) => response?.statusCode === 201));
  });
  await check('executeBulkOperations takes a number as key', async () => {
    const [{ response }] = await items.executeBulkOperations([
      { operationType: 'Create', partitionKey: 5, resourceBody: { id: 'n5', pk: 5 } },
    ]);
    assert.equal(response.statusCode, 201);
    assert.equal((await item('n5', 5).read()).statusCode, 200);
  });
  await check('executeBulkOperations reports an operation that is too large', async () => {
    const [{ error }] = await items.executeBulkOperations([
      {
        operationType: 'Create',
        partitionKey: 'k',
        resourceBody: { id: 'huge', pk: 'k', x: 'a'.repeat(2_400_000) },
      },
    ]);
    assert.equal(error?.code, 413);
    assert.match(error.message, /Request size is too large/);
  });
  await check('executeBulkOperations takes ten operations of 110 KB', async () => {
    const results = await items.executeBulkOperations(
      Array.from({ length: 10 }, (_, i) => ({
        operationType: 'Create',
        partitionKey: 'wide',
        resourceBody: { id: `w${i}`, pk: 'wide', x: 'a'.repeat(110_000) },
      })),
    );
    assert.ok(results.every(({ response }) => response?.statusCode === 201));
  });
}
