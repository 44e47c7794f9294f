import { decodeValue, listFieldsAt, skipValue } from './decode.ts';
import { decodeError } from './errors.ts';

/** Descriptor codes of the sections of a message (AMQP 1.0 part 3, 3.2). */
export const SECTION = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const;

const SYMBOLIC: Readonly<Record<string, number>> = {
  'amqp:header:list': SECTION.header,
  'amqp:delivery-annotations:map': SECTION.deliveryAnnotations,
  'amqp:message-annotations:map': SECTION.messageAnnotations,
  'amqp:properties:list': SECTION.properties,
  'amqp:application-properties:map': SECTION.applicationProperties,
  'amqp:data:binary': SECTION.data,
  'amqp:amqp-sequence:list': SECTION.sequence,
  'amqp:value:*': SECTION.value,
  'amqp:footer:map': SECTION.footer,
};

export interface Section {
  readonly code: number;
  readonly valueAt: number;
  readonly next: number;
}

/** @throws AmqpProtocolError when there is no message section at `at`. */
export function sectionAt(bytes: Buffer, at: number, end: number): Section {
  if (bytes[at] !== 0x00 || at >= end) throw decodeError('expected a message section');
  const descriptor = decodeValue(bytes, at + 1, end);
  const code = typeof descriptor.value === 'string' ? SYMBOLIC[descriptor.value] : Number(descriptor.value);
  if (code === undefined || !(code >= SECTION.header && code <= SECTION.footer))
    throw decodeError('unknown message section');
  return { code, valueAt: descriptor.next, next: skipValue(bytes, descriptor.next, end) };
}

/** Entries of a map: how many keys and values, where they begin and end. */
export interface MapEntries {
  readonly count: number;
  readonly start: number;
  readonly end: number;
}

export function mapEntriesAt(bytes: Buffer, at: number, end: number): MapEntries {
  const next = skipValue(bytes, at, end);
  if (bytes[at] === 0xc1 && next - at >= 3) return { count: bytes[at + 2]!, start: at + 3, end: next };
  if (bytes[at] === 0xd1 && next - at >= 9)
    return { count: bytes.readUInt32BE(at + 5), start: at + 9, end: next };
  throw decodeError('expected a map');
}

/** A symbol as it stands in a map: compared as bytes instead of being decoded. */
export function encodedSymbol(text: string): Buffer {
  return Buffer.concat([Buffer.from([0xa3, text.length]), Buffer.from(text, 'latin1')]);
}

/** Encoding of the value of `key` (see {@link encodedSymbol}), a view of `bytes`. */
export function mapValueOf(bytes: Buffer, map: MapEntries, key: Buffer): Buffer | undefined {
  let at = map.start;
  for (let i = 0; i < map.count; i += 2) {
    const valueAt = skipValue(bytes, at, map.end);
    const next = skipValue(bytes, valueAt, map.end);
    if (valueAt - at === key.length && key.compare(bytes, at, valueAt) === 0)
      return bytes.subarray(valueAt, next);
    at = next;
  }
  return undefined;
}

export interface RequestMessage {
  /** Encoding of the message id, to be echoed as correlation id. */
  readonly messageId: Buffer;
  readonly replyTo: string | undefined;
  readonly applicationProperties: ReadonlyMap<unknown, unknown>;
  /** Value of an amqp-value section. */
  readonly body: unknown;
}

/** Decodes a request of the CBS or management protocol. */
export function decodeRequest(bytes: Buffer, start: number, end: number): RequestMessage {
  let messageId = Buffer.from([0x40]);
  let replyTo: string | undefined;
  let applicationProperties: ReadonlyMap<unknown, unknown> = new Map();
  let body: unknown = null;
  for (let at = start; at < end; ) {
    const { code, next, valueAt } = sectionAt(bytes, at, end);
    if (code === SECTION.properties) {
      const fields = listFieldsAt(bytes, valueAt, next);
      if (fields.length > 1) messageId = Buffer.from(bytes.subarray(fields[0], fields[1]));
      const address = fields.length > 5 ? decodeValue(bytes, fields[4]!, fields[5]!).value : null;
      if (typeof address === 'string') replyTo = address;
    } else if (code === SECTION.applicationProperties) {
      const { value } = decodeValue(bytes, valueAt, next);
      if (value instanceof Map) applicationProperties = value;
    } else if (code === SECTION.value) {
      body = decodeValue(bytes, valueAt, next).value;
    }
    at = next;
  }
  return { messageId, replyTo, applicationProperties, body };
}
