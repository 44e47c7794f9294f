import { type AmqpMap, type AmqpValue, Described, decodeValue, listFieldsAt, skipValue } from './decode.ts';
import { type AmqpCondition, decodeError } from './errors.ts';
import { AmqpWriter } from './writer.ts';

/** Descriptor codes of the performatives (AMQP 1.0 part 2, 2.7), of SASL (part 5, 5.3) and of delivery states (part 3, 3.4). */
export const CODE = {
  open: 0x10,
  begin: 0x11,
  attach: 0x12,
  flow: 0x13,
  transfer: 0x14,
  disposition: 0x15,
  detach: 0x16,
  end: 0x17,
  close: 0x18,
  error: 0x1d,
  accepted: 0x24,
  rejected: 0x25,
  saslMechanisms: 0x40,
  saslInit: 0x41,
  saslOutcome: 0x44,
} as const;

export interface Performative {
  readonly code: number;
  /** Position of its list. */
  readonly listAt: number;
  /** Position after it: the payload of a transfer. */
  readonly next: number;
}

/** Reads the descriptor of the performative at `at`. */
export function performativeAt(bytes: Buffer, at: number, end: number): Performative {
  if (bytes[at] !== 0x00) throw decodeError('expected a described list');
  const descriptor = decodeValue(bytes, at + 1, end);
  if (typeof descriptor.value !== 'number') throw decodeError('expected a numeric descriptor');
  const next = skipValue(bytes, descriptor.next, end);
  return { code: descriptor.value, listAt: descriptor.next, next };
}

/** The fields of a performative, by index; a field that was left out is null. */
export class Fields {
  readonly #bytes: Buffer;
  readonly #starts: readonly number[];

  constructor(bytes: Buffer, listAt: number, end: number) {
    this.#bytes = bytes;
    this.#starts = listFieldsAt(bytes, listAt, end);
  }

  value(index: number): AmqpValue {
    if (index >= this.#starts.length - 1) return null;
    return decodeValue(this.#bytes, this.#starts[index]!, this.#starts[index + 1]!).value;
  }

  /** A copy of the field's encoding, to be echoed; an encoded null when it was left out. */
  encoded(index: number): Buffer {
    if (index >= this.#starts.length - 1) return Buffer.from([0x40]);
    return Buffer.from(this.#bytes.subarray(this.#starts[index], this.#starts[index + 1]));
  }

  optionalNumber(index: number): number | undefined {
    const value = this.value(index);
    if (value === null) return undefined;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'number') throw decodeError(`field ${index} is not a number`);
    return value;
  }

  number(index: number): number {
    const value = this.optionalNumber(index);
    if (value === undefined) throw decodeError(`mandatory field ${index} is missing`);
    return value;
  }

  string(index: number): string {
    const value = this.value(index);
    if (typeof value !== 'string') throw decodeError(`field ${index} is not a string`);
    return value;
  }

  boolean(index: number): boolean {
    const value = this.value(index);
    if (value !== null && typeof value !== 'boolean') throw decodeError(`field ${index} is not a boolean`);
    return value === true;
  }

  map(index: number): AmqpMap {
    const value = this.value(index);
    if (value === null) return new Map();
    if (!(value instanceof Map)) throw decodeError(`field ${index} is not a map`);
    return value;
  }

  /** A symbol, an array or list of them, or nothing. */
  symbols(index: number): readonly string[] {
    const value = this.value(index);
    if (typeof value === 'string') return [value];
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  }
}

export interface Attach {
  readonly name: string;
  readonly handle: number;
  /** True when the peer receives. */
  readonly peerReceives: boolean;
  readonly senderSettleMode: number;
  readonly receiverSettleMode: number;
  readonly sourceAddress: string | undefined;
  readonly targetAddress: string | undefined;
  /** Filters of the source by name, stripped of their descriptors. */
  readonly filters: ReadonlyMap<string, AmqpValue>;
  readonly initialDeliveryCount: number;
  /** 0 when the peer named none. */
  readonly maxMessageSize: number;
  readonly desiredCapabilities: readonly string[];
  readonly properties: AmqpMap;
  /** Encodings to be echoed. */
  readonly encoded: { readonly source: Buffer; readonly target: Buffer; readonly properties: Buffer };
}

export function decodeAttach(fields: Fields): Attach {
  const source = fields.value(5);
  const target = fields.value(6);
  return {
    name: fields.string(0),
    handle: fields.number(1),
    peerReceives: fields.boolean(2),
    senderSettleMode: fields.optionalNumber(3) ?? 2,
    receiverSettleMode: fields.optionalNumber(4) ?? 0,
    sourceAddress: addressOf(source),
    targetAddress: addressOf(target),
    filters: filtersOf(source),
    initialDeliveryCount: fields.optionalNumber(9) ?? 0,
    maxMessageSize: fields.optionalNumber(10) ?? 0,
    desiredCapabilities: fields.symbols(12),
    properties: fields.map(13),
    encoded: {
      source: fields.encoded(5),
      target: fields.encoded(6),
      properties: fields.encoded(13),
    },
  };
}

function terminusFields(terminus: AmqpValue): readonly AmqpValue[] {
  return terminus instanceof Described && Array.isArray(terminus.value) ? terminus.value : [];
}

function addressOf(terminus: AmqpValue): string | undefined {
  const address = terminusFields(terminus)[0];
  return typeof address === 'string' ? address : undefined;
}

function filtersOf(source: AmqpValue): ReadonlyMap<string, AmqpValue> {
  const filters = terminusFields(source)[7];
  if (!(filters instanceof Map)) return new Map();
  const entries = [...(filters as AmqpMap)].map(([name, filter]): [string, AmqpValue] => [
    String(name),
    filter instanceof Described ? filter.value : filter,
  ]);
  return new Map(entries);
}

/**
 * Writes a performative with all its fields, absent ones as null: azure-eventhub for Python indexes the list, so that
 * a shorter encoding, though legal, crashes it.
 */
export function encodePerformative(
  code: number,
  fieldCount: number,
  written: number,
  fields: (writer: AmqpWriter) => void,
): Buffer {
  const writer = new AmqpWriter();
  writer.descriptor(code).list(fieldCount, () => {
    fields(writer);
    for (let i = written; i < fieldCount; i++) writer.null();
  });
  return writer.bytes;
}

export function writeCondition(writer: AmqpWriter, error: AmqpCondition | undefined): void {
  if (error === undefined) {
    writer.null();
    return;
  }
  writer.descriptor(CODE.error).list(3, () => {
    writer.symbol(error.condition).string(error.description).null();
  });
}

/** Frame header plus body. */
export function encodeFrame(type: number, channel: number, body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(8 + body.length);
  frame.writeUInt32BE(frame.length, 0);
  frame[4] = 2;
  frame[5] = type;
  frame.writeUInt16BE(channel, 6);
  body.copy(frame, 8);
  return frame;
}
