// The previous major version of the SDK, @azure/cosmos 3.17.3, against the embedded Cosmos DB: another client on the same wire.
// It refuses to speak without TLS.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Unavailable } from '../suite.mjs';

const VERSION = '3.17.3';

export async function run({ check, folder, server }) {
  const { CosmosClient } = install(folder);
  const { startCosmos } = await server('local/cosmos/index');
  const { selfSignedCertificate } = await server('local/tls/certificate');
  const certificate = selfSignedCertificate('127.0.0.1', Date.now());
  const service = await startCosmos({ certificate });
  const common = {
    endpoint: `https://localhost:${service.port}`,
    agent: new Agent({ ca: certificate.certificate, keepAlive: true }),
  };
  const { COSMOS_KEY: key } = service.environment;
  const client = new CosmosClient({ ...common, key });
  const { database } = await client.databases.createIfNotExists({ id: 'v3' });
  const { container } = await database.containers.createIfNotExists({
    id: 'c',
    partitionKey: { paths: ['/pk'] },
    throughput: 12_000,
  });
  const { items } = container;
  const all = async (query, options) => (await items.query(query, options).fetchAll()).resources;

  await check('reads the account', async () => {
    assert.equal((await client.getDatabaseAccount()).resource.writableLocations.length, 1);
  });
  await check('lists databases and containers', async () => {
    assert.ok((await client.databases.readAll().fetchAll()).resources.some(({ id }) => id === 'v3'));
    assert.equal((await database.containers.readAll().fetchAll()).resources.length, 1);
  });
  await check('refuses a wrong key', async () => {
    const stranger = new CosmosClient({ ...common, key: Buffer.alloc(64).toString('base64') });
    await assert.rejects(stranger.database('v3').read(), { code: 401 });
  });
  await check('tells partition key ranges', async () => {
    assert.equal((await container.readPartitionKeyRanges().fetchAll()).resources.length, 2);
  });
  await check('creates, reads, replaces, deletes an item', async () => {
    assert.equal((await items.create({ id: 'a', pk: 'p', v: 1 })).statusCode, 201);
    assert.equal((await container.item('a', 'p').read()).resource.v, 1);
    assert.equal((await container.item('a', 'p').replace({ id: 'a', pk: 'p', v: 2 })).resource.v, 2);
    assert.equal((await container.item('a', 'p').delete()).statusCode, 204);
    assert.equal((await container.item('a', 'p').read()).statusCode, 404);
  });
  await check('upserts: 201, then 200', async () => {
    assert.equal((await items.upsert({ id: 'u', pk: 'p' })).statusCode, 201);
    assert.equal((await items.upsert({ id: 'u', pk: 'p', v: 1 })).statusCode, 200);
  });
  await check('refuses a second item of an id with 409', async () => {
    await assert.rejects(items.create({ id: 'u', pk: 'p' }), { code: 409 });
  });
  await check('refuses a stale etag with 412', async () => {
    const accessCondition = { type: 'IfMatch', condition: '"stale"' };
    const stale = container.item('u', 'p').replace({ id: 'u', pk: 'p' }, { accessCondition });
    await assert.rejects(stale, { code: 412 });
  });
  await check('patches', async () => {
    const { resource } = await container.item('u', 'p').patch([{ op: 'incr', path: '/v', value: 4 }]);
    assert.equal(resource.v, 5);
  });
  await check('refuses an item above 2 MB with 413', async () => {
    await assert.rejects(items.create({ id: 'big', pk: 'p', x: 'y'.repeat(2_200_000) }), { code: 413 });
  });
  await check('runs bulk operations, hashed as version 1', async () => {
    const results = await items.bulk(
      Array.from({ length: 60 }, (_, i) => ({
        operationType: 'Create',
        resourceBody: { id: `q${i}`, pk: `k${i % 7}`, i, g: i % 3 },
      })),
    );
    assert.ok(results.every(({ statusCode }) => statusCode === 201));
    assert.equal((await container.item('q8', 'k1').read()).resource.i, 8);
  });
  await check('runs a transactional batch, and takes back one that fails', async () => {
    const create = (id) => ({ operationType: 'Create', resourceBody: { id, pk: 'b' } });
    assert.equal((await items.batch([create('1'), create('2')], 'b')).code, 200);
    assert.equal((await items.batch([create('3'), create('1')], 'b')).code, 207);
    assert.equal((await container.item('3', 'b').read()).statusCode, 404);
  });
  for (const [title, query, expected] of [
    ['filters', 'SELECT VALUE c.i FROM c WHERE c.i = 7', [7]],
    ['sorts', 'SELECT VALUE c.i FROM c WHERE c.i < 4 ORDER BY c.i DESC', [3, 2, 1, 0]],
    ['takes the top', 'SELECT TOP 2 VALUE c.i FROM c WHERE IS_DEFINED(c.i) ORDER BY c.i', [0, 1]],
    ['skips and limits', 'SELECT VALUE c.i FROM c WHERE c.i >= 0 ORDER BY c.i OFFSET 3 LIMIT 2', [3, 4]],
    ['counts', 'SELECT VALUE COUNT(1) FROM c WHERE c.i >= 0', [60]],
    ['sums', 'SELECT VALUE SUM(c.i) FROM c', [1770]],
    ['averages', 'SELECT VALUE AVG(c.i) FROM c', [29.5]],
    ['finds the smallest', 'SELECT VALUE MIN(c.i) FROM c', [0]],
    ['finds the largest', 'SELECT VALUE MAX(c.i) FROM c', [59]],
  ])
    for (const options of [{}, { forceQueryPlan: true, maxItemCount: 5 }])
      await check(`${title} ${JSON.stringify(options)}`, async () => {
        assert.deepEqual(await all(query, options), expected);
      });
  await check('groups', async () => {
    const groups = await all('SELECT c.g, COUNT(1) AS n FROM c WHERE IS_DEFINED(c.g) GROUP BY c.g');
    assert.deepEqual(
      groups.toSorted((a, b) => a.g - b.g),
      [0, 1, 2].map((g) => ({ g, n: 20 })),
    );
  });
  await check('stays within a partition key, page by page', async () => {
    const options = { partitionKey: 'k1', maxItemCount: 4 };
    const first = await items.query('SELECT VALUE c.i FROM c', options).fetchNext();
    const { continuationToken } = first;
    const second = await items
      .query('SELECT VALUE c.i FROM c', { ...options, continuationToken })
      .fetchNext();
    assert.equal(new Set([...first.resources, ...second.resources]).size, 8);
  });
  await check('refuses what is not SQL with 400', async () => {
    await assert.rejects(all('SELEC nope'), { code: 400 });
  });
  await check('reads the change feed of a partition key from the beginning', async () => {
    const page = await items.changeFeed('k1', { startFromBeginning: true }).fetchNext();
    assert.equal(page.count, 9);
  });
  await check('goes on with the change feed from a continuation', async () => {
    const { continuation } = await items.changeFeed('k1', { startFromBeginning: true }).fetchNext();
    await items.create({ id: 'later', pk: 'k1' });
    const page = await items.changeFeed('k1', { continuation }).fetchNext();
    assert.deepEqual(
      page.result.map(({ id }) => id),
      ['later'],
    );
  });
  await check('reads and replaces an offer', async () => {
    const { resource } = await container.readOffer();
    resource.content.offerThroughput = 10_000;
    const replaced = await client.offer(resource.id).replace(resource);
    assert.equal(replaced.resource.content.offerThroughput, 10_000);
  });
  await check('deletes container and database', async () => {
    assert.equal((await container.delete()).statusCode, 204);
    assert.equal((await database.delete()).statusCode, 204);
  });
  client.dispose();
  await service.stop();
  await service.stop();
}

/** Installs the package into the ignored folder, once. */
function install(folder) {
  if (!existsSync(join(folder, 'node_modules/@azure/cosmos'))) {
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    const { status } = spawnSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--no-save', `@azure/cosmos@${VERSION}`],
      { cwd: folder, stdio: 'ignore' },
    );
    if (status !== 0) throw new Unavailable(`@azure/cosmos@${VERSION} could not be installed from npm`);
  }
  return createRequire(join(folder, 'package.json'))('@azure/cosmos');
}
