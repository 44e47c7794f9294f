import { EventHubProducerClient } from '@azure/event-hubs';
import { expect, it, onTestFinished } from 'vitest';
import { EncodedBatch } from '../../src/eventhubs/encoded-batch.ts';
import { eventEncoding } from '../../src/eventhubs/event-encoding.ts';
import { openProducer } from '../../src/eventhubs/producer.ts';
import { endSendsWithLinks } from '../../src/eventhubs/producer-links.ts';
import type { EventHubsService } from '../../src/local/event-hubs/index.ts';
import type { Faults } from '../../src/local/faults/faults.ts';
import { Secret } from '../../src/util/secret.ts';
import { start } from '../local/event-hubs/clients.ts';

const encoding = eventEncoding({ run: 'run', annotateKey: false, contentType: 'application/json' });
const keys = { bytes: Buffer.from('key'), startOf: () => 0, lengthOf: () => 3 };

function batchOf(sequence: number): EncodedBatch {
  const batch = new EncodedBatch(encoding, 10_000, 1);
  batch.partitionId = '0';
  const at = batch.begin(keys, keys, 0, sequence, 0);
  batch.commit(at + batch.buffer.write('{}', at));
  return batch;
}

async function open(service: EventHubsService) {
  const producer = await openProducer({
    connectionString: new Secret(service.connectionString),
    eventHub: 'telemetry',
    consumerGroup: '$Default',
  });
  onTestFinished(() => producer.close());
  return producer;
}

const storedIn = (service: EventHubsService): number =>
  (service.stats().hubs[0]?.partitions[0]?.lastSequenceNumber ?? -1) + 1;

it.each([
  ['detach', 'DetachForcedError'],
  ['reset', 'ConnectionForcedError'],
])('ends a send with the %s that takes its answer away, not with the time limit', async (fault, name) => {
  const service = await start();
  const producer = await open(service);
  // Once more for the link and the connection that came after.
  for (const sequence of [0, 1]) {
    const batch = batchOf(sequence);
    service.faults.add(`event-hubs:${fault}`);
    expect(await producer.send(batch)).toMatchObject({ kind: 'retryable', name, outcomeUnknown: true });
    expect(await producer.send(batch)).toBeUndefined();
    expect(storedIn(service)).toBe(sequence + 1);
  }
});

it('takes an answer that comes together with the end of the link', async () => {
  let deliveries = 0;
  const second = {
    any: true,
    draw: (kind: string) => (kind === 'detach' && ++deliveries === 2 ? { delayMs: 0 } : undefined),
    onDue: () => () => {},
  } as unknown as Faults;
  const service = await start({ faults: second });
  const producer = await open(service);
  const outcomes = await Promise.all([producer.send(batchOf(0)), producer.send(batchOf(1))]);
  expect(outcomes).toMatchObject([undefined, { name: 'DetachForcedError', outcomeUnknown: true }]);
  expect(storedIn(service)).toBe(1);
});

it('finds what it needs in the SDK that is installed, and leaves a client of another shape alone', async () => {
  const client = new EventHubProducerClient(
    'Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true;',
    'hub',
  );
  expect(endSendsWithLinks(client)).toBe(true);
  await client.close();
  expect(endSendsWithLinks({})).toBe(false);
});
