import {
  ChangeFeedStartFrom,
  type Container,
  type JSONObject,
  type OperationInput,
  StatusCodes,
} from '@azure/cosmos';
import { describe, expect, it } from 'vitest';
import { clientOf, connect, createContainer } from './sdk.ts';

const upserts = (count: number, from = 0): OperationInput[] =>
  Array.from({ length: count }, (_, i) => ({
    operationType: 'Upsert' as const,
    partitionKey: `k${from + i}`,
    resourceBody: { id: `i${from + i}`, pk: `k${from + i}`, n: from + i },
  }));

const idsIn = async (container: Container): Promise<string[]> =>
  (await container.items.readAll().fetchAll()).resources.map(({ id }) => id as string).sort();

describe('bulk', () => {
  it.each([
    ['version 1', { paths: ['/pk'], version: 1 }],
    ['version 2', { paths: ['/pk'], version: 2 }],
    ['hierarchical', { paths: ['/pk', '/n'], version: 2, kind: 'MultiHash' }],
  ])('puts each operation where reads find it, over many ranges: %s', async (_, partitionKey) => {
    const { client } = await connect();
    const container = await createContainer(client, {
      partitionKey: partitionKey as never,
      throughput: 60_000,
    });
    const operations = Array.from({ length: 90 }, (__, n) => ({
      operationType: 'Create' as const,
      resourceBody: { id: `i${n}`, pk: `k${n}`, n },
    }));
    const results = await container.items.bulk(operations);
    expect(new Set(results.map(({ statusCode }) => statusCode))).toEqual(new Set([201]));
    for (let n = 0; n < 90; n += 9) {
      const key = partitionKey.paths.length > 1 ? [`k${n}`, n] : `k${n}`;
      expect((await container.item(`i${n}`, key).read()).resource).toMatchObject({ n });
    }
  });

  it('answers each operation by itself', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    await container.items.create({ id: 'here', pk: 'p', v: 1 });
    const item = (id: string): JSONObject => ({ id, pk: 'p' });
    const results = await container.items.bulk(
      [
        { operationType: 'Create', resourceBody: item('here') },
        { operationType: 'Create', resourceBody: item('new') },
        { operationType: 'Read', id: 'here', partitionKey: 'p' },
        {
          operationType: 'Patch',
          id: 'here',
          partitionKey: 'p',
          resourceBody: { operations: [{ op: 'incr', path: '/v', value: 1 }] },
        },
        { operationType: 'Replace', id: 'none', partitionKey: 'p', resourceBody: item('none') },
        { operationType: 'Delete', id: 'new', partitionKey: 'p' },
      ] as OperationInput[],
      { continueOnError: true },
    );
    expect(results.map(({ statusCode }) => statusCode)).toEqual([409, 201, 200, 200, 404, 204]);
    expect(results[3]?.resourceBody).toMatchObject({ v: 2 });
  });

  it('leaves the items out of a minimal response and keeps etag and charge', async () => {
    const { service, client } = await connect();
    await createContainer(client);
    const quiet = clientOf(service, { connectionPolicy: {} });
    const container = quiet.database('db').container('c');
    const [full] = await container.items.bulk(upserts(1));
    const [minimal] = await container.items.bulk(upserts(1, 1), {}, { contentResponseOnWriteEnabled: false });
    expect(full?.resourceBody).toMatchObject({ id: 'i0' });
    expect(minimal?.resourceBody).toBeUndefined();
    expect(minimal?.requestCharge).toBe(full?.requestCharge);
    expect(minimal?.eTag).toMatch(/^"/);
  });

  it('throttles single operations and stores the others', async () => {
    let nowMs = 0;
    const clock = { now: () => nowMs, epochMicros: () => Date.now() * 1000, sleep: async () => {} };
    const { client } = await connect({ throttling: true, clock });
    const container = await createContainer(client, { throughput: 400 });
    const results = await container.items.bulk(upserts(100), { continueOnError: true });
    const stored = results.filter(({ statusCode }) => statusCode === StatusCodes.Created).length;
    expect(stored).toBe(73);
    expect(results.filter(({ statusCode }) => Number(statusCode) === 429)).toHaveLength(27);
    nowMs = 1000;
    expect(await idsIn(container)).toHaveLength(73);
  });

  it('goes on after a split, with items.bulk and with executeBulkOperations', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    await container.items.bulk(upserts(50));
    service.split('db', 'c', '0');
    const results = await container.items.bulk(upserts(60));
    expect(results.map(({ statusCode }) => statusCode)).toEqual(
      upserts(60).map((_, i) => (i < 50 ? 200 : 201)),
    );
    service.split('db', 'c', '1');
    const executed = await container.items.executeBulkOperations(upserts(70));
    expect(executed.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await idsIn(container)).toHaveLength(70);
  });
});

describe('transactional batch', () => {
  it('applies all operations under one LSN', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    const { result, code } = await container.items.batch(
      [
        { operationType: 'Create', resourceBody: { id: '1', pk: 'p', v: 1 } },
        { operationType: 'Upsert', resourceBody: { id: '2', pk: 'p' } },
        {
          operationType: 'Patch',
          id: '1',
          resourceBody: { operations: [{ op: 'incr', path: '/v', value: 4 }] },
        },
        { operationType: 'Read', id: '1' },
      ],
      'p',
    );
    expect(code).toBe(200);
    expect(result?.map(({ statusCode }) => statusCode)).toEqual([201, 201, 200, 200]);
    expect(result?.[3]?.resourceBody).toMatchObject({ v: 5 });
    expect((await container.item('1', 'p').read()).resource).toMatchObject({ v: 5 });
    const start = ChangeFeedStartFrom.Beginning();
    const page = await container.items
      .getChangeFeedIterator({ changeFeedStartFrom: start, maxItemCount: 1 })
      .readNext();
    expect(page.result).toMatchObject([{ _lsn: 1 }, { _lsn: 1 }]);
  });

  it('applies nothing when one operation fails', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    await container.items.create({ id: 'taken', pk: 'p', v: 1 });
    const { result } = await container.items.batch(
      [
        { operationType: 'Create', resourceBody: { id: 'new', pk: 'p' } },
        { operationType: 'Delete', id: 'taken' },
        { operationType: 'Create', resourceBody: { id: 'new', pk: 'p' } },
      ],
      'p',
    );
    expect(result?.map(({ statusCode }) => statusCode)).toEqual([424, 424, 409]);
    expect(await idsIn(container)).toEqual(['taken']);
  });

  it('refuses an operation of another key as a whole, in the words of the service', async () => {
    const { client } = await connect();
    const container = await createContainer(client);
    const batch = container.items.batch(
      [{ operationType: 'Create', resourceBody: { id: '1', pk: 'a' }, partitionKey: 'a' } as never],
      'b',
    );
    await expect(batch).rejects.toThrow('different partition key value than the request.');
  });
});
