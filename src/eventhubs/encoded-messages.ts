import { ENVELOPE_PROPERTIES } from '../util/envelope.ts';
import { ANNOTATION, type EventEncoding, TYPE, VARIABLE_HEAD_BYTES } from './event-encoding.ts';

/** An event as `EventDataBatch.tryAdd` of the SDK takes it. */
export interface BatchMessage {
  readonly bodyType: 'data';
  readonly body: Buffer;
  readonly properties?: { readonly contentType: string };
  readonly messageAnnotations?: Record<string, string>;
  readonly applicationProperties: Record<string, string | number | boolean>;
}

/** Descriptor, type, size and count before the first entry of a map. */
const MAP_HEAD_BYTES = 12;
/** Where the size of a section stands, and what it does not count. */
const SIZE_AT = 4;
const BEFORE_SIZE_BYTES = 8;
/** Descriptor, type and length before the bytes of a data section. */
const DATA_HEAD_BYTES = 8;

/** The events of an encoded batch that ends at `end`, as messages for the public API of the SDK. */
export function readMessages(bytes: Buffer, end: number, encoding: EventEncoding): BatchMessage[] {
  const messages: BatchMessage[] = [];
  for (const { from, to } of eventsIn(bytes, end)) messages.push(readMessage(bytes, from, to, encoding));
  return messages;
}

/** Where the events of an encoded batch lie, each after the head of the data section that holds it. */
export function* eventsIn(
  bytes: Buffer,
  end: number,
): Generator<{ readonly from: number; readonly to: number }> {
  for (let at = 0; at < end; ) {
    const from = at + DATA_HEAD_BYTES;
    const to = from + bytes.readUInt32BE(at + SIZE_AT);
    yield { from, to };
    at = to;
  }
}

function readMessage(bytes: Buffer, from: number, to: number, encoding: EventEncoding): BatchMessage {
  const { annotateKey, contentType, properties, run } = encoding.layout;
  let at = from;
  let partitionKey = '';
  if (encoding.annotationCount > 0) {
    if (annotateKey) partitionKey = readString(bytes, at + MAP_HEAD_BYTES + encoding.beforeKey.length).text;
    at += BEFORE_SIZE_BYTES + bytes.readUInt32BE(at + SIZE_AT);
  }
  at += encoding.properties.length;
  const bodyAt = at + BEFORE_SIZE_BYTES + bytes.readUInt32BE(at + SIZE_AT) + DATA_HEAD_BYTES;
  const key = readString(bytes, at + MAP_HEAD_BYTES + encoding.beforeEnvelopeKey.length);
  const sequenceAt = key.end + encoding.afterEnvelopeKey.length;
  const intendedAt = sequenceAt + 8 + encoding.betweenNumbers.length;
  return {
    bodyType: 'data',
    body: bytes.subarray(bodyAt, to),
    ...(contentType === undefined ? {} : { properties: { contentType } }),
    ...(annotateKey ? { messageAnnotations: { [ANNOTATION.partitionKey]: partitionKey } } : {}),
    applicationProperties: {
      ...properties,
      ...readVariableProperties(bytes, intendedAt + 8, encoding),
      [ENVELOPE_PROPERTIES.run]: run,
      [ENVELOPE_PROPERTIES.key]: key.text,
      [ENVELOPE_PROPERTIES.sequence]: Number(bytes.readBigInt64BE(sequenceAt)),
      [ENVELOPE_PROPERTIES.intendedMicros]: Number(bytes.readBigInt64BE(intendedAt)),
    },
  };
}

function readVariableProperties(
  bytes: Buffer,
  start: number,
  { layout, variableNames }: EventEncoding,
): Record<string, string> {
  const values: Record<string, string> = {};
  let at = start;
  for (const [position, { name }] of (layout.variableProperties ?? []).entries()) {
    at += (variableNames[position] as Buffer).length + VARIABLE_HEAD_BYTES;
    const end = at + bytes.readUInt32BE(at - 4);
    values[name] = bytes.toString('utf8', at, end);
    at = end;
  }
  return values;
}

function readString(bytes: Buffer, at: number): { readonly text: string; readonly end: number } {
  const short = bytes[at] === TYPE.str8;
  const start = at + (short ? 2 : 5);
  const end = start + (short ? (bytes[at + 1] as number) : bytes.readUInt32BE(at + 1));
  return { text: bytes.toString('utf8', start, end), end };
}
