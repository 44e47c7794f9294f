import {
  type EventData,
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
  type ReceivedEventData,
} from '@azure/event-hubs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodedEvent, decodeEvent, decodeTransfers } from '../../src/eventhubs/processor-decode.ts';
import { listenToLinks } from '../../src/eventhubs/processor-links.ts';
import { toReceivedEvent } from '../../src/eventhubs/received-event.ts';
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

/** Receives everything, with or without our decoding. */
async function receive(decode: boolean): Promise<ReceivedEventData[]> {
  const client = new EventHubConsumerClient('$Default', connectionString, HUB);
  const hooked: boolean[] = [];
  if (decode) listenToLinks(client, { opened: (link) => hooked.push(decodeTransfers(link)) });
  const received: ReceivedEventData[] = [];
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      {
        processEvents: async (events) => {
          received.push(...events);
          if (received.length === ORDINARY.length + UNUSUAL.length + 3) resolve();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: earliestEventPosition, maxBatchSize: 4, skipParsingBodyAsJson: true },
    );
  });
  await client.close();
  if (decode) expect(hooked).not.toContain(false);
  return received;
}

const inOrder = (a: { sequenceNumber: number; enqueuedMs: number }, b: typeof a) =>
  a.enqueuedMs - b.enqueuedMs || a.sequenceNumber - b.sequenceNumber;

it('reads what the SDK reads, and leaves to it what is not ordinary', { timeout: 20_000 }, async () => {
  const theirs = await receive(false);
  const ours = await receive(true);
  const decoded = ours.map((event) => decodedEvent(event));
  // All but: the one of several frames, the one with bytes in a property, and bodies of other types.
  expect(decoded.filter((event) => event !== undefined)).toHaveLength(ORDINARY.length + 1);
  const events = ours.map((event, i) => ({ ...(decoded[i] ?? toReceivedEvent(event)) }));
  expect(events.toSorted(inOrder)).toEqual(theirs.map(toReceivedEvent).toSorted(inOrder));
});

it('does not take events without our decoding for decoded', async () => {
  const theirs = await receive(false);
  expect(theirs.map(decodedEvent)).toEqual(theirs.map(() => undefined));
});

it('leaves a truncated or foreign payload to the SDK, whatever its bytes', () => {
  const message = Buffer.from([0, 0x53, 0x75, 0xa0, 3, 1, 2, 3]);
  for (let length = 0; length <= message.length; length++)
    expect(decodeEvent(message.subarray(0, length)), `${length} bytes`).toBeUndefined();
  expect(
    decodeEvent(Buffer.from([0, 0x53, 0x72, 0xd1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 0xa3])),
  ).toBeUndefined();
});

it('leaves a link of another shape alone', () => {
  expect(decodeTransfers({})).toBe(false);
});
