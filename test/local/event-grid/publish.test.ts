import {
  AzureKeyCredential,
  AzureSASCredential,
  EventGridPublisherClient,
  generateSharedAccessSignature,
} from '@azure/eventgrid';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../helpers/eventually.ts';
import { order, startGrid, startReceiver, type TestGrid } from './grid.ts';
import { createManualClock } from './manual-clock.ts';

const insecure = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };

async function ordersGrid(): Promise<TestGrid> {
  const grid = await startGrid();
  await grid.topic('orders');
  return grid;
}

describe('the official SDK publishes', () => {
  it('events of the Event Grid schema, which arrive with topic and versions', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    await grid.subscribe('orders', 'all', receiver.url);
    await grid.publisher('orders', 'EventGrid').send([order(1), order(2)]);
    await eventually(() => receiver.received.length === 2);
    const bodies = receiver.received.map(({ body }) => (body as object[])[0]);
    expect(bodies).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          id: 'order-1',
          eventType: 'Order.Created',
          subject: '/orders/1',
          data: { total: 1 },
          dataVersion: '1',
          metadataVersion: '1',
          topic: expect.stringMatching(/Microsoft.EventGrid\/topics\/orders$/) as string,
        }),
      ]),
    );
  });

  it('CloudEvents with extension attributes and binary data', async () => {
    const grid = await startGrid();
    await grid.topic('ce', { inputSchema: 'CloudEventSchemaV1_0' });
    const receiver = await startReceiver();
    await grid.subscribe('ce', 'all', receiver.url);
    await grid.publisher('ce', 'CloudEvent').send([
      { id: 'a', type: 'T', source: '/s', data: { x: 1 }, extensionAttributes: { tenant: 't1' } },
      { id: 'b', type: 'T', source: '/s', data: Buffer.from('hi'), datacontenttype: 'text/plain' },
    ]);
    await eventually(() => receiver.received.length === 2);
    const byId = new Map(receiver.received.map(({ body }) => [(body as { id: string }).id, body]));
    expect(byId.get('a')).toMatchObject({ specversion: '1.0', tenant: 't1', data: { x: 1 } });
    expect(byId.get('b')).toMatchObject({ data_base64: Buffer.from('hi').toString('base64') });
  });

  it('custom events, delivered as they are or mapped', async () => {
    const grid = await startGrid();
    const receiver = await startReceiver();
    await grid.topic('custom', {
      inputSchema: 'CustomInputSchema',
      inputSchemaMapping: {
        inputSchemaMappingType: 'Json',
        properties: {
          id: { sourceField: 'meta.key' },
          subject: { sourceField: 'where', defaultValue: '/none' },
          eventType: { sourceField: 'kind' },
          dataVersion: { defaultValue: '3' },
        },
      },
    });
    await grid.subscribe('custom', 'raw', `${receiver.url}/raw`);
    await grid.subscribe('custom', 'eg', `${receiver.url}/eg`, { eventDeliverySchema: 'EventGridSchema' });
    await grid.subscribe('custom', 'ce', `${receiver.url}/ce`, {
      eventDeliverySchema: 'CloudEventSchemaV1_0',
      filter: { includedEventTypes: ['Made'] },
    });
    const event = { meta: { key: 'k1' }, kind: 'Made', amount: 5 };
    await grid.publisher('custom', 'Custom').send([event, { kind: 'Broken' }]);
    await eventually(() => receiver.received.length === 5);
    const at = (path: string) =>
      receiver.received.filter((got) => got.path.endsWith(path)).map(({ body }) => body);
    expect(at('/raw')).toEqual(expect.arrayContaining([[event], [{ kind: 'Broken' }]]));
    const mapped = { id: 'k1', subject: '/none', eventType: 'Made', dataVersion: '3', data: event };
    expect(at('/eg')).toEqual(expect.arrayContaining([[expect.objectContaining(mapped)]]));
    expect(at('/ce')).toEqual([
      expect.objectContaining({ id: 'k1', type: 'Made', subject: '/none', data: event }),
    ]);
  });

  it('with a shared access signature, until it expires, on its own topic only', async () => {
    const grid = await ordersGrid();
    await grid.topic('other');
    const endpoint = `${grid.url}/orders/api/events`;
    const send = async (expiresInMs: number, topic = 'orders', key = grid.key): Promise<void> => {
      const credential = new AzureKeyCredential(key);
      const sas = await generateSharedAccessSignature(
        endpoint,
        credential,
        new Date(Date.now() + expiresInMs),
      );
      const url = `${grid.url}/${topic}/api/events`;
      const client = new EventGridPublisherClient(url, 'EventGrid', new AzureSASCredential(sas), insecure);
      await client.send([order(1)]);
    };
    await send(60_000);
    await expect(send(-60_000)).rejects.toMatchObject({ statusCode: 401 });
    await expect(send(60_000, 'other')).rejects.toMatchObject({ statusCode: 401 });
    await expect(send(60_000, 'orders', Buffer.from('wrong').toString('base64'))).rejects.toMatchObject({
      statusCode: 401,
    });
    expect(grid.metrics()['PublishSuccessCount']).toBe(1);
  });
});

describe('refuses', () => {
  it('a wrong key, as the SDK shows it', async () => {
    const grid = await ordersGrid();
    const client = new EventGridPublisherClient(
      `${grid.url}/orders/api/events`,
      'EventGrid',
      new AzureKeyCredential('d3Jvbmc='),
      insecure,
    );
    await expect(client.send([order(1)])).rejects.toMatchObject({ statusCode: 401, code: 'Unauthorized' });
  });

  it('an unknown topic, and CloudEvents on a topic of the other schema', async () => {
    const grid = await ordersGrid();
    await expect(grid.publisher('nowhere', 'EventGrid').send([order(1)])).rejects.toMatchObject({
      statusCode: 404,
    });
    const cloud = grid.publisher('orders', 'CloudEvent').send([{ type: 'T', source: '/s', data: {} }]);
    await expect(cloud).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('EventGridEvent') as string,
    });
  });

  const path = '/orders/api/events?api-version=2018-01-01';
  const valid = { id: '1', subject: 's', eventType: 'T', eventTime: '2026-01-01T00:00:00Z', data: {} };
  it.each([
    ['no api-version', '/orders/api/events', [valid], 400, 'api-version'],
    ['the root path', '/', [valid], 400, '/api/events'],
    ['what is not JSON', path, 'nope', 400, 'JSON'],
    ['a single object', path, valid, 400, 'StartArray'],
    ['a missing subject', path, [{ ...valid, subject: '' }], 400, "'subject' of event 0"],
    ['a missing type', path, [valid, { ...valid, eventType: undefined }], 400, "'eventType' of event 1"],
    ['a time that is none', path, [{ ...valid, eventTime: 'noon' }], 400, 'eventTime'],
    ['another metadata version', path, [{ ...valid, metadataVersion: '2' }], 400, 'metadataVersion'],
    ['more than 1 MB', path, [{ ...valid, data: 'x'.repeat(1_100_000) }], 413, 'maximum size'],
  ])('%s', async (_, target, body, status, message) => {
    const grid = await ordersGrid();
    const response = await grid.request('POST', target, body, { 'aeg-sas-key': grid.key });
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error.message).toContain(message);
  });

  it('the schema in words and with a detail, as the service does', async () => {
    const grid = await ordersGrid();
    const response = await grid.request('POST', path, [{}], { 'aeg-sas-key': grid.key });
    expect(await response.json()).toMatchObject({ error: { details: [{ code: 'InputJsonInvalid' }] } });
  });

  it('more than 5,000 events in a second when limits are enforced, on each topic', async () => {
    const grid = await startGrid({ enforceLimits: true, clock: createManualClock() });
    await grid.topic('orders');
    await grid.topic('other');
    const many = Array.from({ length: 3000 }, (_, n) => order(n));
    await grid.publisher('orders', 'EventGrid').send(many);
    await expect(grid.publisher('orders', 'EventGrid').send(many)).rejects.toMatchObject({ statusCode: 429 });
    await grid.publisher('other', 'EventGrid').send(many);
  });

  it('a publish that a full subscription has no room for, whole', async () => {
    const grid = await startGrid({ maxBacklogBytes: 1_200 });
    await grid.topic('orders');
    const receiver = await startReceiver(() => undefined);
    await grid.subscribe('orders', 'stuck', receiver.url, { filter: { subjectBeginsWith: '/orders/1' } });
    const publisher = grid.publisher('orders', 'EventGrid');
    for (let n = 0; n < 8; n++) await publisher.send([order(100 + n)]).catch(() => {});
    await expect(publisher.send([order(199)])).rejects.toMatchObject({ statusCode: 503 });
    // What the full subscription would not get is not its concern.
    await publisher.send([order(20)]);
  });
});
