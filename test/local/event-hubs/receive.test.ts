import {
  type Checkpoint,
  EventHubConsumerClient,
  latestEventPosition,
  type PartitionOwnership,
} from '@azure/event-hubs';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/util/clock.ts';
import { eventually } from '../../helpers/eventually.ts';
import { bodies, consumer, producer, sendNumbers, start, subscribe } from './clients.ts';

it('starts at earliest, sequence number, offset and enqueued time, inclusive or not', async () => {
  const service = await start();
  const client = producer(service);
  await sendNumbers(client, '0', 5);
  const all = await subscribe(consumer(service), '0').until(5);
  await eventually(() => Math.floor(systemClock.epochMicros() / 1000) > Number(all[4]?.enqueuedTimeUtc));
  await sendNumbers(client, '0', 5, 5);
  const from = async (startPosition: object, count: number) => {
    const received = subscribe(consumer(service), '0', { startPosition });
    const events = await received.until(count);
    // A partition admits five receivers at a time.
    await received.close();
    return bodies(events)[0];
  };
  expect(await from({ sequenceNumber: 3, isInclusive: true }, 7)).toBe(3);
  expect(await from({ sequenceNumber: 3 }, 6)).toBe(4);
  expect(await from({ offset: all[3]?.offset, isInclusive: true }, 7)).toBe(3);
  expect(await from({ offset: all[3]?.offset }, 6)).toBe(4);
  expect(await from({ enqueuedOn: all[4]?.enqueuedTimeUtc }, 5)).toBe(5);
});

it('starts at latest: delivers only what is sent after the receiver attached', async () => {
  const service = await start();
  const client = producer(service);
  await sendNumbers(client, '0', 5);
  const received = subscribe(consumer(service), '0', { startPosition: latestEventPosition });
  await eventually(() => service.stats().hubs[0]?.receivers === 1);
  await sendNumbers(client, '0', 2, 100);
  expect(bodies(await received.until(2))).toEqual([100, 101]);
});

it('refuses a position that the log has not reached, in the words of the service', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 2);
  const received = subscribe(consumer(service, { maxRetries: 0 }), '0', {
    startPosition: { sequenceNumber: 71_181 },
  });
  await received.untilError();
  expect(received.errors[0]?.message).toContain(
    "The supplied sequence number '71181' is invalid. The last sequence number in the system is '1'",
  );
});

it('delivers to each consumer group on its own', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 3);
  for (const group of ['$Default', 'audit'])
    expect(bodies(await subscribe(consumer(service, { group }), '0').until(3))).toEqual([0, 1, 2]);
});

it('adds runtime metrics when they are asked for', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 3);
  const seen: unknown[] = [];
  const client = consumer(service);
  const subscription = client.subscribe(
    '0',
    {
      processEvents: async (_, context) => {
        if (context.lastEnqueuedEventProperties?.sequenceNumber !== undefined)
          seen.push(context.lastEnqueuedEventProperties.sequenceNumber);
      },
      processError: async () => {},
    },
    { startPosition: { sequenceNumber: 0 }, trackLastEnqueuedEventProperties: true },
  );
  await eventually(() => expect(seen[0]).toBe(2));
  await subscription.close();
});

it('lets an equal or higher owner level steal the link, and refuses lower ones and none', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 1);
  const first = subscribe(consumer(service), '0', { ownerLevel: 1 });
  await first.until(1);
  const equal = subscribe(consumer(service), '0', { ownerLevel: 1 });
  expect(await first.untilError()).toBe('ReceiverDisconnectedError');
  await equal.until(1);
  const higher = subscribe(consumer(service), '0', { ownerLevel: 2 });
  expect(await equal.untilError()).toBe('ReceiverDisconnectedError');
  await higher.until(1);
  expect(await subscribe(consumer(service), '0', { ownerLevel: 1 }).untilError()).toBe(
    'ReceiverDisconnectedError',
  );
  expect(await subscribe(consumer(service), '0').untilError()).toBe('ReceiverDisconnectedError');
  expect(higher.errors).toEqual([]);
});

it('admits five receivers without owner level per partition and group, not six', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 1);
  for (let i = 0; i < 5; i++) await subscribe(consumer(service), '0').until(1);
  const sixth = subscribe(consumer(service, { maxRetries: 0 }), '0');
  expect(await sixth.untilError()).toBe('QuotaExceededError');
});

it('resumes from checkpoints with the event processor', async () => {
  const service = await start();
  await sendNumbers(producer(service), '0', 10);
  const checkpoints = new Map<string, Checkpoint>();
  const store = {
    listOwnership: async () => [],
    claimOwnership: async (claims: PartitionOwnership[]) => claims.map((claim) => ({ ...claim, etag: 'e' })),
    updateCheckpoint: async (checkpoint: Checkpoint) => {
      checkpoints.set(checkpoint.partitionId, checkpoint);
    },
    listCheckpoints: async () => [...checkpoints.values()],
  };
  const receive = async (count: number) => {
    const seen: unknown[] = [];
    const client = new EventHubConsumerClient('$Default', service.connectionString, 'telemetry', store, {
      loadBalancingOptions: { strategy: 'greedy', updateIntervalInMs: 200 },
    });
    const subscription = client.subscribe(
      {
        processEvents: async (events, context) => {
          seen.push(...bodies(events));
          if (events.length > 0) await context.updateCheckpoint(events.at(-1)!);
        },
        processError: async () => {},
      },
      { startPosition: { sequenceNumber: 0, isInclusive: true }, maxBatchSize: 100 },
    );
    await eventually(() => expect(seen).toHaveLength(count));
    await eventually(
      () =>
        checkpoints.get('0')?.sequenceNumber ===
        (service.stats().hubs[0]?.partitions[0]?.lastSequenceNumber ?? -1),
    );
    await subscription.close();
    await client.close();
    return seen;
  };
  expect(await receive(10)).toHaveLength(10);
  await sendNumbers(producer(service), '0', 3, 10);
  expect(await receive(3)).toEqual([10, 11, 12]);
});
