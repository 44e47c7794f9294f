import { describe, expect, it, onTestFinished } from 'vitest';
import { type Delivery, startWebhook, type WebhookOptions } from '../../src/eventgrid/webhook.ts';
import { systemClock } from '../../src/util/clock.ts';
import { Secret } from '../../src/util/secret.ts';
import { eventually } from '../helpers/eventually.ts';
import { startGrid } from '../local/event-grid/grid.ts';

async function start(options: Partial<WebhookOptions> = {}) {
  const deliveries: Delivery[] = [];
  const problems: string[] = [];
  const receiver = await startWebhook({
    host: '127.0.0.1',
    port: 0,
    path: '/events',
    clock: systemClock,
    async deliver(delivery) {
      deliveries.push(delivery);
    },
    onProblem: (message) => problems.push(message),
    ...options,
  });
  onTestFinished(() => receiver.stop());
  const post = (body: unknown, headers: Record<string, string> = {}, query = '') =>
    fetch(`${receiver.url}${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return { receiver, deliveries, problems, post };
}

const cloudEvent = { specversion: '1.0', id: '1', source: '/s', type: 'T', tenant: 'x', data: { a: 1 } };
const gridEvent = {
  id: '2',
  topic: '/t',
  subject: '/x',
  eventType: 'E',
  eventTime: '2026-01-01T00:00:00Z',
  data: {},
};

describe('a webhook', () => {
  it('passes both handshakes of the local Event Grid, and takes its deliveries', async () => {
    const { receiver, deliveries } = await start();
    const grid = await startGrid();
    await grid.topic('orders');
    expect(await grid.subscribe('orders', 'eg', receiver.url)).toBe('Succeeded');
    const cloud = { eventDeliverySchema: 'CloudEventSchemaV1_0' };
    expect(await grid.subscribe('orders', 'ce', receiver.url, cloud)).toBe('Succeeded');
    const event = { id: 'o1', eventType: 'E', subject: '/o/1', dataVersion: '1', data: { n: 1 } };
    await grid.publisher('orders', 'EventGrid').send([event]);
    await eventually(() => deliveries.length === 2);
    const bySubscription = new Map(deliveries.map((each) => [each.subscription, each]));
    expect(bySubscription.get('EG')?.events).toMatchObject([{ id: 'o1', type: 'E', schema: 'eventGrid' }]);
    expect(bySubscription.get('CE')?.events).toMatchObject([{ id: 'o1', type: 'E', schema: 'cloudEvents' }]);
    await grid.ask('DELETE', '/topics/orders');
    await eventually(() => expect(receiver.answers()['200']).toBe(6));
    expect(deliveries).toHaveLength(2);
  });

  it('reads single events, batches, extension attributes and the delivery count', async () => {
    const { deliveries, post } = await start();
    await post(cloudEvent);
    await post([gridEvent, cloudEvent], { 'aeg-delivery-count': '3', 'aeg-subscription-name': 'SUB' });
    expect(deliveries[0]).toMatchObject({
      events: [{ id: '1', extensions: { tenant: 'x' }, data: { a: 1 } }],
    });
    expect(deliveries[1]).toMatchObject({
      events: [{ id: '2', source: '/t' }, { id: '1' }],
      deliveryCount: 3,
      subscription: 'SUB',
    });
  });

  it('hands over what is no event, with the reason', async () => {
    const { deliveries, post } = await start();
    expect((await post('{oops')).status).toBe(200);
    expect((await post([cloudEvent, { hello: 1 }])).status).toBe(200);
    expect(deliveries[0]).toMatchObject({
      events: [],
      malformed: [{ reason: 'the body is not JSON', body: '{oops' }],
    });
    expect(deliveries[1]).toMatchObject({ events: [{ id: '1' }], malformed: [{ body: '{"hello":1}' }] });
  });

  it('answers 503 when the events are not durable', async () => {
    const { post, problems } = await start({ deliver: () => Promise.reject(new Error('the disk is full')) });
    const response = await post(cloudEvent);
    expect(response.status).toBe(503);
    expect(problems[0]).toContain('the disk is full');
  });

  it('answers 503 when storing takes longer than Event Grid waits', async () => {
    const { post } = await start({ deliver: () => new Promise(() => {}), answerWithinMs: 50 });
    expect((await post(cloudEvent)).status).toBe(503);
  });

  it('answers 503 when more is on its way than it may hold', async () => {
    let finish: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let deliveries = 0;
    const { post } = await start({
      maxBufferedBytes: 150,
      deliver: () => {
        deliveries += 1;
        return held;
      },
    });
    const first = post(cloudEvent);
    await eventually(() => deliveries === 1);
    expect((await post(cloudEvent)).status).toBe(503);
    finish();
    expect((await first).status).toBe(200);
  });

  it('never answers with a status that makes Event Grid drop events', async () => {
    const { post, receiver } = await start({ secret: new Secret('s3cret') });
    await post(cloudEvent);
    await post(cloudEvent, {}, '?code=wrong');
    await post('not json', {}, '?code=s3cret');
    await post('x'.repeat(3_000_000), {}, '?code=s3cret');
    await post([{ no: 'event' }], {}, '?code=s3cret');
    await post('{', { 'aeg-event-type': 'SubscriptionValidation' }, '?code=s3cret');
    for (const status of ['400', '401', '403', '413']) expect(receiver.answers()).not.toHaveProperty(status);
  });
});

describe('the secret', () => {
  it.each([
    ['?code=s3cret', {}, 200],
    ['', { 'x-functions-key': 's3cret' }, 200],
    ['?code=wrong', {}, 404],
    ['', {}, 404],
  ])('%s %j: %i', async (query, headers, status) => {
    const { post } = await start({ secret: new Secret('s3cret') });
    expect((await post(cloudEvent, headers, query)).status).toBe(status);
  });
});

describe('the CloudEvents handshake', () => {
  const ask = (url: string, origin?: string) =>
    fetch(url, {
      method: 'OPTIONS',
      headers: origin === undefined ? {} : { 'webhook-request-origin': origin },
    });

  it('allows the origins of the list, and no other', async () => {
    const { receiver } = await start();
    const allowed = await ask(receiver.url, 'eventgrid.azure.net');
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get('webhook-allowed-origin')).toBe('eventgrid.azure.net');
    expect(allowed.headers.get('webhook-allowed-rate')).toBe('*');
    expect((await ask(receiver.url, 'evil.example')).status).toBe(403);
    expect((await ask(receiver.url)).status).toBe(403);
    const { receiver: open } = await start({ allowedOrigins: ['*'] });
    expect((await ask(open.url, 'any.example')).headers.get('webhook-allowed-origin')).toBe('any.example');
  });
});

it('answers the deliveries under way before it stops', async () => {
  let finish: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let begun = false;
  const { post, receiver } = await start({
    deliver: () => {
      begun = true;
      return held;
    },
  });
  const answer = post(cloudEvent);
  await eventually(() => begun);
  const stopped = receiver.stop();
  finish();
  expect((await answer).status).toBe(200);
  await stopped;
});

it('names the port that is in use', async () => {
  const { receiver } = await start();
  const port = Number(new URL(receiver.url).port);
  await expect(start({ port })).rejects.toMatchObject({ code: 'E_PORT_IN_USE' });
});
