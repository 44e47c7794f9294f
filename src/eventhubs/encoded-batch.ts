import type { EventDataBatch } from '@azure/event-hubs';
import { type BatchMessage, eventsIn, readMessages } from './encoded-messages.ts';
import { ANNOTATION, type EventEncoding, SECTION, TYPE, VARIABLE_HEAD_BYTES } from './event-encoding.ts';

/** Writes the text of the variable property at `position` of the layout and returns where it ends. */
export type EventProperties = (position: number, out: Buffer, at: number) => number;

/** State of an idempotent link, as the SDK passes it to the batch. */
interface PublishingProperties {
  readonly isIdempotentPublishingEnabled?: boolean;
  readonly producerGroupId?: number;
  readonly ownerLevel?: number;
  readonly lastPublishedSequenceNumber?: number;
}

/** Keys as UTF-8, back to back in one buffer. */
export interface KeyBytes {
  readonly bytes: Buffer;
  startOf(keyIndex: number): number;
  lengthOf(keyIndex: number): number;
}

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
  readonly encoding: EventEncoding;
  readonly #view: DataView;
  #end = 0;
  #bodyAt = 0;
  #eventAt = 0;
  #pendingSequence: number | undefined;

  /** `memory` is that of the batch, or how many bytes to take; {@link shared} memory can be sent by another thread. */
  constructor(encoding: EventEncoding, memory: number | SharedArrayBuffer, capacityEvents: number) {
    this.encoding = encoding;
    this.capacityEvents = capacityEvents;
    this.keyIndexes = new Int32Array(capacityEvents);
    this.sequences = new Float64Array(capacityEvents);
    this.intendedMicros = new Float64Array(capacityEvents);
    this.buffer = typeof memory === 'number' ? Buffer.allocUnsafeSlow(memory) : Buffer.from(memory);
    this.maxSizeInBytes = this.buffer.length;
    this.#view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length);
  }

  /** A batch that another thread filled up to `end`, to be sent and not added to. */
  static filled(
    encoding: EventEncoding,
    memory: SharedArrayBuffer,
    end: number,
    count: number,
  ): EncodedBatch {
    const batch = new EncodedBatch(encoding, memory, 0);
    batch.#end = end;
    batch.count = count;
    return batch;
  }

  /** The memory of the batch when it is shared between threads. */
  get shared(): SharedArrayBuffer | undefined {
    const { buffer } = this.buffer;
    return buffer instanceof SharedArrayBuffer ? buffer : undefined;
  }

  get sizeInBytes(): number {
    return this.#end;
  }

  /** Whether an event with a body of up to `bodyBytes` and keys of up to `keyBytes` each fits for certain. */
  hasRoomFor(bodyBytes: number, keyBytes: number): boolean {
    if (this.count >= this.capacityEvents) return false;
    return this.#end + bodyBytes + 2 * keyBytes + this.encoding.overheadBytes <= this.maxSizeInBytes;
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
    const encoding = this.encoding;
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
    if (this.encoding.layout.idempotent && publishing) this.#numberEvents(publishing);
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
  messages(): BatchMessage[] {
    return readMessages(this.buffer, this.#end, this.encoding);
  }

  #variableProperties(start: number, properties: EventProperties): number {
    const { buffer } = this;
    const { variableNames } = this.encoding;
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

  /** Fills in producer id, epoch and the sequence numbers that follow the last published one. */
  #numberEvents(publishing: PublishingProperties): void {
    const view = this.#view;
    const first = (publishing.lastPublishedSequenceNumber ?? 0) + 1;
    let sequence = first;
    const { idempotent } = this.encoding;
    for (const { from } of eventsIn(this.buffer, this.#end)) {
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
