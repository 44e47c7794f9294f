import type { EventDataBatch } from '@azure/event-hubs';
import { ENVELOPE_PROPERTIES } from '../util/envelope.ts';

/**
 * A batch of events encoded once, straight into the buffer that is sent. Event Hubs takes a batch as one AMQP message
 * of format 0x80013700 whose body is a data section per event, each holding a complete encoded message:
 *
 *     data section 0x75 | vbin32 length | message annotations 0x72   partition key, idempotent producer
 *                                       | properties 0x73            content type
 *                                       | application properties 0x74
 *                                       | data section 0x75          the body, rendered in place
 *
 * It has the shape of the SDK's own batch (count, sizeInBytes, tryAdd, _generateMessage), so that it travels the SDK's
 * connection, sign-in and link handling. That shape is internal to the SDK: a test fails when it moves, and
 * {@link EncodedBatch.messages} feeds the public API instead.
 */

const SECTION = {
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
} as const;
const TYPE = {
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
const VARIABLE_HEAD_BYTES = 5;

const ANNOTATION = {
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
  /** Application properties whose text differs from event to event, written by {@link EventProperties}. */
  readonly variableProperties?: readonly { readonly name: string; readonly maxBytes: number }[];
  /** Leaves room for the numbers of the idempotent producer, filled in when the batch is sent. */
  readonly idempotent?: boolean;
  /** Writes the key as partition key annotation, as events sent with a partition key have it. */
  readonly annotateKey: boolean;
}

/** An event as `EventDataBatch.tryAdd` of the SDK takes it. */
export interface BatchMessage {
  readonly bodyType: 'data';
  readonly body: Buffer;
  readonly properties?: { readonly contentType: string };
  readonly messageAnnotations?: Record<string, string>;
  readonly applicationProperties: Record<string, string | number | boolean>;
}

/** State of an idempotent link, as the SDK passes it to the batch. */
interface PublishingProperties {
  readonly isIdempotentPublishingEnabled?: boolean;
  readonly producerGroupId?: number;
  readonly ownerLevel?: number;
  readonly lastPublishedSequenceNumber?: number;
}

/** Writes the text of the variable property at `position` of the layout and returns where it ends. */
export type EventProperties = (position: number, out: Buffer, at: number) => number;

/** The constant parts of every event of a run, encoded once. */
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

/** Keys as UTF-8, back to back in one buffer. */
export interface KeyBytes {
  readonly bytes: Buffer;
  startOf(keyIndex: number): number;
  lengthOf(keyIndex: number): number;
}

export class EncodedBatch implements EventDataBatch {
  /** Where the batch goes; set before it is sent. */
  partitionId = '';
  readonly partitionKey = undefined as unknown as string;
  readonly maxSizeInBytes: number;
  readonly capacityEvents: number;
  /** Read by the SDK for tracing. */
  readonly _messageSpanContexts: never[] = [];
  startingPublishedSequenceNumber: number | undefined;
  count = 0;
  /** Sum of the sizes of the bodies. */
  bodyBytes = 0;
  /** How often the SDK asked for the bytes. */
  generated = 0;
  readonly buffer: Buffer;
  /** Per event, in the order of the batch. */
  readonly keyIndexes: Int32Array;
  readonly sequences: Float64Array;
  readonly intendedMicros: Float64Array;
  readonly bodyStarts: Uint32Array;
  readonly bodyEnds: Uint32Array;
  readonly #propertyStarts: Uint32Array;
  readonly #view: DataView;
  readonly #encoding: EventEncoding;
  #end = 0;
  #bodyAt = 0;
  #eventAt = 0;
  #pendingSequence: number | undefined;

  constructor(encoding: EventEncoding, capacityBytes: number, capacityEvents: number) {
    this.#encoding = encoding;
    this.capacityEvents = capacityEvents;
    this.keyIndexes = new Int32Array(capacityEvents);
    this.sequences = new Float64Array(capacityEvents);
    this.intendedMicros = new Float64Array(capacityEvents);
    this.bodyStarts = new Uint32Array(capacityEvents);
    this.bodyEnds = new Uint32Array(capacityEvents);
    this.#propertyStarts = new Uint32Array(encoding.variableNames.length > 0 ? capacityEvents : 0);
    this.maxSizeInBytes = capacityBytes;
    this.buffer = Buffer.allocUnsafeSlow(capacityBytes);
    this.#view = new DataView(this.buffer.buffer, this.buffer.byteOffset, capacityBytes);
  }

  get sizeInBytes(): number {
    return this.#end;
  }

  /** Whether an event with a body of up to `bodyBytes` and keys of up to `keyBytes` each fits for certain. */
  hasRoomFor(bodyBytes: number, keyBytes: number): boolean {
    if (this.count >= this.capacityEvents) return false;
    return this.#end + bodyBytes + 2 * keyBytes + this.#encoding.overheadBytes <= this.maxSizeInBytes;
  }

  /**
   * Writes everything before the body of the next event and returns where the body goes in {@link buffer}. Follow it
   * with {@link commit}; {@link hasRoomFor} must have been true. Keys and partition keys have the same indexes;
   * `properties` is needed when the layout has variable ones.
   */
  begin(
    keys: KeyBytes,
    partitionKeys: KeyBytes,
    keyIndex: number,
    sequence: number,
    intendedMicros: number,
    properties?: EventProperties,
  ): number {
    const { buffer, count } = this;
    this.keyIndexes[count] = keyIndex;
    this.sequences[count] = sequence;
    this.intendedMicros[count] = intendedMicros;
    const view = this.#view;
    const encoding = this.#encoding;
    let at = this.#end;
    this.#eventAt = at;
    buffer[at] = 0x00;
    buffer[at + 1] = 0x53;
    buffer[at + 2] = SECTION.data;
    buffer[at + 3] = 0xb0;
    at += 8;
    if (encoding.annotationCount > 0) {
      const section = at;
      at = this.#map(at, SECTION.messageAnnotations, encoding.annotationCount);
      if (encoding.layout.annotateKey) {
        at = copy(encoding.beforeKey, buffer, at);
        at = writeKey(buffer, at, partitionKeys, keyIndex);
      }
      at = copy(encoding.idempotent, buffer, at);
      view.setUint32(section + 4, at - section - 8);
    }
    at = copy(encoding.properties, buffer, at);
    const section = at;
    at = this.#map(at, SECTION.applicationProperties, encoding.propertyCount);
    at = copy(encoding.beforeEnvelopeKey, buffer, at);
    at = writeKey(buffer, at, keys, keyIndex);
    at = copy(encoding.afterEnvelopeKey, buffer, at);
    at = this.#long(at, sequence);
    at = copy(encoding.betweenNumbers, buffer, at);
    at = this.#long(at, intendedMicros);
    if (properties) at = this.#variableProperties(at, properties);
    view.setUint32(section + 4, at - section - 8);
    buffer[at] = 0x00;
    buffer[at + 1] = 0x53;
    buffer[at + 2] = SECTION.data;
    buffer[at + 3] = 0xb0;
    this.#bodyAt = at + 8;
    return this.#bodyAt;
  }

  /** Ends the event whose body was written up to `bodyEnd`. */
  commit(bodyEnd: number): void {
    this.#view.setUint32(this.#bodyAt - 4, bodyEnd - this.#bodyAt);
    this.#view.setUint32(this.#eventAt + 4, bodyEnd - this.#eventAt - 8);
    this.bodyStarts[this.count] = this.#bodyAt;
    this.bodyEnds[this.count] = bodyEnd;
    this.bodyBytes += bodyEnd - this.#bodyAt;
    this.#end = bodyEnd;
    this.count += 1;
  }

  /** Empties the batch for another use of its buffer. */
  reset(): void {
    this.#end = 0;
    this.count = 0;
    this.bodyBytes = 0;
    this.generated = 0;
    this.startingPublishedSequenceNumber = undefined;
  }

  /** Called by the SDK on every attempt to send. */
  _generateMessage(publishing?: PublishingProperties): Buffer {
    this.generated += 1;
    if (this.#encoding.layout.idempotent && publishing) this.#numberEvents(publishing);
    return this.buffer.subarray(0, this.#end);
  }

  /** Called by the SDK when an idempotent batch was accepted. */
  _commitPublish(): void {
    this.startingPublishedSequenceNumber = this.#pendingSequence;
  }

  tryAdd(): boolean {
    throw new TypeError('events are added with begin() and commit()');
  }

  /** The same events as messages for the public API of the SDK. */
  messages(
    keyName: (keyIndex: number) => string,
    partitionKeyName: (keyIndex: number) => string = keyName,
  ): BatchMessage[] {
    const { contentType, properties, run, annotateKey } = this.#encoding.layout;
    return Array.from({ length: this.count }, (_, event) => {
      const keyIndex = this.keyIndexes[event] as number;
      return {
        bodyType: 'data' as const,
        body: this.buffer.subarray(this.bodyStarts[event], this.bodyEnds[event]),
        ...(contentType === undefined ? {} : { properties: { contentType } }),
        ...(annotateKey
          ? { messageAnnotations: { [ANNOTATION.partitionKey]: partitionKeyName(keyIndex) } }
          : {}),
        applicationProperties: {
          ...properties,
          ...this.#readVariableProperties(event),
          [ENVELOPE_PROPERTIES.run]: run,
          [ENVELOPE_PROPERTIES.key]: keyName(keyIndex),
          [ENVELOPE_PROPERTIES.sequence]: this.sequences[event] as number,
          [ENVELOPE_PROPERTIES.intendedMicros]: this.intendedMicros[event] as number,
        },
      };
    });
  }

  #variableProperties(start: number, properties: EventProperties): number {
    const { buffer } = this;
    const { variableNames } = this.#encoding;
    this.#propertyStarts[this.count] = start;
    let at = start;
    for (let position = 0; position < variableNames.length; position += 1) {
      at = copy(variableNames[position] as Buffer, buffer, at);
      buffer[at] = TYPE.str32;
      const end = properties(position, buffer, at + VARIABLE_HEAD_BYTES);
      this.#view.setUint32(at + 1, end - at - VARIABLE_HEAD_BYTES);
      at = end;
    }
    return at;
  }

  #readVariableProperties(event: number): Record<string, string> {
    let at = this.#propertyStarts[event] ?? 0;
    const values: Record<string, string> = {};
    for (const [position, { name }] of (this.#encoding.layout.variableProperties ?? []).entries()) {
      at += (this.#encoding.variableNames[position] as Buffer).length + VARIABLE_HEAD_BYTES;
      const end = at + this.#view.getUint32(at - 4);
      values[name] = this.buffer.toString('utf8', at, end);
      at = end;
    }
    return values;
  }

  *#events(): Generator<{ readonly from: number; readonly to: number }> {
    for (let at = 0; at < this.#end; ) {
      const from = at + 8;
      const to = from + this.#view.getUint32(at + 4);
      yield { from, to };
      at = to;
    }
  }

  /** Fills in producer id, epoch and the sequence numbers that follow the last published one. */
  #numberEvents(publishing: PublishingProperties): void {
    const view = this.#view;
    const first = (publishing.lastPublishedSequenceNumber ?? 0) + 1;
    let sequence = first;
    const { idempotent } = this.#encoding;
    for (const { from } of this.#events()) {
      // The annotations are the first section, the producer's numbers its last entries.
      const end = from + 8 + view.getUint32(from + 4);
      const start = end - idempotent.length;
      view.setBigInt64(start + 3 + ANNOTATION.producerId.length, BigInt(publishing.producerGroupId ?? 0));
      view.setInt16(end - 5 - 2 - ANNOTATION.producerSequence.length - 2, publishing.ownerLevel ?? 0);
      view.setInt32(end - 4, sequence);
      sequence += 1;
    }
    this.#pendingSequence = first;
  }

  #map(at: number, section: number, count: number): number {
    const { buffer } = this;
    buffer[at] = 0x00;
    buffer[at + 1] = 0x53;
    buffer[at + 2] = section;
    buffer[at + 3] = TYPE.map32;
    this.#view.setUint32(at + 8, count);
    return at + 12;
  }

  #long(at: number, value: number): number {
    const high = Math.floor(value / 0x1_0000_0000);
    this.#view.setInt32(at, high);
    this.#view.setUint32(at + 4, value - high * 0x1_0000_0000);
    return at + 8;
  }
}

function copy(from: Buffer, to: Buffer, at: number): number {
  const { length } = from;
  // A loop beats the call of a copy for short pieces.
  if (length > 24) from.copy(to, at);
  else for (let i = 0; i < length; i += 1) to[at + i] = from[i] as number;
  return at + length;
}

function writeKey(out: Buffer, at: number, keys: KeyBytes, keyIndex: number): number {
  const { bytes } = keys;
  const start = keys.startOf(keyIndex);
  const length = keys.lengthOf(keyIndex);
  let to = at;
  if (length < 256) {
    out[to++] = TYPE.str8;
    out[to++] = length;
  } else {
    out[to++] = TYPE.str32;
    to = out.writeUInt32BE(length, to);
  }
  for (let i = 0; i < length; i += 1) out[to + i] = bytes[start + i] as number;
  return to + length;
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
