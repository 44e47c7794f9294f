import { expect, it } from 'vitest';
import { eventually } from '../../helpers/eventually.ts';
import { consumer, producer, start, subscribe } from './clients.ts';

const MIB = 1024 * 1024;

it('takes 100,000 events of 1 KB within its memory bound, and delivers what it kept in order', async () => {
  const service = await start({ maxBytesPerPartition: 8 * MIB });
  const client = producer(service);
  const body = Buffer.alloc(1_000, 'x');
  const send = async (partitionId: string) => {
    for (let sent = 0; sent < 25_000; ) {
      const batch = await client.createBatch({ partitionId });
      while (sent < 25_000 && batch.tryAdd({ body })) sent++;
      await client.sendBatch(batch);
    }
  };
  await Promise.all(['0', '1', '2', '3'].map(send));
  const { eventsIn, hubs } = service.stats();
  expect(eventsIn).toBe(100_000);
  for (const partition of hubs[0]!.partitions) {
    expect(partition.lastSequenceNumber).toBe(24_999);
    expect(partition.sizeBytes).toBeLessThanOrEqual(12 * MIB);
    expect(partition.firstSequenceNumber).toBeGreaterThan(10_000);
  }
  const received = subscribe(consumer(service), '0');
  await eventually(() => received.events.at(-1)?.sequenceNumber === 24_999);
  // A whole segment may have been dropped when the receiver attached.
  const first = service.stats().hubs[0]!.partitions[0]!.firstSequenceNumber;
  expect(received.events.map((event) => event.sequenceNumber)).toEqual(
    Array.from({ length: 25_000 - first }, (_, i) => first + i),
  );
});
