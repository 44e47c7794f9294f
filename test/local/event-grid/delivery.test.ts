import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { seededRandom } from '../../../src/util/random.ts';
import { eventually } from '../../helpers/eventually.ts';
import { order, startGrid, startReceiver, type TestGrid } from './grid.ts';

const deadLetterDestination = { endpointType: 'StorageBlob' };
/** The first retries come within milliseconds, but no event lives out its day before a test times out. */
const FAST = 0.002;
/** A day of retries in seconds. */
const WHOLE_SCHEDULE = 0.000_05;

interface DeadLetters {
  readonly total: number;
  readonly letters: readonly { readonly id: string; readonly events: readonly Record<string, unknown>[] }[];
}

async function ordersGrid(options: Parameters<typeof startGrid>[0] = {}): Promise<TestGrid> {
  const grid = await startGrid({ timeScale: FAST, ...options });
  await grid.topic('orders');
  return grid;
}

describe('a delivery', () => {
  it('carries the headers of the service and custom ones', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    const deliveryAttributeMappings = [
      { name: 'x-fixed', type: 'Static', properties: { value: 'yes' } },
      { name: 'x-total', type: 'Dynamic', properties: { sourceField: 'data.total' } },
      { name: 'x-absent', type: 'Dynamic', properties: { sourceField: 'data.nothing' } },
    ];
    await grid.subscribe('orders', 'sub', receiver.url, {}, { deliveryAttributeMappings });
    await grid.publisher('orders', 'EventGrid').send([order(7)]);
    await eventually(() => receiver.received.length === 1);
    const { headers } = receiver.received[0]!;
    expect(headers).toMatchObject({
      'aeg-event-type': 'Notification',
      'aeg-subscription-name': 'SUB',
      'aeg-delivery-count': '0',
      'aeg-data-version': '1',
      'aeg-metadata-version': '1',
      'aeg-output-event-id': 'order-7',
      'x-fixed': 'yes',
      'x-total': '7',
    });
    expect(headers).not.toHaveProperty('x-absent');
  });

  it('survives ids that no header may hold', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    await grid.subscribe('orders', 'sub', receiver.url);
    await grid.publisher('orders', 'EventGrid').send([order(1, { id: 'grün-漢\n1' })]);
    await eventually(() => receiver.received.length === 1);
    expect(receiver.received[0]?.body).toMatchObject([{ id: 'grün-漢\n1' }]);
    expect(receiver.received[0]?.headers['aeg-output-event-id']).toBe('gr%c3%bcn-%e6%bc%a2%0a1');
  });

  it('converts to CloudEvents: one object, or an array when batched', async () => {
    const grid = await ordersGrid();
    const single = await startReceiver();
    const batched = await startReceiver();
    const cloud = { eventDeliverySchema: 'CloudEventSchemaV1_0' };
    await grid.subscribe('orders', 'single', single.url, cloud);
    await grid.subscribe('orders', 'batched', batched.url, cloud, { maxEventsPerBatch: 10 });
    await grid.publisher('orders', 'EventGrid').send([order(1), order(2)]);
    await eventually(() => single.received.length === 2 && batched.received.length > 0);
    expect(single.received[0]?.headers['content-type']).toContain('application/cloudevents+json');
    expect(single.received[0]?.body).toMatchObject({
      specversion: '1.0',
      type: 'Order.Created',
      data: { total: 1 },
    });
    expect(batched.received[0]?.headers['content-type']).toContain('application/cloudevents-batch+json');
    expect(batched.received[0]?.body).toHaveLength(2);
  });

  it('counts its attempts from 0 and ends with the first success', async () => {
    const grid = await ordersGrid();
    let answers = 0;
    const receiver = await startReceiver(() => (++answers < 3 ? 500 : 202));
    await grid.subscribe('orders', 'sub', receiver.url);
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => receiver.received.length === 3);
    expect(receiver.received.map(({ headers }) => headers['aeg-delivery-count'])).toEqual(['0', '1', '2']);
    await eventually(() => grid.metrics()['DeliverySuccessCount'] === 1);
    expect(grid.metrics()['DeliveryAttemptFailCount{error="Aborted"}']).toBe(2);
  });

  it('that nobody answers does not hold the end of the service back', async () => {
    const grid = await ordersGrid({ timeScale: 1 });
    const receiver = await startReceiver(() => undefined);
    await grid.subscribe('orders', 'sub', receiver.url);
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => receiver.received.length === 1);
    const startedAt = performance.now();
    await grid.service.stop();
    // Sooner than the 30 seconds that a receiver has for its answer.
    expect(performance.now() - startedAt).toBeLessThan(25_000);
  });

  it('does not count a kept connection that the receiver has closed', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    const answered = new WeakSet<Socket>();
    // Closes without an answer where a second request comes, as a server does whose idle time is over.
    const hangsUp = createServer((request, response) => {
      if (answered.has(request.socket)) return void request.socket.resetAndDestroy();
      answered.add(request.socket);
      const options = { method: 'POST', headers: request.headers, agent: false as const };
      const forwarded = httpRequest(receiver.url, options, (reply) => {
        response.writeHead(reply.statusCode ?? 500);
        reply.pipe(response);
      });
      request.pipe(forwarded);
    });
    await new Promise<void>((resolve) => hangsUp.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      hangsUp.close();
      hangsUp.closeAllConnections();
    });
    const { port } = hangsUp.address() as AddressInfo;
    expect(await grid.subscribe('orders', 'sub', `http://127.0.0.1:${port}/`)).toBe('Succeeded');
    for (let n = 1; n <= 3; n++) {
      await grid.publisher('orders', 'EventGrid').send([order(n)]);
      await eventually(() => grid.metrics()['DeliverySuccessCount'] === n);
    }
    expect(receiver.received.map(({ headers }) => headers['aeg-delivery-count'])).toEqual(['0', '0', '0']);
    expect(grid.metrics()['DeliveryAttemptFailCount']).toBe(0);
  });

  it('meets the faults that were set', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver();
    await grid.subscribe('orders', 'sub', receiver.url);
    grid.service.faults.add('event-grid:unavailable=2');
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => receiver.received.length === 1);
    expect(receiver.received[0]?.headers['aeg-delivery-count']).toBe('2');
  });
});

describe('a receiver that fails at random for the whole schedule', () => {
  it.each([
    [1, 0.6, 5],
    [2, 0.6, 5],
    [3, 0.9, 30],
  ])(
    'gets every event or has it dead-lettered, and counts add up (seed %i, %f fail, %i attempts)',
    async (seed, failing, maxDeliveryAttempts) => {
      const grid = await ordersGrid({ seed, timeScale: WHOLE_SCHEDULE });
      const random = seededRandom(seed);
      const accepted = new Map<string, number>();
      const codes = [500, 503, 404, 408, 429, 500, 502, 400, 413];
      const receiver = await startReceiver(({ body }) => {
        if (random.next() < failing) return codes[random.below(codes.length)];
        for (const { id } of body as { id: string }[]) accepted.set(id, (accepted.get(id) ?? 0) + 1);
        return 200;
      });
      await grid.subscribe('orders', 'sub', receiver.url, {
        deadLetterDestination,
        retryPolicy: { maxDeliveryAttempts, eventTimeToLiveInMinutes: 1440 },
      });
      const count = 300;
      await grid.publisher('orders', 'EventGrid').send(Array.from({ length: count }, (_, n) => order(n)));
      await eventually(() => {
        const { DeliverySuccessCount = 0, DeadLetteredCount = 0 } = grid.metrics();
        expect(DeliverySuccessCount + DeadLetteredCount).toBe(count);
      });
      const metrics = grid.metrics();
      expect(accepted.size).toBe(metrics['DeliverySuccessCount']);
      expect([...accepted.values()].every((times) => times === 1)).toBe(true);
      const dead = await grid.ask<DeadLetters>('GET', '/deadletters');
      expect(dead.total).toBe(count - accepted.size);
      for (const { events } of dead.letters) {
        const [{ id, deadLetterReason, deliveryAttempts }] = events as [Record<string, unknown>];
        expect(accepted.has(String(id))).toBe(false);
        if (deadLetterReason === 'MaxDeliveryAttemptsExceeded')
          expect(deliveryAttempts).toBe(maxDeliveryAttempts);
        else expect(['BadRequest', 'PayloadTooLarge', 'TimeToLiveExceeded']).toContain(deadLetterReason);
      }
      expect(receiver.received).toHaveLength(
        (metrics['DeliveryAttemptFailCount'] ?? 0) + (metrics['DeliverySuccessCount'] ?? 0),
      );
      expect(metrics['PublishSuccessCount']).toBe(count);
      expect(metrics['DroppedEventCount']).toBe(0);
    },
  );
});

describe('dead letters', () => {
  it('are laid out as in a blob container, with the reason', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'eg-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const grid = await ordersGrid({ dataDir });
    const receiver = await startReceiver(() => 400);
    await grid.subscribe('orders', 'my-sub', receiver.url, { deadLetterDestination });
    const before = new Date();
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => grid.metrics()['DeadLetteredCount'] === 1);
    const folder = join(dataDir, 'dead-letters');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.json'),
    );
    expect(files).toHaveLength(1);
    expect(files[0]).toMatch(/^orders\/MY-SUB\/\d{4}\/\d{1,2}\/\d{1,2}\/\d{1,2}\/[0-9a-f-]{36}\.json$/);
    // The month may have ended meanwhile.
    const months = [before, new Date()].map((at) => `/${at.getUTCFullYear()}/${at.getUTCMonth() + 1}/`);
    expect(months.some((month) => files[0]?.includes(month))).toBe(true);
    expect(JSON.parse(readFileSync(join(folder, files[0]!), 'utf8'))).toMatchObject([
      {
        id: 'order-1',
        deadLetterReason: 'BadRequest',
        deliveryAttempts: 1,
        lastDeliveryOutcome: 'BadRequest',
        publishTime: expect.stringMatching(/Z$/) as string,
        lastDeliveryAttemptTime: expect.stringMatching(/Z$/) as string,
      },
    ]);
  });

  it('of CloudEvents have lower-case names', async () => {
    const grid = await startGrid({ timeScale: FAST });
    await grid.topic('ce', { inputSchema: 'CloudEventSchemaV1_0' });
    const receiver = await startReceiver(() => 413);
    await grid.subscribe('ce', 'sub', receiver.url, { deadLetterDestination });
    await grid.publisher('ce', 'CloudEvent').send([{ id: 'c1', type: 'T', source: '/s', data: {} }]);
    await eventually(() => grid.metrics()['DeadLetteredCount'] === 1);
    const { letters } = await grid.ask<DeadLetters>('GET', '/deadletters');
    expect(letters[0]?.events[0]).toMatchObject({ deadletterreason: 'PayloadTooLarge', deliveryattempts: 1 });
  });

  it('are dropped without a destination', async () => {
    const grid = await ordersGrid();
    const receiver = await startReceiver(() => 400);
    await grid.subscribe('orders', 'sub', receiver.url);
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => grid.metrics()['DroppedEventCount'] === 1);
    expect(grid.metrics()['DeadLetteredCount']).toBe(0);
  });

  it('go to their own subscription again when replayed, without the reason, and are gone then', async () => {
    const grid = await ordersGrid();
    let healthy = false;
    const receiver = await startReceiver(() => (healthy ? 200 : 400));
    const other = await startReceiver();
    await grid.subscribe('orders', 'sub', receiver.url, { deadLetterDestination });
    await grid.subscribe('orders', 'other', other.url);
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => grid.metrics()['DeadLetteredCount'] === 1 && other.received.length === 1);
    healthy = true;
    const { letters } = await grid.ask<DeadLetters>('GET', '/deadletters');
    const path = `/deadletters/${encodeURIComponent(letters[0]!.id)}/replay`;
    expect(await grid.ask('POST', path)).toEqual({ replayed: ['order-1'] });
    await eventually(() => receiver.received.length === 2);
    expect(receiver.received[1]?.body).toEqual(receiver.received[0]?.body);
    expect((await grid.ask<DeadLetters>('GET', '/deadletters')).total).toBe(0);
    expect((await grid.request('POST', path)).status).toBe(404);
    expect(other.received).toHaveLength(1);
  });

  it('cannot be used to read other files', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'eg-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const grid = await ordersGrid({ dataDir });
    const path = `/deadletters/${encodeURIComponent('../events.log')}/replay`;
    expect((await grid.request('POST', path)).status).toBe(404);
  });
});

describe('a trace', () => {
  it('tells each attempt, and why a filter did not match', async () => {
    const grid = await ordersGrid();
    let answers = 0;
    const receiver = await startReceiver(() => (++answers === 1 ? 503 : 200));
    await grid.subscribe('orders', 'all', receiver.url);
    await grid.subscribe('orders', 'jpg', receiver.url, { filter: { subjectEndsWith: '.jpg' } });
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => grid.metrics()['DeliverySuccessCount'] === 1);
    const { entries } = await grid.ask<{ entries: Record<string, string>[] }>('GET', '/trace/order-1');
    expect(entries.map(({ detail, step, subscription }) => [subscription, step, detail])).toEqual([
      [undefined, 'published', 'to orders'],
      ['all', 'matched', undefined],
      ['jpg', 'unmatched', `subject '/orders/1' does not end with '.jpg'`],
      // 30 seconds and up to a tenth more.
      ['all', 'attempt', expect.stringMatching(/^1: Busy \(503\), next in 3[0-3]\d{3} ms$/)],
      ['all', 'attempt', '2: Delivered (200)'],
      ['all', 'settled', undefined],
    ]);
    expect((await grid.request('GET', '/trace/unknown')).status).toBe(404);
  });
});

it('serves its counters as Prometheus text', async () => {
  const grid = await ordersGrid();
  const receiver = await startReceiver();
  await grid.subscribe('orders', 'sub', receiver.url);
  await grid.publisher('orders', 'EventGrid').send([order(1)]);
  await eventually(() => grid.metrics()['DeliverySuccessCount'] === 1);
  const text = await (await grid.request('GET', '/metrics')).text();
  expect(text).toContain('PublishSuccessCount 1\n');
  expect(text).toContain('DestinationProcessingDurationInMs_count 1\n');
});
