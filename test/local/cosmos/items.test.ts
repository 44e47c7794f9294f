import { CosmosClient } from '@azure/cosmos';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';
import { clientOf, connect, createContainer, raw } from './sdk.ts';

describe('account', () => {
  it('advertises the address that the client used', async () => {
    const { service, client } = await connect();
    const { resource } = await client.getDatabaseAccount();
    expect(resource?.writableLocations[0]?.databaseAccountEndpoint).toBe(
      service.environment['COSMOS_ENDPOINT'],
    );
  });

  it('refuses a wrong key with 401, and a request without one', async () => {
    const { service, client } = await connect();
    await client.databases.create({ id: 'db' });
    const key = Buffer.alloc(64).toString('base64');
    const stranger = new CosmosClient({ endpoint: service.environment['COSMOS_ENDPOINT'] as string, key });
    await expect(stranger.database('db').read()).rejects.toMatchObject({ code: 401 });
    stranger.dispose();
    expect((await raw(service, '/dbs')).status).toBe(401);
  });

  it('connects by the connection string it prints', async () => {
    const { service } = await connect();
    const client = new CosmosClient(service.environment['COSMOS_CONNECTION_STRING'] as string);
    expect((await client.databases.create({ id: 'x' })).statusCode).toBe(201);
    client.dispose();
  });
});

describe('containers', () => {
  it('creates, lists, replaces and deletes, and reports conflicts', async () => {
    const { client } = await connect();
    const container = await createContainer(client, { throughput: 20_000 });
    const { database } = container;
    await expect(database.containers.create({ id: 'c', partitionKey: '/pk' })).rejects.toMatchObject({
      code: 409,
    });
    expect((await container.readPartitionKeyRanges().fetchAll()).resources).toHaveLength(4);
    const { resource } = await container.read();
    const replaced = await container.replace({
      ...resource,
      id: 'c',
      partitionKey: { paths: ['/pk'] },
      defaultTtl: 60,
    });
    expect(replaced.resource?.defaultTtl).toBe(60);
    expect((await database.containers.readAll().fetchAll()).resources.map(({ id }) => id)).toEqual(['c']);
    await container.delete();
    await expect(container.read()).rejects.toMatchObject({ code: 404 });
    await database.delete();
    expect((await client.databases.readAll().fetchAll()).resources).toEqual([]);
  });

  it('survives names outside ASCII', async () => {
    const { client } = await connect();
    const container = await createContainer(client, { id: 'größe-测试' });
    expect((await container.items.create({ id: 'ключ', pk: 'ü' })).statusCode).toBe(201);
    expect((await container.item('ключ', 'ü').read()).resource?.id).toBe('ключ');
  });

  it.each([['a/b'], ['a?b'], ['a#b'], ['a ']])('refuses the id %j', async (id) => {
    const { client } = await connect();
    const container = await createContainer(client);
    await expect(container.items.create({ id, pk: 'a' })).rejects.toThrow();
  });

  it('reads and raises throughput through offers, with the floor that the maximum sets', async () => {
    const { client } = await connect();
    const container = await createContainer(client, { throughput: 10_000 });
    const { resource, offer } = await container.readOffer();
    expect(resource?.content?.offerThroughput).toBe(10_000);
    const content = { ...resource?.content, offerThroughput: 50_000 } as NonNullable<
      typeof resource
    >['content'];
    await offer?.replace({ ...resource, content } as NonNullable<typeof resource>);
    expect((await container.getFeedRanges()).length).toBe(5);
    const low = { ...resource, content: { ...content, offerThroughput: 400 } } as NonNullable<
      typeof resource
    >;
    await expect(offer?.replace(low)).rejects.toMatchObject({ code: 400 });
  });

  it('counts partitions of autoscale by its maximum', async () => {
    const { client } = await connect();
    const container = await createContainer(client, { maxThroughput: 20_000 });
    expect((await container.getFeedRanges()).length).toBe(2);
    const { resource } = await container.readOffer();
    expect(resource?.content?.offerAutopilotSettings).toMatchObject({ maxThroughput: 20_000 });
  });
});

describe('items', () => {
  it('creates, reads, replaces, upserts and deletes with etags and charges', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    const created = await container.items.create({ id: 'a', pk: 'p', n: 1 });
    expect(created.statusCode).toBe(201);
    // 4.95 for up to 1 KB and 0.2 for each of id, pk and n.
    expect(created.requestCharge).toBeCloseTo(5.55);
    await expect(container.items.create({ id: 'a', pk: 'p' })).rejects.toMatchObject({ code: 409 });
    const item = container.item('a', 'p');
    const read = await item.read();
    expect(read.resource).toMatchObject({ id: 'a', pk: 'p', n: 1, _etag: created.etag });
    expect(read.requestCharge).toBe(1);
    const unchanged = await item.read({ accessCondition: { type: 'IfNoneMatch', condition: created.etag } });
    expect(unchanged.statusCode).toBe(304);
    const stale = { accessCondition: { type: 'IfMatch', condition: '"stale"' } };
    await expect(item.replace({ id: 'a', pk: 'p', n: 2 }, stale)).rejects.toMatchObject({ code: 412 });
    const replaced = await item.replace(
      { ...created.resource, id: 'a', n: 2 },
      { accessCondition: { type: 'IfMatch', condition: created.etag } },
    );
    expect(replaced.resource?._rid).toBe(created.resource?._rid);
    // Two bases, and one term removed and one added.
    expect(replaced.requestCharge).toBeCloseTo(10.3);
    expect((await container.items.upsert({ id: 'a', pk: 'p' })).statusCode).toBe(200);
    expect((await container.items.upsert({ id: 'b', pk: 'p' })).statusCode).toBe(201);
    expect((await item.delete()).statusCode).toBe(204);
    expect(await item.read()).toMatchObject({ statusCode: 404, resource: undefined });
    await expect(item.delete()).rejects.toMatchObject({ code: 404 });
  });

  it('keeps the same id apart under different keys of any type', async () => {
    const { client } = await connect();
    const container = await createContainer(client, { throughput: 20_000 });
    const keys = ['1', 1, true, null, 1.5];
    for (const pk of keys) await container.items.create({ id: 'same', pk, own: String(pk) });
    for (const pk of keys)
      expect((await container.item('same', pk).read()).resource).toMatchObject({ pk, own: String(pk) });
    await container.items.create({ id: 'same' });
    expect((await container.items.readAll().fetchAll()).resources).toHaveLength(6);
  });

  it('patches with every operation and with a condition', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    await container.items.create({ id: 'a', pk: 'p', v: 5, list: [1, 2], o: { x: 1 } });
    const item = container.item('a', 'p');
    const { resource } = await item.patch([
      { op: 'add', path: '/list/-', value: 3 },
      { op: 'add', path: '/list/0', value: 0 },
      { op: 'set', path: '/new', value: { y: 1 } },
      { op: 'replace', path: '/o/x', value: 9 },
      { op: 'incr', path: '/v', value: -2 },
      { op: 'incr', path: '/count', value: 1 },
      // The service has it, the types of this SDK version do not.
      { op: 'move', from: '/o/x', path: '/moved' } as never,
      { op: 'remove', path: '/new' },
    ]);
    expect(resource).toMatchObject({ list: [0, 1, 2, 3], v: 3, count: 1, moved: 9, o: {} });
    expect(resource).not.toHaveProperty('new');
    const failing = {
      condition: 'from c where c.v > 100',
      operations: [{ op: 'remove' as const, path: '/v' }],
    };
    await expect(item.patch(failing)).rejects.toMatchObject({ code: 412 });
    await expect(item.patch([{ op: 'replace', path: '/none/x', value: 1 }])).rejects.toMatchObject({
      code: 400,
    });
    await expect(item.patch([{ op: 'set', path: '/pk', value: 'other' }])).rejects.toMatchObject({
      code: 400,
    });
  });

  it('refuses an item over 2 MB with 413 and takes one just below', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    await expect(
      container.items.create({ id: 'big', pk: 'p', text: 'x'.repeat(2 * 1024 * 1024) }),
    ).rejects.toMatchObject({ code: 413 });
    const fits = await container.items.create({ id: 'fits', pk: 'p', text: 'é'.repeat(1024 * 1024 - 50) });
    expect(fits.statusCode).toBe(201);
  });

  it('expires items by ttl, the default or their own', async () => {
    const startMs = Date.now();
    let nowMs = startMs;
    const { client } = await connect({ clock: { ...systemClock, epochMicros: () => nowMs * 1000 } });
    const container = await createContainer(client, { defaultTtl: 100 });
    await container.items.create({ id: 'short', pk: 'p', ttl: 5 });
    await container.items.create({ id: 'default', pk: 'p' });
    await container.items.create({ id: 'forever', pk: 'p', ttl: -1 });
    nowMs = startMs + 10_000;
    expect((await container.items.readAll().fetchAll()).resources.map(({ id }) => id)).toEqual([
      'default',
      'forever',
    ]);
    nowMs = startMs + 200_000;
    expect((await container.item('default', 'p').read()).statusCode).toBe(404);
    expect((await container.item('forever', 'p').read()).statusCode).toBe(200);
    expect((await container.items.create({ id: 'short', pk: 'p' })).statusCode).toBe(201);
  });

  it('keeps unique keys unique within a partition key', async () => {
    const { client } = await connect();
    const container = await createContainer(client, {
      uniqueKeyPolicy: { uniqueKeys: [{ paths: ['/email'] }] },
    });
    await container.items.create({ id: '1', pk: 'a', email: 'x' });
    await expect(container.items.create({ id: '2', pk: 'a', email: 'x' })).rejects.toMatchObject({
      code: 409,
    });
    await container.items.create({ id: '2', pk: 'b', email: 'x' });
    await container.item('1', 'a').delete();
    expect((await container.items.create({ id: '2', pk: 'a', email: 'x' })).statusCode).toBe(201);
    await container.items.upsert({ id: '2', pk: 'a', email: 'y' });
    expect((await container.items.create({ id: '3', pk: 'a', email: 'x' })).statusCode).toBe(201);
  });

  it('deletes all items of a partition key', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    for (const pk of ['a', 'b']) for (const id of ['1', '2']) await container.items.create({ id, pk });
    await container.deleteAllItemsForPartitionKey('a');
    expect((await container.items.readAll().fetchAll()).resources.map(({ pk }) => pk)).toEqual(['b', 'b']);
  });
});

describe('throttling', () => {
  it('refuses with 429/3200 and the time to wait once the second is spent', async () => {
    let nowMs = 500;
    const clock = { now: () => nowMs, epochMicros: () => Date.now() * 1000, sleep: async () => {} };
    const { service } = await connect({ throttling: true, clock });
    const client = clientOf(service, { connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } });
    const container = await createContainer(client, { throughput: 400 });
    const text = 'x'.repeat(60_000);
    let refused: { headers?: Record<string, unknown>; substatus?: number } | undefined;
    for (let i = 0; refused === undefined && i < 50; i++)
      await container.items.create({ id: `${i}`, pk: 'p', text }).catch((error) => {
        refused = error;
      });
    expect(refused).toMatchObject({ code: 429, substatus: 3200, retryAfterInMs: 500 });
    nowMs = 1000;
    expect((await container.items.create({ id: 'next', pk: 'p' })).statusCode).toBe(201);
    const [range] = service.stats().containers[0]?.ranges ?? [];
    expect(range).toMatchObject({ throttled: 1, limitPerSecond: 400 });
    expect(range?.requestChargePerSecond).toBeGreaterThanOrEqual(400);
    expect(range?.hottestKeys[0]?.partitionKey).toBe('["p"]');
  });

  it('lets the retries of the SDK succeed', async () => {
    let startMs: number | undefined;
    // The first second lasts until requests were refused.
    const now = (): number => (startMs === undefined ? 0 : performance.now() - startMs);
    const { client, service } = await connect({ throttling: true, clock: { ...systemClock, now } });
    const container = await createContainer(client, { throughput: 400 });
    // Each costs more than a second's budget, so that only one a second is admitted.
    const text = 'x'.repeat(850_000);
    const ids = ['1', '2', '3'];
    const creating = Promise.all(ids.map((id) => container.items.create({ id, pk: id, text })));
    await eventually(() => (service.stats().containers[0]?.throttled ?? 0) >= 2);
    startMs = performance.now();
    const created = await creating;
    expect(created.every(({ statusCode }) => statusCode === 201)).toBe(true);
    const retries = created.map(({ headers }) => Number(headers['x-ms-throttle-retry-count'] ?? 0));
    expect(retries.filter((count) => count > 0)).toHaveLength(2);
  });
});
