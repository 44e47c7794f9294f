import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** Point operations, conditions, patches, limits, expiry. */
export async function checkItems({ check, container }) {
  const items = await container('items');
  const read = async (id, pk) => (await items.item(id, pk).read()).resource;

  await check('creates an item with system properties, charge and session token', async () => {
    const created = await items.items.create({ id: 'a', pk: 'p1', n: 1 });
    assert.equal(created.statusCode, 201);
    assert.ok(created.requestCharge > 0);
    assert.ok(created.headers['x-ms-session-token']);
    for (const property of ['_rid', '_self', '_etag', '_ts', '_attachments'])
      assert.ok(property in created.resource, property);
  });
  await check('makes an id when there is none', async () => {
    const { resource } = await items.items.create({ pk: 'p1' });
    assert.match(resource.id, /^[0-9a-f-]{36}$/);
    await items.item(resource.id, 'p1').delete();
  });
  await check('refuses the same id under the same key with 409', async () => {
    await assert.rejects(items.items.create({ id: 'a', pk: 'p1' }), { code: 409 });
  });
  await check('takes the same id under another key', async () => {
    await items.items.create({ id: 'a', pk: 'p2', n: 2 });
    assert.equal((await read('a', 'p1')).n, 1);
    assert.equal((await read('a', 'p2')).n, 2);
  });
  await check('reads an item with its etag', async () => {
    const { statusCode, etag, resource } = await items.item('a', 'p1').read();
    assert.equal(statusCode, 200);
    assert.equal(etag, resource._etag);
  });
  await check('answers 404 without a resource for an item that is not there', async () => {
    const { statusCode, resource } = await items.item('none', 'p1').read();
    assert.equal(statusCode, 404);
    assert.equal(resource, undefined);
  });
  await check('answers 304 to If-None-Match with the current etag', async () => {
    const { etag } = await items.item('a', 'p1').read();
    const accessCondition = { type: 'IfNoneMatch', condition: etag };
    assert.equal((await items.item('a', 'p1').read({ accessCondition })).statusCode, 304);
  });
  await check('upserts: 201 for a new item, 200 for a known one', async () => {
    assert.equal((await items.items.upsert({ id: 'u', pk: 'p1', v: 1 })).statusCode, 201);
    const again = await items.items.upsert({ id: 'u', pk: 'p1', v: 2 });
    assert.equal(again.statusCode, 200);
    assert.equal(again.resource.v, 2);
  });
  await check('replaces an item, and changes its etag', async () => {
    const { etag } = await items.item('u', 'p1').read();
    const replaced = await items.item('u', 'p1').replace({ id: 'u', pk: 'p1', v: 3 });
    assert.equal(replaced.statusCode, 200);
    assert.notEqual(replaced.etag, etag);
  });
  await check('answers 404 to the replacement of an item that is not there', async () => {
    await assert.rejects(items.item('none', 'p1').replace({ id: 'none', pk: 'p1' }), { code: 404 });
  });
  await check('refuses a stale If-Match with 412, and takes a current one', async () => {
    const replace = (condition) =>
      items
        .item('u', 'p1')
        .replace({ id: 'u', pk: 'p1', v: 5 }, { accessCondition: { type: 'IfMatch', condition } });
    await assert.rejects(replace('"stale"'), { code: 412 });
    assert.equal((await replace((await items.item('u', 'p1').read()).etag)).statusCode, 200);
  });
  await check('refuses a delete with a stale If-Match', async () => {
    const accessCondition = { type: 'IfMatch', condition: '"stale"' };
    await assert.rejects(items.item('u', 'p1').delete({ accessCondition }), { code: 412 });
  });
  await check('patches: add, append, set, increment, replace, remove', async () => {
    const { resource } = await items.item('u', 'p1').patch([
      { op: 'add', path: '/list', value: [1, 2] },
      { op: 'add', path: '/list/-', value: 3 },
      { op: 'set', path: '/o', value: { x: 1, y: 1 } },
      { op: 'incr', path: '/v', value: 2 },
      { op: 'replace', path: '/o/x', value: 9 },
      { op: 'remove', path: '/o/y' },
    ]);
    assert.deepEqual(resource.list, [1, 2, 3]);
    assert.deepEqual(resource.o, { x: 9 });
    assert.equal(resource.v, 7);
  });
  await check('moves a property by patch', async () => {
    const { resource } = await items.item('u', 'p1').patch([{ op: 'move', from: '/o', path: '/moved' }]);
    assert.deepEqual(resource.moved, { x: 9 });
    assert.equal(resource.o, undefined);
  });
  await check('patches under a condition only when it holds', async () => {
    const patch = (condition) =>
      items.item('u', 'p1').patch({ condition, operations: [{ op: 'incr', path: '/v', value: 1 }] });
    await assert.rejects(patch('FROM c WHERE c.v = 1'), { code: 412 });
    assert.equal((await patch('FROM c WHERE c.v = 7')).resource.v, 8);
  });
  await check('refuses a patch of the key, the id or a missing path with 400', async () => {
    for (const operation of [
      { op: 'set', path: '/pk', value: 'other' },
      { op: 'set', path: '/id', value: 'other' },
      { op: 'replace', path: '/missing', value: 1 },
    ])
      await assert.rejects(items.item('u', 'p1').patch([operation]), { code: 400 });
  });
  await check('refuses a patch of more than ten operations', async () => {
    const operations = Array.from({ length: 11 }, () => ({ op: 'incr', path: '/v', value: 1 }));
    await assert.rejects(items.item('u', 'p1').patch(operations), { code: 400 });
  });
  await check('deletes an item once', async () => {
    assert.equal((await items.item('u', 'p1').delete()).statusCode, 204);
    await assert.rejects(items.item('u', 'p1').delete(), { code: 404 });
  });
  await check('refuses an item above 2 MB with 413', async () => {
    await assert.rejects(items.items.create({ id: 'big', pk: 'p1', x: 'y'.repeat(2_200_000) }), {
      code: 413,
    });
  });
  await check('keeps an item just below 2 MB', async () => {
    await items.items.create({ id: 'large', pk: 'p1', x: 'y'.repeat(2_000_000) });
    assert.equal((await read('large', 'p1')).x.length, 2_000_000);
    await items.item('large', 'p1').delete();
  });
  await check('keeps ids and values of any script', async () => {
    for (const id of ['\u00fc \u6f22 %20+&', "it's", 'a.b~c(d)', '\u{1f600}']) {
      await items.items.create({ id, pk: id, text: '\u2028\u0000\ud83d\ude00' });
      assert.equal((await read(id, id)).text, '\u2028\u0000\ud83d\ude00');
      await items.item(id, id).delete();
    }
  });
  await check('keeps numbers, nesting and empty values as they are', async () => {
    const value = { f: 0.1, e: 1e21, n: -0.5, z: 0, big: 9007199254740991, o: {}, l: [], x: null, t: '' };
    await items.items.create({ id: 'values', pk: 'p1', value });
    assert.deepEqual((await read('values', 'p1')).value, value);
  });
  await check('keeps keys apart by type: text, number, boolean, null, none', async () => {
    const keys = ['1', 1, true, null, undefined];
    for (const [index, pk] of keys.entries())
      await items.items.create({ id: 'typed', index, ...(pk !== undefined && { pk }) });
    for (const [index, pk] of keys.entries()) assert.equal((await read('typed', pk)).index, index);
  });
  await check('reads many items page by page', async () => {
    const iterator = items.items.readAll({ maxItemCount: 3 });
    let count = 0;
    while (iterator.hasMoreResults()) count += (await iterator.fetchNext()).resources?.length ?? 0;
    assert.equal(count, (await items.items.readAll().fetchAll()).resources.length);
  });
  await check('deletes all items of a partition key', async () => {
    await items.items.create({ id: '1', pk: 'gone' });
    await items.items.create({ id: '2', pk: 'gone' });
    await items.deleteAllItemsForPartitionKey('gone');
    const { resources } = await items.items.query('SELECT * FROM c', { partitionKey: 'gone' }).fetchAll();
    assert.deepEqual(resources, []);
  });
  await check('forgets an item after its time to live', async () => {
    const expiring = await container('expiring', { defaultTtl: -1 });
    await expiring.items.create({ id: 'short', pk: 'a', ttl: 1 });
    await expiring.items.create({ id: 'long', pk: 'a' });
    await delay(2_100);
    assert.equal((await expiring.item('short', 'a').read()).statusCode, 404);
    assert.equal((await expiring.item('long', 'a').read()).statusCode, 200);
  });
  await check('refuses a second value of a unique key under the same partition key', async () => {
    const unique = await container('unique', {
      uniqueKeyPolicy: { uniqueKeys: [{ paths: ['/email'] }] },
    });
    await unique.items.create({ id: '1', pk: 'a', email: 'x' });
    await assert.rejects(unique.items.create({ id: '2', pk: 'a', email: 'x' }), { code: 409 });
    assert.equal((await unique.items.create({ id: '2', pk: 'b', email: 'x' })).statusCode, 201);
  });
}
