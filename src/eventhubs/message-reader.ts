import { NO_PROPERTIES, type ReceivedEvent } from './received-event.ts';

/** Section descriptors, AMQP 1.0 3.2. */
const HEADER = 0x70;
const MESSAGE_ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;

const SEQUENCE_NUMBER = Buffer.from('x-opt-sequence-number');
const OFFSET = Buffer.from('x-opt-offset');
const ENQUEUED_TIME = Buffer.from('x-opt-enqueued-time');
const PARTITION_KEY = Buffer.from('x-opt-partition-key');

/** Texts up to this length are compared with the one before at the same place, which names and run ids mostly equal. */
const REPEATED_BYTES = 64;
const REPEATED_TEXTS = 16;

/** Thrown for what is left to the SDK; one object, because a stack costs more than the event. */
const LEFT_TO_SDK = new Error('not a message of the ordinary shape');

/** A message as an event; its body refers to the bytes that were read. */
class DecodedEvent implements ReceivedEvent {
  readonly body: Buffer;
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly enqueuedMs: number;
  readonly partitionKey: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;

  constructor(
    body: Buffer,
    sequenceNumber: number,
    offset: string,
    enqueuedMs: number,
    partitionKey: string | undefined,
    properties: Readonly<Record<string, unknown>>,
  ) {
    this.body = body;
    this.sequenceNumber = sequenceNumber;
    this.offset = offset;
    this.enqueuedMs = enqueuedMs;
    this.partitionKey = partitionKey;
    this.properties = properties;
  }
}

/**
 * Reads messages of one data section, annotations as Event Hubs writes them and application properties of primitive types.
 * One reader serves a link for good and remembers the texts that come again with every event.
 */
export class MessageReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #sequenceNumber: unknown;
  #enqueuedMs: unknown;
  #offset: unknown;
  #partitionKey: unknown;
  readonly #repeated: { bytes: Buffer; text: string }[] = [];

  /** The event in a message, `undefined` for a message of any other shape. */
  read(bytes: Buffer, start = 0, end = bytes.length): ReceivedEvent | undefined {
    try {
      return this.#read(bytes, start, end);
    } catch (error) {
      if (error === LEFT_TO_SDK) return undefined;
      throw error;
    }
  }

  #read(bytes: Buffer, start: number, end: number): ReceivedEvent {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#sequenceNumber = undefined;
    this.#enqueuedMs = undefined;
    this.#offset = undefined;
    this.#partitionKey = undefined;
    let body: Buffer | undefined;
    let properties = NO_PROPERTIES;
    while (this.#at < end) {
      switch (this.#section()) {
        case HEADER:
        case PROPERTIES:
          this.#skipList();
          break;
        case MESSAGE_ANNOTATIONS:
          this.#annotations();
          break;
        case APPLICATION_PROPERTIES:
          properties = this.#properties();
          break;
        case DATA:
          if (body !== undefined) throw LEFT_TO_SDK;
          body = this.#binary();
          break;
        default:
          throw LEFT_TO_SDK;
      }
    }
    const sequenceNumber = this.#sequenceNumber;
    const enqueuedMs = this.#enqueuedMs;
    const offset = this.#offset;
    const partitionKey = this.#partitionKey ?? undefined;
    if (body === undefined || typeof sequenceNumber !== 'number' || typeof enqueuedMs !== 'number')
      throw LEFT_TO_SDK;
    if (typeof offset !== 'string' || (partitionKey !== undefined && typeof partitionKey !== 'string'))
      throw LEFT_TO_SDK;
    return new DecodedEvent(body, sequenceNumber, offset, enqueuedMs, partitionKey, properties);
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
  }

  #annotations(): void {
    for (let left = this.#mapEntries(); left > 0; left -= 2) {
      const code = this.#byte();
      const size = this.#size(code, 0xa3, 0xb3);
      const start = this.#skip(size);
      const value = this.#value(-1);
      if (this.#named(start, size, SEQUENCE_NUMBER)) this.#sequenceNumber = value;
      else if (this.#named(start, size, OFFSET)) this.#offset = value;
      else if (this.#named(start, size, ENQUEUED_TIME)) this.#enqueuedMs = value;
      else if (this.#named(start, size, PARTITION_KEY)) this.#partitionKey = value;
    }
  }

  #named(start: number, size: number, name: Buffer): boolean {
    return size === name.length && equalBytes(this.#bytes, start, name, size);
  }

  #properties(): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const count = this.#mapEntries();
    for (let i = 0; i < count; i += 2) {
      const key = this.#value(i);
      // A property of this name would set the prototype instead.
      if (typeof key !== 'string' || key === '__proto__') throw LEFT_TO_SDK;
      map[key] = this.#value(i + 1);
    }
    return map;
  }

  /** Moves to the first entry of a map. Returns the number of keys and values. */
  #mapEntries(): number {
    const code = this.#byte();
    this.#size(code, 0xc1, 0xd1);
    return code === 0xc1 ? this.#byte() : this.#uint();
  }

  /** A primitive value, in the representation that the SDK gives it. Texts are remembered at `place` unless it is negative. */
  #value(place: number): unknown {
    const code = this.#byte();
    switch (code) {
      case 0xa1:
      case 0xb1:
        return this.#text(this.#size(code, 0xa1, 0xb1), 'utf8', place);
      case 0xa3:
      case 0xb3:
        return this.#text(this.#size(code, 0xa3, 0xb3), 'latin1', -1);
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
    return this.#bytes.subarray(start, this.#at);
  }

  #text(size: number, encoding: 'utf8' | 'latin1', place: number): string {
    const start = this.#skip(size);
    if (place < 0 || place >= REPEATED_TEXTS || size > REPEATED_BYTES)
      return this.#bytes.toString(encoding, start, this.#at);
    const known = this.#repeated[place];
    if (known?.bytes.length === size && equalBytes(this.#bytes, start, known.bytes, size)) return known.text;
    const text = this.#bytes.toString(encoding, start, this.#at);
    if (known?.bytes.length === size) {
      this.#bytes.copy(known.bytes, 0, start, this.#at);
      known.text = text;
    } else this.#repeated[place] = { bytes: Buffer.from(this.#bytes.subarray(start, this.#at)), text };
    return text;
  }

  /** Size in one byte after the `short` constructor, in four after the `long` one. */
  #size(code: number, short: number, long: number): number {
    if (code === short) return this.#byte();
    if (code === long) return this.#uint();
    throw LEFT_TO_SDK;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw LEFT_TO_SDK;
    return this.#bytes[this.#at++] as number;
  }

  #uint(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  #skip(bytes: number): number {
    const start = this.#at;
    this.#at += bytes;
    if (this.#at > this.#end) throw LEFT_TO_SDK;
    return start;
  }
}

/** A loop, because the texts are shorter than a call into the runtime is long. */
function equalBytes(bytes: Buffer, start: number, other: Buffer, size: number): boolean {
  for (let i = 0; i < size; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

/** Beyond 2^53 the SDK hands out bytes; such numbers are left to it. */
function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw LEFT_TO_SDK;
  return value;
}
