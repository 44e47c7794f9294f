import { ENVELOPE_PROPERTIES } from '../util/envelope.ts';

export const SECTION = {
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
} as const;
export const TYPE = {
  long: 0x81,
  int: 0x71,
  short: 0x61,
  str8: 0xa1,
  str32: 0xb1,
  sym8: 0xa3,
  map32: 0xd1,
} as const;

/** What an event needs besides its key (written twice) and its body. */
const FIXED_OVERHEAD_BYTES = 400;
/** Type and length before the text of a variable property. */
export const VARIABLE_HEAD_BYTES = 5;

export const ANNOTATION = {
  partitionKey: 'x-opt-partition-key',
  producerId: 'com.microsoft:producer-id',
  producerEpoch: 'com.microsoft:producer-epoch',
  producerSequence: 'com.microsoft:producer-sequence-number',
} as const;

export interface BatchLayout {
  readonly run: string;
  readonly contentType?: string;
  /** Application properties that every event carries besides the envelope. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  /** Application properties whose text differs from event to event, written per event. */
  readonly variableProperties?: readonly { readonly name: string; readonly maxBytes: number }[];
  /** Leaves room for the numbers of the idempotent producer, filled in when the batch is sent. */
  readonly idempotent?: boolean;
  /** Writes the key as partition key annotation, as events sent with a partition key have it. */
  readonly annotateKey: boolean;
}

/** The constant parts of every event of a run, encoded once. Made from its layout alone, so any thread can make it. */
export interface EventEncoding {
  readonly layout: BatchLayout;
  readonly beforeKey: Buffer;
  readonly idempotent: Buffer;
  readonly properties: Buffer;
  readonly beforeEnvelopeKey: Buffer;
  readonly afterEnvelopeKey: Buffer;
  readonly betweenNumbers: Buffer;
  /** Names of the variable properties. */
  readonly variableNames: readonly Buffer[];
  readonly annotationCount: number;
  readonly propertyCount: number;
  /** More than any event needs besides its body and twice its key. */
  readonly overheadBytes: number;
}

export function eventEncoding(layout: BatchLayout): EventEncoding {
  const extra = Object.entries(layout.properties ?? {});
  const variable = layout.variableProperties ?? [];
  const variableNames = variable.map(({ name }) => string(name));
  const envelope = ENVELOPE_PROPERTIES;
  const constants = {
    beforeKey: layout.annotateKey ? symbol(ANNOTATION.partitionKey) : Buffer.alloc(0),
    idempotent: layout.idempotent
      ? Buffer.concat([
          symbol(ANNOTATION.producerId),
          Buffer.from([TYPE.long, 0, 0, 0, 0, 0, 0, 0, 0]),
          symbol(ANNOTATION.producerEpoch),
          Buffer.from([TYPE.short, 0, 0]),
          symbol(ANNOTATION.producerSequence),
          Buffer.from([TYPE.int, 0, 0, 0, 0]),
        ])
      : Buffer.alloc(0),
    properties: layout.contentType === undefined ? Buffer.alloc(0) : contentTypeSection(layout.contentType),
    beforeEnvelopeKey: Buffer.concat([
      ...extra.flatMap(([name, value]) => [string(name), primitive(value)]),
      string(envelope.run),
      string(layout.run),
      string(envelope.key),
    ]),
    afterEnvelopeKey: Buffer.concat([string(envelope.sequence), Buffer.from([TYPE.long])]),
    betweenNumbers: Buffer.concat([string(envelope.intendedMicros), Buffer.from([TYPE.long])]),
  };
  return {
    layout,
    ...constants,
    variableNames,
    annotationCount: (layout.annotateKey ? 2 : 0) + (layout.idempotent ? 6 : 0),
    propertyCount: 8 + (extra.length + variable.length) * 2,
    overheadBytes:
      FIXED_OVERHEAD_BYTES +
      [...Object.values(constants), ...variableNames].reduce((sum, part) => sum + part.length, 0) +
      variable.reduce((sum, { maxBytes }) => sum + VARIABLE_HEAD_BYTES + maxBytes, 0),
  };
}

function symbol(name: string): Buffer {
  return Buffer.concat([Buffer.from([TYPE.sym8, name.length]), Buffer.from(name, 'latin1')]);
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length < 256) return Buffer.concat([Buffer.from([TYPE.str8, bytes.length]), bytes]);
  const head = Buffer.alloc(5);
  head[0] = TYPE.str32;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function primitive(value: string | number | boolean): Buffer {
  if (typeof value === 'string') return string(value);
  if (typeof value === 'boolean') return Buffer.from([value ? 0x41 : 0x42]);
  const bytes = Buffer.alloc(9);
  if (Number.isSafeInteger(value)) {
    bytes[0] = TYPE.long;
    bytes.writeBigInt64BE(BigInt(value), 1);
  } else {
    bytes[0] = 0x82;
    bytes.writeDoubleBE(value, 1);
  }
  return bytes;
}

/** AMQP 1.0 3.2.4: content-type is the seventh field of the properties list. */
function contentTypeSection(contentType: string): Buffer {
  const value = symbol(contentType);
  const head = Buffer.from([
    0x00,
    0x53,
    SECTION.properties,
    0xd0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    7,
    0x40,
    0x40,
    0x40,
    0x40,
    0x40,
    0x40,
  ]);
  head.writeUInt32BE(4 + 6 + value.length, 4);
  return Buffer.concat([head, value]);
}
