import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { GridEvent } from '../../src/eventgrid/event.ts';
import { createPace } from '../../src/eventgrid/pace.ts';
import { pack } from '../../src/eventgrid/pack.ts';
import { eventSizeBytes, openPublisher, type PublisherOptions } from '../../src/eventgrid/publisher.ts';
import { type EventGridService, startEventGrid } from '../../src/local/event-grid/index.ts';
import { systemClock } from '../../src/util/clock.ts';
import { seededRandom } from '../../src/util/random.ts';
import { Secret } from '../../src/util/secret.ts';
import { REFUSING_PORT } from '../helpers/ports.ts';
import { createVirtualClock } from '../helpers/virtual-clock.ts';

const event = (n: number, more: Partial<GridEvent> = {}): GridEvent => ({
  id: `e-${n}`,
  type: 'T',
  source: '/s',
  subject: `/n/${n}`,
  time: '2026-01-01T00:00:00.000Z',
  data: { n },
  extensions: {},
  schema: 'cloudEvents',
  ...more,
});

async function start(options: Parameters<typeof startEventGrid>[0] = {}): Promise<EventGridService> {
  const service = await startEventGrid({
    topics: [
      { name: 'cloud', inputSchema: 'CloudEventSchemaV1_0' },
      { name: 'grid', inputSchema: 'EventGridSchema' },
    ],
    ...options,
  });
  onTestFinished(() => service.stop());
  return service;
}

function publisherOf(service: EventGridService, topic: string, options: Partial<PublisherOptions> = {}) {
  return openPublisher(
    {
      endpoint: `http://${service.host}:${service.port}/${topic}/api/events`,
      key: new Secret(service.environment['EVENTGRID_TOPIC_KEY'] as string),
    },
    {
      schema: topic === 'grid' ? 'eventGrid' : 'cloudEvents',
      clock: systemClock,
      random: seededRandom(1),
      bytesPerSecond: 0,
      eventsPerSecond: 0,
      ...options,
    },
  );
}

const stat = (service: EventGridService, name: string): number =>
  (service.stats() as Record<string, number>)[name] ?? 0;

describe('publishing', () => {
  it.each(['cloud', 'grid'])('to a topic of schema %s, in as few requests as fit', async (topic) => {
    const service = await start();
    const publisher = await publisherOf(service, topic, { limits: { maxEvents: 40 } });
    await publisher.publish(Array.from({ length: 100 }, (_, n) => event(n)));
    expect(stat(service, 'PublishSuccessCount')).toBe(100);
    expect(publisher.totals()).toMatchObject({ published: 100, requests: 3, retried: 0 });
  });

  it('takes data of any kind', async () => {
    const service = await start();
    const publisher = await publisherOf(service, 'cloud');
    await publisher.publish([
      event(1, { data: 'text' }),
      event(2, { data: Buffer.from('x') }),
      event(3, { data: null }),
    ]);
    expect(stat(service, 'PublishSuccessCount')).toBe(3);
  });

  it('sends again what was refused for a passing reason, and counts it', async () => {
    const service = await start();
    service.faults.add('event-grid:throttle=2');
    const clock = createVirtualClock();
    const publisher = await publisherOf(service, 'cloud', { clock });
    let done = false;
    const publishing = publisher.publish([event(1)]).then(() => {
      done = true;
    });
    while (!done)
      await clock
        .runUntil(() => true)
        .then(() => clock.runUntil(() => done))
        .catch(() => {});
    await publishing;
    expect(publisher.totals()).toMatchObject({ published: 1, retried: 2, throttled: 2 });
  });

  it('gives up after its time, and says what is wrong', async () => {
    const service = await start();
    service.faults.add('event-grid:throttle=100%');
    const publisher = await publisherOf(service, 'cloud', { giveUpMs: 0 });
    await expect(publisher.publish([event(1)])).rejects.toMatchObject({ code: 'E_UNREACHABLE' });
  });

  it('does not repeat what will never be accepted', async () => {
    const service = await start();
    const wrongSchema = await publisherOf(service, 'cloud', { schema: 'eventGrid' });
    await expect(wrongSchema.publish([event(1)])).rejects.toMatchObject({
      code: 'E_CONFIG',
      hint: expect.stringContaining('--schema') as string,
    });
    const nowhere = await publisherOf(service, 'nowhere');
    await expect(nowhere.publish([event(1)])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const intruder = await openPublisher(
      { endpoint: `http://127.0.0.1:${service.port}/cloud/api/events`, key: new Secret('d3Jvbmc=') },
      { schema: 'cloudEvents', clock: systemClock, random: seededRandom(1) },
    );
    await expect(intruder.publish([event(1)])).rejects.toMatchObject({ code: 'E_AUTH' });
    expect(wrongSchema.totals().retried + nowhere.totals().retried + intruder.totals().retried).toBe(0);
  });

  it('names an address where nobody answers', async () => {
    const publisher = await openPublisher(
      { endpoint: `http://127.0.0.1:${REFUSING_PORT}/t/api/events`, key: new Secret('a2V5') },
      { schema: 'cloudEvents', clock: systemClock, random: seededRandom(1), giveUpMs: 0 },
    );
    await expect(publisher.publish([event(1)])).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${REFUSING_PORT}`) as string,
    });
  });
});

describe('packing', () => {
  it('keeps order and limits, whatever the sizes', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 60 });
    const limits = fc.record({
      maxBytes: fc.integer({ min: 50, max: 1000 }),
      maxEvents: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(sizes, limits, (given, { maxBytes, maxEvents }) => {
        const batches = [
          ...pack(
            given.map((sizeBytes, item) => ({ item, sizeBytes })),
            { maxBytes, maxEvents },
          ),
        ];
        expect(batches.flatMap(({ items }) => items)).toEqual(given.map((_, item) => item));
        for (const { items, sizeBytes } of batches) {
          expect(items.length).toBeLessThanOrEqual(maxEvents);
          if (items.length > 1) expect(sizeBytes).toBeLessThanOrEqual(maxBytes);
        }
      }),
    );
  });

  it('never underestimates an event on the wire', async () => {
    const bodies: Buffer[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks));
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/t/api/events`;
    const events = [
      event(1),
      event(2, { data: { text: 'ä漢"\\\n' }, extensions: { tenant: 'contoso' } }),
      event(3, { data: Buffer.alloc(1000, 7), contentType: 'image/png' }),
    ];
    for (const schema of ['cloudEvents', 'eventGrid'] as const) {
      const options = { schema, clock: systemClock, random: seededRandom(1) };
      const publisher = await openPublisher({ endpoint, key: new Secret('a2V5') }, options);
      for (const each of events) {
        if (schema === 'eventGrid' && Buffer.isBuffer(each.data)) continue;
        await publisher.publish([each]);
        expect(bodies.at(-1)!.length - 2).toBeLessThanOrEqual(eventSizeBytes(each));
      }
    }
  });
});

describe('the pace', () => {
  it('stays within events and bytes of every second', async () => {
    const requests = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 50_000 })),
      {
        minLength: 1,
        maxLength: 40,
      },
    );
    await fc.assert(
      fc.asyncProperty(requests, async (sizes) => {
        const clock = createVirtualClock();
        const pace = createPace(clock, 1_000, 100_000);
        const started: [number, number, number][] = [];
        const all = sizes.map(async ([events, bytes]) => {
          await pace.take(events, bytes, undefined);
          started.push([clock.now(), events, bytes]);
        });
        await clock.runUntil(() => started.length === sizes.length);
        await Promise.all(all);
        for (const [from] of started) {
          const within = started.filter(([at]) => at >= from && at < from + 1000);
          // The last request of a second may reach into the next one.
          const events = within.slice(0, -1).reduce((sum, [, count]) => sum + count, 0);
          const bytes = within.slice(0, -1).reduce((sum, [, , size]) => sum + size, 0);
          expect(events).toBeLessThanOrEqual(1_000);
          expect(bytes).toBeLessThanOrEqual(100_000);
        }
      }),
      { numRuns: 30 },
    );
  });
});
