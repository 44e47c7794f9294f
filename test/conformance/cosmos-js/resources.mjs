import assert from 'node:assert/strict';

/** Account, databases, containers, sign-in. */
export async function checkResources({ check, skip, client, connect, container, database }) {
  await check('reads the account, which lists one region for reads and writes', async () => {
    const { resource } = await client.getDatabaseAccount();
    assert.equal(resource.writableLocations.length, 1);
    assert.equal(resource.readableLocations.length, 1);
    assert.ok(resource.consistencyPolicy);
  });
  await check('refuses a wrong key with 401', async () => {
    const stranger = connect({ key: Buffer.alloc(64).toString('base64') });
    await assert.rejects(stranger.database(database.id).read(), { code: 401 });
    stranger.dispose();
  });
  await check('creates a database once', async () => {
    assert.equal((await client.databases.createIfNotExists({ id: 'once' })).statusCode, 201);
    assert.equal((await client.databases.createIfNotExists({ id: 'once' })).statusCode, 200);
    await assert.rejects(client.databases.create({ id: 'once' }), { code: 409 });
  });
  await check('lists databases', async () => {
    const { resources } = await client.databases.readAll().fetchAll();
    assert.ok(resources.some(({ id }) => id === 'once'));
  });
  await check('queries databases with a parameter', async () => {
    const { resources } = await client.databases
      .query({ query: 'SELECT * FROM r WHERE r.id = @id', parameters: [{ name: '@id', value: 'once' }] })
      .fetchAll();
    assert.deepEqual(
      resources.map(({ id }) => id),
      ['once'],
    );
  });
  await check('reads a database, and answers 404 for one that is not there', async () => {
    assert.equal((await client.database('once').read()).resource.id, 'once');
    await assert.rejects(client.database('nowhere').read(), { code: 404 });
  });
  await check('deletes a database with what is in it', async () => {
    await client.database('once').containers.create({ id: 'c', partitionKey: '/pk' });
    assert.equal((await client.database('once').delete()).statusCode, 204);
    await assert.rejects(client.database('once').container('c').read(), { code: 404 });
  });
  await check('refuses an id with a slash, a question mark or a hash', async () => {
    // The SDK checks this itself, and throws no Error.
    for (const id of ['a/b', 'a?b', 'a#b'])
      await assert.rejects(client.databases.create({ id }), ({ message }) => /illegal/.test(message));
  });

  const made = await container('made', { defaultTtl: 60 });
  await check('creates a container once', async () => {
    const again = await database.containers.createIfNotExists({ id: 'made', partitionKey: '/pk' });
    assert.equal(again.statusCode, 200);
    await assert.rejects(database.containers.create({ id: 'made', partitionKey: '/pk' }), { code: 409 });
  });
  await check('reads a container with its indexing policy, key and time to live', async () => {
    const { resource } = await made.read();
    assert.deepEqual(resource.partitionKey.paths, ['/pk']);
    assert.equal(resource.defaultTtl, 60);
    assert.equal(resource.indexingPolicy.indexingMode, 'consistent');
    assert.match(resource._self, /^dbs\/.+\/colls\/.+\/$/);
  });
  await check('replaces time to live and indexing policy', async () => {
    const { resource } = await made.read();
    const excludedPaths = [{ path: '/blob/*' }];
    const { resource: replaced } = await made.replace({
      ...resource,
      defaultTtl: 100,
      indexingPolicy: { ...resource.indexingPolicy, excludedPaths },
    });
    assert.equal(replaced.defaultTtl, 100);
    assert.ok(replaced.indexingPolicy.excludedPaths.some(({ path }) => path === '/blob/*'));
  });
  await check('refuses to change the partition key of a container', async () => {
    const { resource } = await made.read();
    await assert.rejects(made.replace({ ...resource, partitionKey: { paths: ['/other'], version: 2 } }), {
      code: 400,
    });
  });
  await check('lists and queries containers', async () => {
    const { resources } = await database.containers.readAll().fetchAll();
    assert.ok(resources.some(({ id }) => id === 'made'));
    const found = await database.containers.query("SELECT * FROM c WHERE c.id = 'made'").fetchAll();
    assert.equal(found.resources.length, 1);
  });
  await check('tells the partition key ranges, from the first hash to the last', async () => {
    const { resources } = await made.readPartitionKeyRanges().fetchAll();
    assert.equal(resources.length, 2);
    const inOrder = resources.toSorted((a, b) => (a.minInclusive < b.minInclusive ? -1 : 1));
    assert.equal(inOrder[0].minInclusive, '');
    assert.equal(inOrder[0].maxExclusive, inOrder[1].minInclusive);
    assert.equal(inOrder[1].maxExclusive, 'FF');
  });
  await check('gives as many feed ranges as ranges', async () => {
    assert.equal((await made.getFeedRanges()).length, 2);
  });
  await check('deletes a container', async () => {
    assert.equal((await made.delete()).statusCode, 204);
    await assert.rejects(made.read(), { code: 404 });
    await assert.rejects(made.items.create({ id: '1', pk: 'a' }), { code: 404 });
  });
  await check('serves a container that was made again under the name of a deleted one', async () => {
    const again = await container('made');
    assert.equal((await again.items.create({ id: '1', pk: 'a' })).statusCode, 201);
  });
  const missing = 'the embedded server documents that it has none (src/local/cosmos/README.md, Deviations)';
  for (const feature of ['stored procedures', 'triggers', 'user-defined functions', 'users and permissions'])
    skip(feature, missing);
}
