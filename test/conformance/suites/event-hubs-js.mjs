// The unmodified @azure/event-hubs of this repository against the embedded Event Hubs.
import assert from 'node:assert/strict';
import {
  EventHubBufferedProducerClient,
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  latestEventPosition,
} from '@azure/event-hubs';
import { eventually } from '../suite.mjs';

const retryOptions = { maxRetries: 2, retryDelayInMs: 50, maxRetryDelayInMs: 200, timeoutInMs: 5_000 };

export async function run({ check, server }) {
  const { startEventHubs } = await server('local/event-hubs/index');
  const service = await startEventHubs({ hubs: [{ name: 'hub', partitionCount: 4 }] });
  const address = service.environment.EVENTHUB_CONNECTION_STRING;
  const open = [];
  const keep = (client) => {
    open.push(client);
    return client;
  };
  const producer = keep(new EventHubProducerClient(address, 'hub', { retryOptions }));
  const consumer = (group = '$Default', ...rest) =>
    keep(
      new EventHubConsumerClient(group, address, 'hub', ...rest, {
        retryOptions,
        loadBalancingOptions: { strategy: 'greedy', updateIntervalInMs: 200 },
      }),
    );
  const reader = consumer();

  /** Receives from one partition until `enough` says so. */
  async function receive(partitionId, startPosition, enough, options = {}) {
    const events = [];
    const errors = [];
    const subscription = (options.client ?? reader).subscribe(
      partitionId,
      {
        processEvents: async (batch) => void events.push(...batch),
        processError: async (error) => void errors.push(error),
      },
      { startPosition, maxBatchSize: 100, maxWaitTimeInSeconds: 1, ...options.subscribe },
    );
    try {
      return await eventually(() => enough(events, errors));
    } finally {
      await subscription.close();
    }
  }
  const count = (wanted) => (events) => events.length >= wanted && events;

  await check('tells the properties of the hub', async () => {
    const { name, partitionIds, createdOn } = await producer.getEventHubProperties();
    assert.equal(name, 'hub');
    assert.deepEqual(partitionIds, ['0', '1', '2', '3']);
    assert.ok(createdOn instanceof Date);
  });
  await check('tells the properties of an empty partition', async () => {
    const properties = await producer.getPartitionProperties('0');
    assert.equal(properties.isEmpty, true);
    assert.equal(properties.partitionId, '0');
  });
  await check('sends to a partition and receives in order with sequence numbers', async () => {
    await producer.sendBatch(
      [1, 2, 3].map((body) => ({ body })),
      { partitionId: '0' },
    );
    const events = await receive('0', earliestEventPosition, count(3));
    assert.deepEqual(
      events.map(({ body, sequenceNumber }) => [body, sequenceNumber]),
      [
        [1, 0],
        [2, 1],
        [3, 2],
      ],
    );
    assert.ok(events.every(({ enqueuedTimeUtc, offset }) => enqueuedTimeUtc instanceof Date && offset));
  });
  await check('keeps body, properties and message properties of every type', async () => {
    const body = { text: '\u6f22', list: [1, null, true], nested: { f: 0.5 } };
    const properties = { text: 'a', number: 7, yes: true, time: new Date(1_700_000_000_000) };
    await producer.sendBatch(
      [{ body, properties, contentType: 'application/json', correlationId: 'c', messageId: 'm' }],
      { partitionId: '1' },
    );
    const [event] = await receive('1', earliestEventPosition, count(1));
    assert.deepEqual(event.body, body);
    // The SDK hands out dates as milliseconds.
    assert.deepEqual(event.properties, { ...properties, time: 1_700_000_000_000 });
    assert.deepEqual(
      [event.contentType, event.correlationId, event.messageId],
      ['application/json', 'c', 'm'],
    );
  });
  await check('keeps bytes as bytes', async () => {
    await producer.sendBatch([{ body: Buffer.from([0, 255, 10]) }], { partitionId: '1' });
    const events = await receive('1', earliestEventPosition, count(2));
    assert.deepEqual([...events[1].body], [0, 255, 10]);
  });
  await check('keeps events of one partition key together, with the key', async () => {
    for (let i = 0; i < 3; i++) await producer.sendBatch([{ body: i }], { partitionKey: 'device-7' });
    const homes = [];
    for (const id of ['0', '1', '2', '3']) {
      const { lastEnqueuedSequenceNumber, isEmpty } = await producer.getPartitionProperties(id);
      if (isEmpty) continue;
      const events = await receive(id, earliestEventPosition, count(lastEnqueuedSequenceNumber + 1));
      if (events.some(({ partitionKey }) => partitionKey === 'device-7')) homes.push(id);
    }
    assert.equal(homes.length, 1);
  });
  await check('fills a batch up to 1 MB and sends it', async () => {
    const { lastEnqueuedSequenceNumber: last } = await producer.getPartitionProperties('2');
    const batch = await producer.createBatch({ partitionId: '2' });
    assert.ok(batch.maxSizeInBytes >= 1_000_000 && batch.maxSizeInBytes <= 1_048_576);
    while (batch.tryAdd({ body: 'x'.repeat(10_000) }));
    await producer.sendBatch(batch);
    const from = last < 0 ? earliestEventPosition : { sequenceNumber: last };
    assert.equal((await receive('2', from, count(batch.count))).length, batch.count);
  });
  await check('refuses an event above 1 MB', async () => {
    await assert.rejects(
      producer.sendBatch([{ body: 'x'.repeat(1_100_000) }], { partitionId: '2' }),
      ({ code }) => code === 'MessageTooLargeError',
    );
  });
  await check('starts at a sequence number, inclusive or not', async () => {
    const first = async (startPosition) => (await receive('0', startPosition, count(1)))[0].body;
    assert.equal(await first({ sequenceNumber: 1, isInclusive: true }), 2);
    assert.equal(await first({ sequenceNumber: 1 }), 3);
  });
  await check('starts at an offset and at a time', async () => {
    const [, second] = await receive('0', earliestEventPosition, count(3));
    const [atOffset] = await receive('0', { offset: second.offset, isInclusive: true }, count(1));
    assert.equal(atOffset.body, 2);
    const before = new Date(second.enqueuedTimeUtc.getTime() - 1_000);
    assert.equal((await receive('0', { enqueuedOn: before }, count(3))).length, 3);
  });
  await check('starts at the latest: only what comes after', async () => {
    const late = receive('3', latestEventPosition, (events) => events.some(({ body }) => body === 'late'));
    let sent = false;
    const sending = (async () => {
      // Until the link is attached, what is sent is not "after".
      while (!sent) {
        await producer.sendBatch([{ body: 'late' }], { partitionId: '3' });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    assert.equal(await late, true);
    sent = true;
    await sending;
  });
  await check('lets a higher owner level take over, and disconnects the lower', async () => {
    const low = consumer();
    const errors = [];
    const subscription = low.subscribe(
      '0',
      { processEvents: async () => {}, processError: async (error) => void errors.push(error) },
      { startPosition: earliestEventPosition, ownerLevel: 1, maxWaitTimeInSeconds: 1 },
    );
    await eventually(() => service.stats().hubs[0].receivers === 1);
    await receive('0', earliestEventPosition, count(3), { client: consumer(), subscribe: { ownerLevel: 2 } });
    await eventually(() => errors.some(({ code }) => code === 'ReceiverDisconnectedError'));
    await subscription.close();
  });
  await check('serves consumer groups independently', async () => {
    const other = consumer('audit');
    assert.equal((await receive('0', earliestEventPosition, count(3), { client: other })).length, 3);
  });
  await check('tells the last enqueued event on the way', async () => {
    const client = consumer();
    const seen = [];
    const subscription = client.subscribe(
      '0',
      {
        processEvents: async (_, context) =>
          void seen.push(context.lastEnqueuedEventProperties?.sequenceNumber),
        processError: async () => {},
      },
      {
        startPosition: earliestEventPosition,
        trackLastEnqueuedEventProperties: true,
        maxWaitTimeInSeconds: 1,
      },
    );
    await eventually(() => seen.includes(2));
    await subscription.close();
  });
  await check('processes all partitions, and goes on from its checkpoints', async () => {
    const store = memoryStore();
    const expected = await total(producer);
    const readAll = async (stop) => {
      const client = consumer('processor', store);
      const seen = [];
      const subscription = client.subscribe(
        {
          processEvents: async (events, context) => {
            seen.push(...events);
            if (events.length > 0) await context.updateCheckpoint(events.at(-1));
          },
          processError: async () => {},
        },
        { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
      );
      await eventually(() => stop(seen), { limitMs: 20_000 });
      await subscription.close();
      return seen;
    };
    assert.equal((await readAll((seen) => seen.length >= expected)).length, expected);
    await producer.sendBatch([{ body: 'after' }], { partitionId: '1' });
    const again = await readAll((seen) => seen.length > 0);
    assert.deepEqual(
      again.map(({ body }) => body),
      ['after'],
    );
  });
  for (const enableIdempotentRetries of [false, true])
    await check(
      `sends with the buffered producer, idempotent retries ${enableIdempotentRetries}`,
      async () => {
        const failures = [];
        const before = await total(producer);
        const buffered = new EventHubBufferedProducerClient(address, 'hub', {
          retryOptions,
          enableIdempotentRetries,
          onSendEventsErrorHandler: async ({ error }) => void failures.push(error),
        });
        for (let i = 0; i < 500; i++) await buffered.enqueueEvent({ body: i });
        await buffered.close({ flush: true });
        assert.deepEqual(failures, []);
        assert.equal((await total(producer)) - before, 500);
      },
    );
  await check('refuses a wrong key', async () => {
    const wrong = address.replace(/SharedAccessKey=[^;]+/, 'SharedAccessKey=wrong');
    const stranger = keep(
      new EventHubProducerClient(wrong, 'hub', { retryOptions: { ...retryOptions, maxRetries: 0 } }),
    );
    await assert.rejects(stranger.getPartitionIds(), /[Uu]nauthori[sz]ed|signature|token/);
  });
  await check('refuses a partition that is not there', async () => {
    await assert.rejects(producer.sendBatch([{ body: 1 }], { partitionId: '99' }));
    await assert.rejects(producer.getPartitionProperties('99'));
  });

  await Promise.all(open.map((client) => client.close().catch(() => {})));
  await service.stop();
}

async function total(producer) {
  const properties = await Promise.all(
    (await producer.getPartitionIds()).map((id) => producer.getPartitionProperties(id)),
  );
  return properties.reduce(
    (sum, { isEmpty, lastEnqueuedSequenceNumber }) => sum + (isEmpty ? 0 : lastEnqueuedSequenceNumber + 1),
    0,
  );
}

/** The least that the SDK asks of a checkpoint store. */
function memoryStore() {
  const ownerships = new Map();
  const checkpoints = new Map();
  return {
    listOwnership: async () => [...ownerships.values()],
    claimOwnership: async (claims) =>
      claims.map((claim) => {
        const owned = { ...claim, etag: `${Math.random()}`, lastModifiedTimeInMs: Date.now() };
        ownerships.set(claim.partitionId, owned);
        return owned;
      }),
    updateCheckpoint: async (checkpoint) => void checkpoints.set(checkpoint.partitionId, checkpoint),
    listCheckpoints: async () => [...checkpoints.values()],
  };
}
