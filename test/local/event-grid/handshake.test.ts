import { describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/eventually.ts';
import { order, startGrid, startReceiver } from './grid.ts';

const cloud = { eventDeliverySchema: 'CloudEventSchemaV1_0' };
const stateAt = async (grid: Awaited<ReturnType<typeof startGrid>>, name: string): Promise<string> =>
  (
    await grid.ask<{ properties: { provisioningState: string } }>(
      'GET',
      `/topics/orders/eventSubscriptions/${name}`,
    )
  ).properties.provisioningState;

async function ordersGrid(timeScale = 1) {
  const grid = await startGrid({ timeScale });
  await grid.topic('orders');
  return grid;
}

describe('the handshake of the Event Grid schema', () => {
  it('asks for the code that it sent', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    expect(await grid.subscribe('orders', 'sub-a', receiver.url)).toBe('Succeeded');
    const [{ headers, body }] = receiver.control as [(typeof receiver.control)[0]];
    expect(headers).toMatchObject({
      'aeg-event-type': 'SubscriptionValidation',
      'aeg-subscription-name': 'SUB-A',
    });
    expect(body).toMatchObject([
      {
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationUrl: expect.stringContaining('/validate?id=') as string },
      },
    ]);
  });

  it('fails on another answer than 200, and then delivers nothing', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver(undefined, 'refuse');
    expect(await grid.subscribe('orders', 'sub', receiver.url)).toBe('Failed');
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    expect(grid.metrics()['UnmatchedEventCount']).toBe(1);
    const trace = await grid.ask<{ entries: { detail?: string }[] }>('GET', '/trace/order-1');
    expect(trace.entries.at(-1)?.detail).toContain('not validated');
  });

  it('waits for the validation URL after a 200 without the code', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver(undefined, 'silent');
    expect(await grid.subscribe('orders', 'sub', receiver.url)).toBe('AwaitingManualAction');
    const [event] = receiver.control[0]!.body as [{ data: { validationUrl: string } }];
    const wrong = await fetch(event.data.validationUrl.replace(/id=.*/, 'id=nonsense'));
    expect(wrong.status).toBe(400);
    expect((await fetch(event.data.validationUrl)).status).toBe(200);
    expect(await stateAt(grid, 'sub')).toBe('Succeeded');
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => receiver.received.length === 1);
  });

  it('fails when nobody opens the URL within ten minutes', async () => {
    const grid = await ordersGrid(0.0001);
    const receiver = await startReceiver(undefined, 'silent');
    await grid.subscribe('orders', 'sub', receiver.url);
    await eventually(async () => expect(await stateAt(grid, 'sub')).toBe('Failed'));
    const [event] = receiver.control[0]!.body as [{ data: { validationUrl: string } }];
    expect((await fetch(event.data.validationUrl)).status).toBe(400);
  });
});

describe('the handshake of CloudEvents', () => {
  it('asks with OPTIONS who may send', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    expect(await grid.subscribe('orders', 'sub', receiver.url, cloud)).toBe('Succeeded');
    expect(receiver.control[0]).toMatchObject({
      method: 'OPTIONS',
      headers: { 'webhook-request-origin': 'eventgrid.azure.net' },
    });
  });

  it('fails when refused, waits when not allowed', async () => {
    const grid = await ordersGrid();
    const refusing = await startReceiver(undefined, 'refuse');
    const silent = await startReceiver(undefined, 'silent');
    expect(await grid.subscribe('orders', 'a', refusing.url, cloud)).toBe('Failed');
    expect(await grid.subscribe('orders', 'b', silent.url, cloud)).toBe('AwaitingManualAction');
  });
});

it('tells a webhook that its subscription was deleted', async () => {
  const grid = await ordersGrid();
  const receiver = await startReceiver();
  await grid.subscribe('orders', 'a', receiver.url);
  await grid.subscribe('orders', 'b', receiver.url, cloud);
  await grid.ask('DELETE', '/topics/orders/eventSubscriptions/a');
  await grid.ask('DELETE', '/topics/orders/eventSubscriptions/b');
  const deletions = () =>
    receiver.control.filter(({ headers }) => headers['aeg-event-type'] === 'SubscriptionDeletion');
  await eventually(() => deletions().length === 2);
  const type = 'Microsoft.EventGrid.SubscriptionDeletedEvent';
  expect(deletions().map(({ body }) => body)).toEqual(
    expect.arrayContaining([
      [expect.objectContaining({ eventType: type })],
      expect.objectContaining({ type }),
    ]),
  );
});

describe('management', () => {
  it('lists, describes and deletes topics and subscriptions', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    await grid.subscribe('orders', 'sub', receiver.url);
    expect(await grid.ask('GET', '/topics')).toMatchObject([
      { name: 'orders', properties: { inputSchema: 'EventGridSchema' } },
    ]);
    expect(await grid.ask('GET', '/topics/ORDERS/eventSubscriptions')).toMatchObject([
      {
        name: 'sub',
        properties: {
          provisioningState: 'Succeeded',
          backlog: 0,
          retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 },
        },
      },
    ]);
    await grid.ask('DELETE', '/topics/orders');
    expect((await grid.request('GET', '/topics/orders')).status).toBe(404);
    expect((await grid.request('GET', '/nothing/here')).status).toBe(404);
  });

  it.each([
    ['maxEventsPerBatch', { target: { maxEventsPerBatch: 5001 } }],
    ['preferredBatchSizeInKilobytes', { target: { preferredBatchSizeInKilobytes: 0 } }],
    ['maxDeliveryAttempts', { more: { retryPolicy: { maxDeliveryAttempts: 31 } } }],
    ['eventTimeToLiveInMinutes', { more: { retryPolicy: { eventTimeToLiveInMinutes: 0 } } }],
    ['eventDeliverySchema', { more: { eventDeliverySchema: 'CustomInputSchema' } }],
    [
      'delivery attribute',
      {
        target: {
          deliveryAttributeMappings: [{ name: 'aeg-mine', type: 'Static', properties: { value: 'x' } }],
        },
      },
    ],
    [
      'delivery attribute',
      { target: { deliveryAttributeMappings: [{ name: 'x', type: 'Dynamic', properties: {} }] } },
    ],
    ['endpointUrl', { url: 'ftp://nowhere' }],
  ])(
    'refuses a wrong %s',
    async (name, { more, target, url }: { more?: object; target?: object; url?: string }) => {
      const grid = await ordersGrid();
      const receiver = await startReceiver();
      const made = grid.subscribe('orders', 'sub', url ?? receiver.url, more as never, target as never);
      await expect(made).rejects.toThrow(new RegExp(`400.*${name}`));
    },
  );
});
