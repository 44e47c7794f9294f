import { expect, it } from 'vitest';
import { eventually } from '../../helpers/eventually.ts';
import {
  bodies,
  consumer,
  distinctBodies,
  LOST_ANSWER,
  producer,
  type Subscribed,
  sendNumbers,
  start,
  subscribe,
} from './clients.ts';

const sequenceNumbers = ({ events }: Subscribed): number[] =>
  events.map(({ sequenceNumber }) => sequenceNumber);

it('answers server-busy as often as asked, which the SDK retries', async () => {
  const service = await start();
  const client = producer(service);
  service.faults.add('event-hubs:server-busy=2');
  await sendNumbers(client, '0', 3);
  expect(service.faults.list()).toMatchObject([{ state: 'spent', struck: 2 }]);
  expect(service.stats().eventsIn).toBe(3);
  service.faults.add('event-hubs:server-busy=100%');
  await expect(producer(service, { maxRetries: 0 }).sendBatch([{ body: 1 }])).rejects.toMatchObject({
    code: 'ServerBusyError',
  });
});

it.each(['detach', 'reset'])('loses nothing when a %s strikes the sender: it recovers', async (kind) => {
  const service = await start();
  const client = producer(service, LOST_ANSWER);
  await sendNumbers(client, '0', 1);
  service.faults.add(`event-hubs:${kind}`);
  await sendNumbers(client, '0', 2, 1);
  expect(service.faults.list()[0]?.struck).toBe(1);
  const { events } = subscribe(consumer(service), '0');
  await eventually(() => expect(distinctBodies(events)).toEqual([0, 1, 2]));
});

it.each(['detach', 'reset'])('loses and repeats nothing when a %s strikes the receiver', async (kind) => {
  const service = await start();
  const client = producer(service);
  await sendNumbers(client, '0', 2);
  const received = subscribe(consumer(service), '0');
  await received.until(2);
  await client.close();
  service.faults.add(`event-hubs:${kind}`);
  const other = producer(service, LOST_ANSWER);
  // Whoever meets the fault first, sender or receiver, recovers.
  await sendNumbers(other, '0', 3, 2);
  await eventually(() => expect(distinctBodies(received.events)).toEqual([0, 1, 2, 3, 4]));
  expect(sequenceNumbers(received)).toEqual(received.events.map((_, i) => i));
});

it('resets idle connections at a given time', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 1);
  const received = subscribe(consumer(service), '0');
  await received.until(1);
  service.faults.add('event-hubs:reset@1ms');
  await sendNumbers(producer(service, LOST_ANSWER), '0', 1, 1);
  await eventually(() => expect(distinctBodies(received.events)).toEqual([0, 1]));
  expect(sequenceNumbers(received)).toEqual(received.events.map((_, i) => i));
});

it('holds operations back for the latency, in order', async () => {
  const service = await start();
  const client = producer(service);
  await sendNumbers(client, '0', 1);
  service.faults.add('event-hubs:latency=80ms~30ms');
  const started = performance.now();
  await Promise.all([1, 2, 3, 4].map((i) => sendNumbers(client, '0', 1, i)));
  expect(performance.now() - started).toBeGreaterThanOrEqual(49);
  service.faults.clear();
  expect(bodies(await subscribe(consumer(service), '0').until(5))).toEqual([0, 1, 2, 3, 4]);
});

it('delivers with latency too', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 3);
  service.faults.add('event-hubs:latency=60ms');
  const started = performance.now();
  await subscribe(consumer(service), '0').until(3);
  expect(performance.now() - started).toBeGreaterThanOrEqual(59);
});

it('stores without an answer on timeout: the sender repeats, as with a lost acknowledgement', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 1);
  service.faults.add('event-hubs:timeout');
  await sendNumbers(producer(service, LOST_ANSWER), '0', 1, 7);
  expect(bodies((await subscribe(consumer(service), '0').until(3)).slice(0, 3))).toEqual([0, 7, 7]);
});

it('refuses authorization', async () => {
  const service = await start();
  service.faults.add('event-hubs:unauthorized=100%');
  await expect(sendNumbers(producer(service, { maxRetries: 0 }), '0', 1)).rejects.toMatchObject({
    code: 'UnauthorizedError',
  });
});
