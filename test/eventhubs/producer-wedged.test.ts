import { EventHubProducerClient } from '@azure/event-hubs';
import { afterEach, expect, it, vi } from 'vitest';
import { EncodedBatch } from '../../src/eventhubs/encoded-batch.ts';
import { eventEncoding } from '../../src/eventhubs/event-encoding.ts';
import { openProducer } from '../../src/eventhubs/producer.ts';
import { startEventHubs } from '../../src/local/event-hubs/index.ts';
import { Secret } from '../../src/util/secret.ts';

/** Longer than any test stands still, and of no other timer. */
const ANSWER_MS = 60_001;

afterEach(() => void vi.restoreAllMocks());

/** The next wait for an operation to end is over at once. */
function loseNextPatience(): void {
  const real = setTimeout;
  const timers = vi.spyOn(globalThis, 'setTimeout');
  timers.mockImplementation(((end: () => void, ms: number, ...more: []) => {
    if (ms !== 2 * ANSWER_MS) return real(end, ms, ...more);
    timers.mockRestore();
    return real(end, 0);
  }) as typeof setTimeout);
}

it('gives up an attempt that the SDK never ends, and goes on with another connection', async () => {
  const hubs = await startEventHubs();
  const target = {
    connectionString: new Secret(hubs.connectionString),
    eventHub: 'telemetry',
    consumerGroup: '$Default',
  };
  const producer = await openProducer(target, { answerMs: ANSWER_MS });
  const closed = vi.spyOn(EventHubProducerClient.prototype, 'close');
  const sendBatch = vi.spyOn(EventHubProducerClient.prototype, 'sendBatch');
  try {
    const encoding = eventEncoding({ run: 'run', annotateKey: false, contentType: 'application/json' });
    const batch = new EncodedBatch(encoding, 64_000, 10);
    batch.partitionId = '0';
    sendBatch.mockImplementationOnce(() => new Promise(() => {}));
    loseNextPatience();
    expect(await producer.send(batch)).toMatchObject({ kind: 'retryable', outcomeUnknown: true });
    expect(closed).toHaveBeenCalledTimes(1);
    const wedged = closed.mock.contexts[0];
    sendBatch.mockImplementationOnce(async () => {
      throw Object.assign(new Error('busy'), {
        name: 'ServerBusyError',
        code: 'ServerBusyError',
        retryable: true,
      });
    });
    expect(await producer.send(batch)).toMatchObject({ kind: 'throttled' });
    expect(sendBatch.mock.contexts[1]).not.toBe(wedged);
  } finally {
    await producer.close();
    await hubs.stop();
  }
});

it('opens, and closes, although the SDK never ends an operation of it', async () => {
  const hubs = await startEventHubs();
  const target = {
    connectionString: new Secret(hubs.connectionString),
    eventHub: 'telemetry',
    consumerGroup: '$Default',
  };
  const ask = vi.spyOn(EventHubProducerClient.prototype, 'getPartitionIds');
  const never = (): Promise<never> => new Promise(() => {});
  ask.mockImplementationOnce(never);
  loseNextPatience();
  const producer = await openProducer(target, { answerMs: ANSWER_MS });
  expect(producer.partitionIds).toEqual(['0', '1', '2', '3']);
  expect(ask).toHaveBeenCalledTimes(2);
  expect(ask.mock.contexts[1]).not.toBe(ask.mock.contexts[0]);
  const close = vi.spyOn(EventHubProducerClient.prototype, 'close').mockImplementationOnce(never);
  await producer.close();
  await (close.mock.contexts[0] as EventHubProducerClient).close();
  await hubs.stop();
});
