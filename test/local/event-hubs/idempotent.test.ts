import { expect, it } from 'vitest';
import type { MapEntries } from '../../../src/local/amqp/message.ts';
import { AmqpWriter } from '../../../src/local/amqp/writer.ts';
import {
  PRODUCER_EPOCH,
  PRODUCER_ID,
  PRODUCER_SEQUENCE,
  Producers,
} from '../../../src/local/event-hubs/producers.ts';
import { bodies, bufferedProducer, consumer, LOST_ANSWER, start, subscribe } from './clients.ts';

function check(producers: Producers, id: number, epoch: number, sequence: number, count = 1) {
  const writer = new AmqpWriter();
  writer
    .symbol(PRODUCER_ID)
    .long(id)
    .symbol(PRODUCER_EPOCH)
    .short(epoch)
    .symbol(PRODUCER_SEQUENCE)
    .int(sequence);
  const entries: MapEntries = { count: 6, start: 0, end: writer.bytes.length };
  const verdict = producers.check(Buffer.from(writer.bytes), entries, count);
  return typeof verdict === 'string' ? verdict : verdict.condition;
}

it('stores the events of an idempotent producer once, also when an acknowledgement is lost', async () => {
  const service = await start();
  const errors: Error[] = [];
  const client = bufferedProducer(service, {
    ...LOST_ANSWER,
    enableIdempotentRetries: true,
    onError: (error) => errors.push(error),
  });
  for (let i = 0; i < 20; i++) await client.enqueueEvent({ body: i }, { partitionId: '0' });
  await client.flush();
  service.faults.add('event-hubs:timeout');
  for (let i = 20; i < 25; i++) await client.enqueueEvent({ body: i }, { partitionId: '0' });
  await client.close();
  expect(errors).toEqual([]);
  expect(service.faults.list()[0]?.struck).toBe(1);
  const events = await subscribe(consumer(service), '0').until(25);
  expect(bodies(events)).toEqual(Array.from({ length: 25 }, (_, i) => i));
  expect(service.stats().eventsIn).toBe(25);
});

it('accepts what was seen silently, and refuses gaps and overlaps', () => {
  const producers = new Producers(1);
  expect(check(producers, 5, 0, 1, 10)).toBe('store');
  expect(check(producers, 5, 0, 1, 10)).toBe('duplicate');
  expect(check(producers, 5, 0, 3, 2)).toBe('duplicate');
  expect(check(producers, 5, 0, 8, 5)).toBe('com.microsoft:out-of-order-sequence');
  expect(check(producers, 5, 0, 12)).toBe('com.microsoft:out-of-order-sequence');
  expect(check(producers, 5, 0, 11)).toBe('store');
  expect(check(producers, 6, 0, 100)).toBe('store');
});

it('wraps sequence numbers around', () => {
  const producers = new Producers(1);
  expect(check(producers, 5, 0, 2_147_483_647)).toBe('store');
  expect(check(producers, 5, 0, -2_147_483_648)).toBe('store');
  expect(check(producers, 5, 0, 2_147_483_647)).toBe('duplicate');
});

it('lets a higher epoch take over and refuses the lower one', () => {
  const producers = new Producers(1);
  expect(check(producers, 5, 0, 1)).toBe('store');
  expect(producers.open({ id: 5, epoch: 1 })).toEqual({ id: 5, epoch: 1, sequence: 1 });
  expect(check(producers, 5, 0, 2)).toBe('com.microsoft:producer-epoch-stolen');
  expect(producers.open({ id: 5, epoch: 0 })).toMatchObject({
    condition: 'com.microsoft:producer-epoch-stolen',
  });
});
