import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCosmos } from '../../src/cosmos/client.ts';
import {
  deleteContainer,
  partitionKeyRanges,
  provision,
  readContainer,
  throughputOf,
} from '../../src/cosmos/containers.ts';
import { createDocumentStore } from '../../src/cosmos/document-store.ts';
import { toPipeError } from '../../src/cosmos/errors.ts';
import { queryItems, queryPages, readItem } from '../../src/cosmos/items.ts';
import { Secret } from '../../src/util/secret.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';
import { createVirtualClock } from '../helpers/virtual-clock.ts';
import { type LocalAccount, startAccount } from './local-account.ts';

let account: LocalAccount;
beforeAll(async () => {
  account = await startAccount();
});
afterAll(() => account.stop());

const target = (more: object) => ({
  endpoint: account.service.environment['COSMOS_ENDPOINT'] as string,
  key: new Secret(account.service.environment['COSMOS_KEY'] as string),
  database: 'nowhere',
  container: 'nothing',
  ...more,
});

describe('openCosmos', () => {
  it('says who cannot be reached, and how to start something that can', async () => {
    await expect(
      openCosmos(target({ endpoint: `http://127.0.0.1:${REFUSING_PORT}/` })),
    ).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
      exitCode: 3,
      message: expect.stringContaining(`cannot reach Cosmos DB at 127.0.0.1:${REFUSING_PORT} (`),
      hint: 'start the local stack with `cosmos-pipe local`',
    });
  });

  it('takes an account that cannot serve for one that cannot be reached', () => {
    const busy = { code: 503, body: { message: 'Service is currently unavailable\r\nActivityId: 1' } };
    expect(toPipeError(busy, target({ endpoint: 'https://contoso.documents.azure.com' }))).toMatchObject({
      code: 'E_UNREACHABLE',
      exitCode: 3,
      message:
        'Cosmos DB at contoso.documents.azure.com cannot serve requests now (503 Service is currently unavailable)',
    });
  });

  it('says that the key is wrong without showing it', async () => {
    const key = Buffer.from('not the key of this account').toString('base64');
    const error = await openCosmos(target({ key: new Secret(key) })).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'E_AUTH', exitCode: 3 });
    expect(String(error)).not.toContain(key);
  });

  it('records the charge of point operations and queries by kind', async () => {
    const charges: string[] = [];
    const connection = await account.container(
      {},
      {
        charge: (operation, range, charge) => charges.push(`${operation} ${range} ${charge > 0}`),
        throttled: () => {},
      },
    );
    await connection.container.items.create({ id: 'a', key: 'k' });
    await readItem(connection, 'a', 'k');
    for await (const _ of queryItems(connection, 'SELECT * FROM c', {}, { partitionKey: 'k' }));
    expect(charges.filter((line) => !line.startsWith('metadata'))).toEqual([
      expect.stringMatching(/^create \d+ true$/),
      expect.stringMatching(/^read \d+ true$/),
      expect.stringMatching(/^query (\d+|\*) true$/),
      expect.stringMatching(/^query (\d+|\*) true$/),
    ]);
  });
});

describe('containers', () => {
  it('provisions version 2 keys and keeps the envelope out of the index', async () => {
    const connection = await account.container();
    expect(await readContainer(connection)).toMatchObject({
      id: connection.target.container,
      partitionKey: { paths: ['/key'], kind: 'Hash', version: 2 },
    });
    const { resource } = await connection.container.read();
    expect(resource?.indexingPolicy?.excludedPaths).toContainEqual({ path: '/pipe/*' });
    expect(await provision(connection, { partitionKeyPath: '/key' })).toMatchObject({ created: false });
    expect(await throughputOf(connection)).toEqual({ kind: 'manual', ruPerSecond: 100_000 });
    const ranges = await partitionKeyRanges(connection);
    expect(ranges).toHaveLength(17);
    expect([ranges[0]?.minInclusive, ranges[16]?.maxExclusive]).toEqual(['', 'FF']);
  });

  it('knows autoscale and hierarchical keys', async () => {
    const connection = await account.container();
    const own = {
      id: 'auto',
      throughput: undefined,
      partitionKeyPath: ['/tenant', '/device'],
      autoscaleMax: 4_000,
    };
    const { throughput: _, ...spec } = own;
    expect(await provision(connection, spec)).toMatchObject({
      created: true,
      partitionKey: { kind: 'MultiHash', version: 2 },
    });
    const auto = { ...connection, container: connection.database.container('auto') };
    expect(await throughputOf(auto)).toEqual({ kind: 'autoscale', ruPerSecond: 4_000 });
    expect(await deleteContainer(connection, 'auto')).toBe(true);
    expect(await deleteContainer(connection, 'auto')).toBe(false);
  });

  it('says which container is missing', async () => {
    const connection = await openCosmos(target({}));
    await expect(readContainer(connection)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringMatching(/^no container nowhere\/nothing at 127\.0\.0\.1:\d+$/),
    });
    connection.dispose();
  });
});

describe('items', () => {
  it('reads by id and key, and pages through queries', async () => {
    const connection = await account.container({ throughput: 400 });
    for (let n = 0; n < 25; n++)
      await connection.container.items.create({ id: `i${n}`, key: `k${n % 3}`, n });
    expect(await readItem(connection, 'i4', 'k1')).toMatchObject({
      item: { n: 4 },
      requestCharge: expect.any(Number),
    });
    expect(await readItem(connection, 'i4', 'k2')).toBeUndefined();
    const found = new Set<unknown>();
    for await (const item of queryItems(connection, 'SELECT * FROM c WHERE c.n >= @least', { least: 20 }))
      found.add(item['n']);
    expect(found).toEqual(new Set([20, 21, 22, 23, 24]));
  });

  it('stays within its request units per second by waiting between pages', async () => {
    const connection = await account.container({ throughput: 400 });
    for (let n = 0; n < 20; n++) await connection.container.items.create({ id: `i${n}`, key: 'k' });
    const clock = createVirtualClock();
    let charged = 0;
    let done = false;
    const reading = (async () => {
      const options = { pageSize: 5, maxRuPerSecond: 2, clock };
      for await (const page of queryPages(connection, 'SELECT * FROM c', {}, options))
        charged += page.requestCharge;
      done = true;
    })();
    while (!done) {
      // Virtual time moves only when the query waits for its budget; until then the socket needs real turns.
      await clock.runUntil(() => done).catch(() => new Promise((resolve) => setImmediate(resolve)));
    }
    await reading;
    expect(charged).toBeGreaterThan(2);
    expect(clock.now()).toBeGreaterThanOrEqual((charged / 2) * 1000 * 0.99);
  });
});

describe('document store', () => {
  it('lets exactly one of several writers win', async () => {
    const connection = await account.container({ throughput: 400 });
    const store = createDocumentStore<{ id: string; key: string; owner: string }>(
      connection,
      connection.target.container,
    );
    const created = await Promise.all(
      ['a', 'b', 'c'].map((owner) => store.create({ id: 'lease', key: 'k', owner })),
    );
    const winner = created.filter((document) => document !== undefined);
    expect(winner).toHaveLength(1);
    const etag = winner[0]?.etag as string;
    const replaced = await Promise.all(
      ['d', 'e'].map((owner) => store.replace({ id: 'lease', key: 'k', owner }, 'k', etag)),
    );
    expect(replaced.filter(Boolean)).toHaveLength(1);
    const { document } = (await store.read('lease', 'k')) ?? {};
    expect(document).toEqual(replaced.find(Boolean)?.document);
    expect(Object.keys(document ?? {})).toEqual(['id', 'key', 'owner']);
    expect(await store.delete('lease', 'k', etag)).toBe(false);
    expect(await store.delete('lease', 'k', replaced.find(Boolean)?.etag)).toBe(true);
    expect(await store.read('lease', 'k')).toBeUndefined();
  });

  it('lists one partition key or all', async () => {
    const connection = await account.container({ throughput: 400 });
    const store = createDocumentStore<{ id: string; key: string }>(connection, connection.target.container);
    for (const id of ['1', '2', '3']) await store.create({ id, key: id === '3' ? 'z' : 'k' });
    const ids = async (key?: string) => (await store.list(key)).map(({ document }) => document.id).sort();
    expect(await ids('k')).toEqual(['1', '2']);
    expect(await ids()).toEqual(['1', '2', '3']);
  });

  it('does not take a missing container for a missing document', async () => {
    const connection = await account.container({ throughput: 400 });
    const store = createDocumentStore<{ id: string }>(connection, 'missing');
    await expect(store.create({ id: '1' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(store.list()).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
