import {
  type EventData,
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
} from '@azure/event-hubs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MessageReader } from '../../src/eventhubs/message-reader.ts';
import { decodeTransfers, receivedEvents, waitingEvents } from '../../src/eventhubs/processor-decode.ts';
import { listenToLinks } from '../../src/eventhubs/processor-links.ts';
import type { ReceivedEvent } from '../../src/eventhubs/received-event.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';

const HUB = 'decode';
const ORDINARY: readonly EventData[] = [
  { body: { eventId: 'e-1', text: 'näive \u{1f600}' } },
  { body: { n: 1 }, properties: { text: 'ä', empty: '', long: 'x'.repeat(300) } },
  {
    body: { n: 2 },
    properties: { small: 5, negative: -7, large: 4_294_967_295, micros: 1_763_000_000_000_000 },
  },
  { body: { n: 3 }, properties: { fraction: 0.1, tiny: -1e-300, yes: true, no: false, nothing: null } },
  { body: { n: 4 }, properties: { at: new Date(1_700_000_000_123) } },
  { body: { n: 5 }, messageId: 'm', correlationId: 'c', contentType: 'application/json' },
  { body: { filler: 'y'.repeat(900) } },
];
const UNUSUAL: readonly EventData[] = [
  // Larger than one AMQP frame.
  { body: { filler: 'z'.repeat(200_000) } },
  { body: { n: 6 }, properties: { bytes: Buffer.from([1, 2, 3]) } },
];

let service: EventHubsService;
let connectionString: string;

beforeAll(async () => {
  service = await startEventHubs({ port: 0 });
  connectionString = service.environment['EVENTHUB_CONNECTION_STRING'] ?? '';
  const producer = new EventHubProducerClient(connectionString, HUB);
  await producer.sendBatch([...ORDINARY, ...UNUSUAL], { partitionId: '0' });
  await producer.sendBatch([{ body: { keyed: true } }], { partitionKey: 'a-key' });
  await producer.sendBatch(
    [
      { body: { a: 1 }, bodyType: 'value' },
      { body: [[1], [2]], bodyType: 'sequence' },
    ],
    {
      partitionId: '0',
    },
  );
  await producer.close();
});
afterAll(() => service.stop());

const COUNT = ORDINARY.length + UNUSUAL.length + 3;

/** Receives everything, with or without our decoding, and tells how many messages of the SDK it took. */
async function receive(decode: boolean): Promise<{ events: ReceivedEvent[]; messages: number }> {
  const client = new EventHubConsumerClient('$Default', connectionString, HUB);
  const links: object[] = [];
  const hooked: boolean[] = [];
  if (decode)
    listenToLinks(client, {
      opened(link) {
        links.push(link as object);
        hooked.push(decodeTransfers(link));
      },
    });
  const events: ReceivedEvent[] = [];
  let messages = 0;
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      {
        processEvents: async (delivered) => {
          messages += delivered.length;
          events.push(...receivedEvents(delivered));
          if (events.length === COUNT) resolve();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: earliestEventPosition, maxBatchSize: 4, skipParsingBodyAsJson: true },
    );
  });
  expect(links.map(waitingEvents)).toEqual(links.map(() => 0));
  await client.close();
  expect(hooked).not.toContain(false);
  return { events, messages };
}

/** As one partition delivered them; bodies of our decoding refer to the bytes of a whole read. */
const byEvent = (events: readonly ReceivedEvent[], isOfKey: boolean) =>
  events
    .filter(({ partitionKey }) => (partitionKey !== undefined) === isOfKey)
    .map((event) => ({ ...event }));

it('reads what the SDK reads, in its order, and leaves to it what is not ordinary', async () => {
  const theirs = await receive(false);
  const ours = await receive(true);
  for (const isOfKey of [false, true])
    expect(byEvent(ours.events, isOfKey)).toEqual(byEvent(theirs.events, isOfKey));
  expect(theirs.messages).toBe(COUNT);
  // Left to the SDK: the one of several frames, the one with bytes in a property, and two bodies of other types.
  expect(ours.messages).toBeGreaterThan(UNUSUAL.length + 2);
  expect(ours.messages).toBeLessThan(COUNT);
});

it('opens the session window again and again', async () => {
  // rhea announces a window of 2,048 transfers and opens it again when half of it is used.
  const count = 5_000;
  const producer = new EventHubProducerClient(connectionString, 'decode-many');
  const batch = Array.from({ length: count / 10 }, (_, i) => ({ body: i }));
  for (let i = 0; i < 10; i++) await producer.sendBatch(batch, { partitionId: '1' });
  await producer.close();
  const client = new EventHubConsumerClient('$Default', connectionString, 'decode-many');
  listenToLinks(client, { opened: (link) => expect(decodeTransfers(link)).toBe(true) });
  const numbers: number[] = [];
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      '1',
      {
        processEvents: async (delivered) => {
          for (const { sequenceNumber } of receivedEvents(delivered)) numbers.push(sequenceNumber);
          if (numbers.length >= count) resolve();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: earliestEventPosition, maxBatchSize: 500, skipParsingBodyAsJson: true },
    );
  });
  await client.close();
  expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
});

it('leaves a truncated or foreign payload to the SDK, whatever its bytes', () => {
  const reader = new MessageReader();
  const message = Buffer.from([0, 0x53, 0x75, 0xa0, 3, 1, 2, 3]);
  for (let length = 0; length <= message.length; length++)
    expect(reader.read(message.subarray(0, length)), `${length} bytes`).toBeUndefined();
  expect(
    reader.read(Buffer.from([0, 0x53, 0x72, 0xd1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 0xa3])),
  ).toBeUndefined();
});

it('leaves a link of another shape alone', () => {
  expect(decodeTransfers({})).toBe(false);
});
