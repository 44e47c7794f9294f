import { describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/eventually.ts';
import { clientOf, connect, createContainer } from './sdk.ts';

const NO_RETRIES = { connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } };

describe('faults', () => {
  it.each([
    ['throttle', 429],
    ['gone', 410],
    ['retry-with', 449],
    ['timeout', 408],
  ])('%s refuses one write with %i and then no more', async (kind, code) => {
    const { service, client } = await connect();
    await createContainer(client);
    const container = clientOf(service, NO_RETRIES).database('db').container('c');
    await container.items.upsert({ id: 'warm', pk: 'p' });
    service.faults.add(`cosmos:${kind}=1`);
    await expect(container.items.create({ id: 'a', pk: 'p' })).rejects.toMatchObject({ code });
    expect((await container.items.create({ id: 'a', pk: 'p' })).statusCode).toBe(201);
  });

  it('strikes single operations of a bulk request', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    await container.items.upsert({ id: 'warm', pk: 'p' });
    service.faults.add('cosmos:throttle=2');
    const results = await container.items.bulk(
      Array.from({ length: 10 }, (_, i) => ({
        operationType: 'Create' as const,
        resourceBody: { id: `${i}`, pk: 'p' },
      })),
      { continueOnError: true },
    );
    expect(results.map(({ statusCode }) => Number(statusCode))).toEqual([429, 429, ...Array(8).fill(201)]);
    expect(service.stats().containers[0]?.throttled).toBe(2);
  });

  it('throttles as the SDK retries by itself', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    service.faults.add('cosmos:throttle=2');
    const { statusCode, headers } = await container.items.create({ id: 'a', pk: 'p' });
    expect([statusCode, headers['x-ms-throttle-retry-count']]).toEqual([201, 2]);
  });

  it('splits the fullest container when its time comes', async () => {
    const { service, client } = await connect();
    const container = await createContainer(client);
    await container.items.create({ id: 'a', pk: 'p' });
    service.faults.add('cosmos:split');
    await eventually(
      async () => (await container.readPartitionKeyRanges().fetchAll()).resources.length === 2,
    );
    expect((await container.item('a', 'p').read()).statusCode).toBe(200);
  });
});
