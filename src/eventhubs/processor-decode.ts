import type { ReceivedEventData } from '@azure/event-hubs';
import { NO_PROPERTIES, type ReceivedEvent } from './received-event.ts';

/**
 * The hot path of receiving: reads the few parts of a message that `ingest` needs straight from the bytes of a transfer.
 *
 * The SDK's way (rhea 3: a reader that makes an object per value, then four representations of each message) costs about
 * three times the CPU. Links, sessions, credit and settlement stay the SDK's; only the payload is read here, and only when
 * it has the ordinary shape. Every other message takes the SDK's way, as all do when the SDK has changed inside
 * (test/eventhubs/processor-decode.test.ts notices).
 */

/** A transfer as rhea hands it from its frame reader to its session. */
interface TransferFrame {
  readonly performative?: { more?: unknown; message_format?: unknown };
  payload?: unknown;
}

interface RheaSession {
  on_transfer(frame: TransferFrame): void;
}

/** rhea decodes message format 0 only and passes any other payload on as it is. */
const ALREADY_DECODED = 0x43500000;

/** What stands in for a rhea message: the SDK remembers the sequence number for reconnects and passes the body through. */
class DecodedMessage {
  readonly message_annotations: { readonly 'x-opt-sequence-number': number };
  readonly body: DecodedEvent;

  constructor(body: DecodedEvent) {
    this.message_annotations = { 'x-opt-sequence-number': body.sequenceNumber };
    this.body = body;
  }
}

class DecodedEvent implements ReceivedEvent {
  readonly body: Buffer;
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly enqueuedMs: number;
  readonly partitionKey: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;

  constructor({ body, sequenceNumber, offset, enqueuedMs, partitionKey, properties }: ReceivedEvent) {
    this.body = body as Buffer;
    this.sequenceNumber = sequenceNumber;
    this.offset = offset;
    this.enqueuedMs = enqueuedMs;
    this.partitionKey = partitionKey;
    this.properties = properties;
  }
}

/** Makes a receiver link of the SDK decode its transfers here. False, and nothing done, when it has another shape. */
export function decodeTransfers(receiver: unknown): boolean {
  const session = (receiver as { _link?: { session?: RheaSession } })._link?.session;
  if (typeof session?.on_transfer !== 'function') return false;
  const takeTransfer = session.on_transfer.bind(session);
  let continued = false;
  session.on_transfer = (frame) => {
    const { performative, payload } = frame;
    const more = performative?.more === true;
    // A message in several frames is put together by rhea.
    if (performative?.message_format === 0 && !more && !continued && Buffer.isBuffer(payload)) {
      const event = decodeEvent(payload);
      if (event !== undefined) {
        frame.payload = new DecodedMessage(new DecodedEvent(event));
        performative.message_format = ALREADY_DECODED;
      }
    }
    continued = more;
    takeTransfer(frame);
  };
  return true;
}

/** The event in what the SDK delivers, `undefined` when it took the SDK's way. */
export function decodedEvent({ body }: Pick<ReceivedEventData, 'body'>): ReceivedEvent | undefined {
  return body instanceof DecodedEvent ? body : undefined;
}

/** Section descriptors, AMQP 1.0 3.2. */
const HEADER = 0x70;
const MESSAGE_ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;

/** Thrown for what is left to the SDK; one object, because a stack costs more than the event. */
const LEFT_TO_SDK = new Error('not a message of the ordinary shape');

/**
 * Decodes a message of one data section, annotations as Event Hubs writes them and application properties of primitive
 * types; `undefined` for any other.
 */
export function decodeEvent(payload: Buffer): ReceivedEvent | undefined {
  try {
    return new MessageReader(payload).read();
  } catch (error) {
    if (error === LEFT_TO_SDK || error instanceof RangeError) return undefined;
    throw error;
  }
}

class MessageReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): ReceivedEvent {
    let body: Buffer | undefined;
    let annotations: Record<string, unknown> = NO_PROPERTIES;
    let properties = NO_PROPERTIES;
    while (this.#at < this.#bytes.length) {
      switch (this.#section()) {
        case HEADER:
        case PROPERTIES:
          this.#skipList();
          break;
        case MESSAGE_ANNOTATIONS:
          annotations = this.#map();
          break;
        case APPLICATION_PROPERTIES:
          properties = this.#map();
          break;
        case DATA:
          if (body !== undefined) throw LEFT_TO_SDK;
          body = this.#binary();
          break;
        default:
          throw LEFT_TO_SDK;
      }
    }
    const sequenceNumber = annotations['x-opt-sequence-number'];
    const enqueuedMs = annotations['x-opt-enqueued-time'];
    const offset = annotations['x-opt-offset'];
    const partitionKey = annotations['x-opt-partition-key'] ?? undefined;
    if (body === undefined || typeof sequenceNumber !== 'number' || typeof enqueuedMs !== 'number')
      throw LEFT_TO_SDK;
    if (typeof offset !== 'string' || (partitionKey !== undefined && typeof partitionKey !== 'string'))
      throw LEFT_TO_SDK;
    return { body, sequenceNumber, offset, enqueuedMs, partitionKey, properties };
  }

  /** A described type whose descriptor is a small ulong, as every known sender writes sections. */
  #section(): number {
    if (this.#byte() !== 0x00 || this.#byte() !== 0x53) throw LEFT_TO_SDK;
    return this.#byte();
  }

  #skipList(): void {
    const code = this.#byte();
    if (code === 0x45) return;
    this.#skip(this.#size(code, 0xc0, 0xd0));
    if (this.#at > this.#bytes.length) throw LEFT_TO_SDK;
  }

  #map(): Record<string, unknown> {
    const code = this.#byte();
    this.#size(code, 0xc1, 0xd1);
    const count = code === 0xc1 ? this.#byte() : this.#uint();
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i += 2) {
      const key = this.#value();
      // A property of this name would set the prototype instead.
      if (typeof key !== 'string' || key === '__proto__') throw LEFT_TO_SDK;
      map[key] = this.#value();
    }
    return map;
  }

  /** Primitive values, in the representation that the SDK gives them. */
  #value(): unknown {
    const code = this.#byte();
    switch (code) {
      case 0xa1:
      case 0xb1:
        return this.#text(this.#size(code, 0xa1, 0xb1), 'utf8');
      case 0xa3:
      case 0xb3:
        return this.#text(this.#size(code, 0xa3, 0xb3), 'latin1');
      case 0x40:
        return null;
      case 0x41:
        return true;
      case 0x42:
        return false;
      case 0x56:
        return this.#byte() === 1;
      case 0x43:
      case 0x44:
        return 0;
      case 0x50:
      case 0x52:
      case 0x53:
        return this.#byte();
      case 0x51:
      case 0x54:
      case 0x55:
        return (this.#byte() << 24) >> 24;
      case 0x70:
        return this.#uint();
      case 0x71:
        return this.#bytes.readInt32BE(this.#skip(4));
      case 0x80: {
        const high = this.#uint();
        return safe(high * 2 ** 32 + this.#uint());
      }
      case 0x81:
      case 0x83: {
        const high = this.#bytes.readInt32BE(this.#skip(4));
        return safe(high * 2 ** 32 + this.#uint());
      }
      case 0x72:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 0x82:
        return this.#bytes.readDoubleBE(this.#skip(8));
      default:
        throw LEFT_TO_SDK;
    }
  }

  #binary(): Buffer {
    const size = this.#size(this.#byte(), 0xa0, 0xb0);
    const start = this.#skip(size);
    if (this.#at > this.#bytes.length) throw LEFT_TO_SDK;
    return this.#bytes.subarray(start, this.#at);
  }

  #text(size: number, encoding: 'utf8' | 'latin1'): string {
    const start = this.#skip(size);
    if (this.#at > this.#bytes.length) throw LEFT_TO_SDK;
    return this.#bytes.toString(encoding, start, this.#at);
  }

  /** Size in one byte after the `short` constructor, in four after the `long` one. */
  #size(code: number, short: number, long: number): number {
    if (code === short) return this.#byte();
    if (code === long) return this.#uint();
    throw LEFT_TO_SDK;
  }

  #byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw LEFT_TO_SDK;
    return value;
  }

  #uint(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  #skip(bytes: number): number {
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}

/** Beyond 2^53 the SDK hands out bytes; such numbers are left to it. */
function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw LEFT_TO_SDK;
  return value;
}
