import { expect, it } from 'vitest';
import { partitionForKey } from '../../../src/hashing/partition-for-key.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { bodies, bufferedProducer, consumer, producer, sendNumbers, start, subscribe } from './clients.ts';

it('stores a single event with all its properties and stamps it', async () => {
  const service = await start();
  const nowMs = (): number => Math.floor(systemClock.epochMicros() / 1000);
  const before = nowMs();
  await producer(service).sendBatch(
    [
      {
        body: { a: [1, 'x'] },
        properties: { n: 1, s: 'x' },
        messageId: 'm',
        contentType: 'c/t',
        correlationId: 'k',
      },
    ],
    { partitionId: '2' },
  );
  const [event] = await subscribe(consumer(service), '2').until(1);
  expect(event).toMatchObject({
    body: { a: [1, 'x'] },
    properties: { n: 1, s: 'x' },
    messageId: 'm',
    contentType: 'c/t',
    correlationId: 'k',
    sequenceNumber: 0,
    offset: '0',
    systemProperties: { 'x-opt-sequence-number-epoch': -1 },
  });
  expect(event?.partitionKey ?? null).toBeNull();
  expect(Number(event?.enqueuedTimeUtc)).toBeGreaterThanOrEqual(before);
  expect(Number(event?.enqueuedTimeUtc)).toBeLessThanOrEqual(nowMs());
});

it('stores a batch by partition id in order, its offsets multiples of eight', async () => {
  const service = await start();
  const client = producer(service);
  const batch = await client.createBatch({ partitionId: '1' });
  expect(batch.maxSizeInBytes).toBe(1_048_576);
  for (let i = 0; i < 1_000; i++) expect(batch.tryAdd({ body: { i } })).toBe(true);
  await client.sendBatch(batch);
  const events = await subscribe(consumer(service), '1').until(1_000);
  expect(events.map((event) => event.body.i)).toEqual(events.map((_, i) => i));
  expect(events.map((event) => event.sequenceNumber)).toEqual(events.map((_, i) => i));
  const offsets = events.map((event) => Number(event.offset));
  expect(offsets.every((offset, i) => offset % 8 === 0 && offset > (offsets[i - 1] ?? -1))).toBe(true);
  expect(new Set(events.map((event) => Number(event.enqueuedTimeUtc))).size).toBe(1);
});

it('routes a partition key as the service does and delivers it with the event', async () => {
  const service = await start();
  const client = producer(service);
  const keys = Array.from({ length: 12 }, (_, i) => `contoso-device-id-${i}`);
  for (const key of keys) await client.sendBatch([{ body: key }, { body: key }], { partitionKey: key });
  for (const id of ['0', '1', '2', '3']) {
    const expected = keys
      .filter((key) => String(partitionForKey(key, 4)) === id)
      .flatMap((key) => [key, key]);
    const events = await subscribe(consumer(service), id).until(expected.length);
    expect(bodies(events)).toEqual(expected);
    expect(events.map((event) => event.partitionKey)).toEqual(expected);
  }
});

it('spreads batches without id and key over all partitions', async () => {
  const service = await start();
  const client = producer(service);
  for (let i = 0; i < 8; i++) await client.sendBatch([{ body: i }]);
  expect(service.stats().hubs[0]?.partitions.map((partition) => partition.lastSequenceNumber)).toEqual([
    1, 1, 1, 1,
  ]);
});

it('takes the events of the buffered producer', async () => {
  const service = await start();
  const errors: Error[] = [];
  const client = bufferedProducer(service, { onError: (error) => errors.push(error) });
  for (let i = 0; i < 100; i++) await client.enqueueEvent({ body: i }, { partitionKey: `k${i % 7}` });
  await client.close();
  expect(errors).toEqual([]);
  expect(service.stats().eventsIn).toBe(100);
});

it('takes a message of many frames', async () => {
  const service = await start();
  const body = Buffer.alloc(900_000, 7);
  await producer(service).sendBatch([{ body }], { partitionId: '0' });
  const [event] = await subscribe(consumer(service), '0').until(1);
  expect(body.equals(event?.body)).toBe(true);
});

it('drops broker annotations of an event that is sent on after it was received', async () => {
  const service = await start();
  const client = producer(service);
  await sendNumbers(client, '0', 3);
  const [, , third] = await subscribe(consumer(service), '0').until(3);
  const raw = third!.getRawAmqpMessage();
  expect(raw.messageAnnotations).toMatchObject({ 'x-opt-sequence-number': 2 });
  await client.sendBatch([{ ...raw, body: 2, bodyType: 'data' }], { partitionId: '1' });
  const [again] = await subscribe(consumer(service), '1').until(1);
  expect(again).toMatchObject({ body: 2, sequenceNumber: 0, offset: '0' });
});

it('tells runtime properties of the hub and of each partition', async () => {
  const service = await start({ hubs: [{ name: 'telemetry', partitionCount: 3 }] });
  const client = producer(service);
  expect(await client.getEventHubProperties()).toMatchObject({
    name: 'telemetry',
    partitionIds: ['0', '1', '2'],
  });
  expect(await client.getPartitionProperties('1')).toMatchObject({
    isEmpty: true,
    lastEnqueuedSequenceNumber: -1,
  });
  await sendNumbers(client, '1', 5);
  expect(await client.getPartitionProperties('1')).toMatchObject({
    isEmpty: false,
    beginningSequenceNumber: 0,
    lastEnqueuedSequenceNumber: 4,
  });
});
