import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { CosmosService } from '../../../src/local/cosmos/index.ts';
import { eventually } from '../../helpers/eventually.ts';
import { connect, createContainer, raw } from './sdk.ts';

/** A token that is accepted unread, as every token of Entra ID is. */
const TOKEN = { authorization: encodeURIComponent('type=aad&ver=1.0&sig=any') };

const COLLECTION = '/dbs/db/colls/c';

describe('requests that address by rid', () => {
  /** Signed as Java, .NET and Python sign: with the last rid alone, in lower case. */
  function signedHeaders(service: CosmosService, link: string): Record<string, string> {
    const date = new Date().toUTCString();
    const key = Buffer.from(service.environment['COSMOS_KEY'] as string, 'base64');
    const text = `get\ndocs\n${link}\n${date.toLowerCase()}\n\n`;
    const signature = createHmac('sha256', key).update(text).digest('base64');
    return {
      'x-ms-date': date,
      authorization: encodeURIComponent(`type=master&ver=1.0&sig=${signature}`),
      'x-ms-documentdb-partitionkey': '["p"]',
    };
  }

  it('find the item that a self link names, and only with a signature of that link', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    await container.items.create({ id: 'other', pk: 'p' });
    const { resource } = await container.items.create({ id: 'a', pk: 'p', v: 1 });
    const { _self, _rid } = resource as unknown as { _self: string; _rid: string };
    const path = `/${_self.replace(/\/$/, '')}`;
    const found = await raw(service, path, { headers: signedHeaders(service, _rid.toLowerCase()) });
    expect(found.status).toBe(200);
    expect(await found.json()).toMatchObject({ id: 'a', v: 1, _rid });
    const forged = await raw(service, path, { headers: signedHeaders(service, 'another') });
    expect(forged.status).toBe(401);
  });

  it('find an item whose id looks like a rid by its id', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    const { resource } = await container.items.create({ id: 'a', pk: 'p' });
    const rid = (resource as unknown as { _rid: string })._rid;
    await container.items.create({ id: rid, pk: 'p', impostor: true });
    const headers = { ...TOKEN, 'x-ms-documentdb-partitionkey': '["p"]' };
    const found = await raw(service, `${COLLECTION}/docs/${encodeURIComponent(rid)}`, { headers });
    expect(await found.json()).toMatchObject({ impostor: true });
  });
});

describe('a range that was split', () => {
  const query = (service: CosmosService, rangeId: string): Promise<Response> =>
    raw(service, `${COLLECTION}/docs`, {
      method: 'POST',
      headers: {
        ...TOKEN,
        'content-type': 'application/query+json',
        'x-ms-documentdb-isquery': 'true',
        'x-ms-documentdb-partitionkeyrangeid': rangeId,
      },
      body: JSON.stringify({ query: 'SELECT VALUE c.id FROM c' }),
    });

  it.each([
    [false, 200],
    [true, 410],
  ])('answers queries, with strictSplit %s, with %i', async (strictSplit, status) => {
    const { service, client } = await connect({ strictSplit });
    const container = await createContainer(client);
    for (let i = 0; i < 10; i++) await container.items.create({ id: `${i}`, pk: `${i}` });
    service.split('db', 'c', '0');
    const response = await query(service, '0');
    expect(response.status).toBe(status);
    if (status === 200) expect(await response.json()).toMatchObject({ _count: 10 });
    else expect(response.headers.get('x-ms-substatus')).toBe('1002');
    expect((await query(service, '1')).status).toBe(200);
  });

  it('comes into being only when the delay of a scale-up is over', async () => {
    let wake = (): void => {};
    const delays: number[] = [];
    const clock = {
      now: () => performance.now(),
      epochMicros: () => Date.now() * 1000,
      sleep: (ms: number) => {
        delays.push(ms);
        return new Promise<void>((resolve) => {
          wake = resolve;
        });
      },
    };
    const { client } = await connect({ clock, splitDelayMs: 60_000 });
    const container = await createContainer(client);
    const { resource: offer } = await container.readOffer();
    const content = { ...offer?.content, offerThroughput: 20_000 };
    await client.offer(offer?.id as string).replace({ ...offer, content } as never);
    const ranges = async (): Promise<number> =>
      (await container.readPartitionKeyRanges().fetchAll()).resources.length;
    expect([delays, await ranges()]).toEqual([[60_000], 1]);
    wake();
    await eventually(async () => (await ranges()) === 2);
  });
});

describe('faults of whole requests', () => {
  const read = (service: CosmosService): Promise<Response> => raw(service, '/', { headers: TOKEN });

  it('answer 503 once', async () => {
    const { service } = await connect();
    service.faults.add('cosmos:unavailable=1');
    expect([(await read(service)).status, (await read(service)).status]).toEqual([503, 200]);
  });

  it('reset the connection, and serve the next', async () => {
    const { service } = await connect();
    service.faults.add('cosmos:reset=1');
    await expect(read(service)).rejects.toThrow();
    expect((await read(service)).status).toBe(200);
  });

  it('hold requests back for the given time', async () => {
    const delays: number[] = [];
    const clock = {
      now: () => performance.now(),
      epochMicros: () => Date.now() * 1000,
      sleep: async (ms: number) => void delays.push(ms),
    };
    const { service } = await connect({ clock });
    service.faults.add('cosmos:latency=250ms');
    expect((await read(service)).status).toBe(200);
    expect(delays).toEqual([250]);
  });
});

it('tells a body that is no JSON from one that is nested too deep', async () => {
  const { service, client } = await connect();
  await createContainer(client);
  const create = async (body: string): Promise<unknown> => {
    const headers = { ...TOKEN, 'x-ms-documentdb-partitionkey': '["p"]' };
    const response = await raw(service, `${COLLECTION}/docs`, { method: 'POST', headers, body });
    const { message } = (await response.json()) as { message: string };
    return [response.status, message.split('\r\n')[0]];
  };
  expect(await create('{"id":"a",}')).toEqual([400, 'The request body is not valid JSON']);
  const deep = (levels: number): string =>
    `{"id":"a","pk":"p","x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  const refusal = [400, 'The document is nested deeper than 128 levels'];
  expect(await create(deep(129))).toEqual(refusal);
  expect(await create(deep(200_000))).toEqual(refusal);
});
