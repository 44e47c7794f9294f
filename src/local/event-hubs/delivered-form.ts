import { skipValue } from '../amqp/decode.ts';
import { encodedSymbol } from '../amqp/message.ts';
import type { EventLayout } from './event-layout.ts';

/**
 * An event is stored once, in the form in which it is delivered any number of times:
 *
 *     header | message annotations: the sender's, partition key, epoch, sequence number, offset, enqueued time | rest
 *
 * Order and types of the broker's annotations are those of frames recorded from the service.
 */
const PARTITION_KEY = encodedSymbol('x-opt-partition-key');
/** No geo-replication: the sequence number epoch is always -1. */
const EPOCH_AND_SEQUENCE = Buffer.concat([
  encodedSymbol('x-opt-sequence-number-epoch'),
  Buffer.from([0x54, 0xff]),
  encodedSymbol('x-opt-sequence-number'),
  Buffer.from([0x81]),
]);
const OFFSET = Buffer.concat([encodedSymbol('x-opt-offset'), Buffer.from([0xa1])]);
const ENQUEUED_TIME = Buffer.concat([encodedSymbol('x-opt-enqueued-time'), Buffer.from([0x83])]);

/** Annotations that only the broker sets: those of an event that is sent on, after it was received, are dropped. */
const BROKER_KEYS = [
  'x-opt-sequence-number-epoch',
  'x-opt-sequence-number',
  'x-opt-offset',
  'x-opt-enqueued-time',
].map(encodedSymbol);

const MAP_HEADER_BYTES = 12;
const MAX_OFFSET_DIGITS = 17;
const BROKER_BYTES =
  EPOCH_AND_SEQUENCE.length + 8 + OFFSET.length + 1 + MAX_OFFSET_DIGITS + ENQUEUED_TIME.length + 8;

export interface Stamp {
  readonly sequenceNumber: number;
  readonly offset: number;
  readonly enqueuedMs: number;
  /** Encoded string of the batch that the event came in. */
  readonly partitionKey: Buffer | undefined;
}

/** Upper bound of what {@link writeDelivered} writes. */
export function deliveredSizeBound(layout: EventLayout, partitionKey: Buffer | undefined): number {
  const { annotations, end, headerEnd, rest, start } = layout;
  const key = partitionKey === undefined ? 0 : PARTITION_KEY.length + partitionKey.length;
  const own = annotations.end - annotations.start;
  return headerEnd - start + MAP_HEADER_BYTES + own + key + BROKER_BYTES + end - rest;
}

/** Writes the event at `at` of `out`, stamped by the broker; returns the position after it. */
export function writeDelivered(
  out: Buffer,
  at: number,
  bytes: Buffer,
  layout: EventLayout,
  stamp: Stamp,
): number {
  const { annotations, end, headerEnd, rest, start } = layout;
  let next = copyShort(out, at, bytes, start, headerEnd);
  const mapAt = next;
  out[next] = 0x00;
  out[next + 1] = 0x53;
  out[next + 2] = 0x72;
  out[next + 3] = 0xd1;
  next += MAP_HEADER_BYTES;
  let count = 8;
  let hasKey = false;
  for (let i = 0, from = annotations.start; i < annotations.count; i += 2) {
    const to = skipValue(bytes, skipValue(bytes, from, annotations.end), annotations.end);
    if (!BROKER_KEYS.some((key) => startsWith(bytes, from, to, key))) {
      hasKey ||= startsWith(bytes, from, to, PARTITION_KEY);
      next += bytes.copy(out, next, from, to);
      count += 2;
    }
    from = to;
  }
  if (stamp.partitionKey !== undefined && !hasKey) {
    next += PARTITION_KEY.copy(out, next);
    next += stamp.partitionKey.copy(out, next);
    count += 2;
  }
  out.set(EPOCH_AND_SEQUENCE, next);
  next = writeInt64(out, next + EPOCH_AND_SEQUENCE.length, stamp.sequenceNumber);
  out.set(OFFSET, next);
  next = writeDigits(out, next + OFFSET.length, stamp.offset);
  out.set(ENQUEUED_TIME, next);
  next = writeInt64(out, next + ENQUEUED_TIME.length, stamp.enqueuedMs);
  out.writeUInt32BE(next - mapAt - 8, mapAt + 4);
  out.writeUInt32BE(count, mapAt + 8);
  return next + bytes.copy(out, next, rest, end);
}

/** Sections of a few bytes: a loop costs less than the view that `copy` makes. */
function copyShort(out: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  if (end - start > 32) return at + bytes.copy(out, at, start, end);
  for (let from = start, to = at; from < end; from++, to++) out[to] = bytes[from]!;
  return at + end - start;
}

function startsWith(bytes: Buffer, from: number, to: number, prefix: Buffer): boolean {
  return to - from > prefix.length && prefix.compare(bytes, from, from + prefix.length) === 0;
}

function writeInt64(out: Buffer, at: number, value: number): number {
  const high = Math.floor(value / 0x1_0000_0000);
  out.writeInt32BE(high, at);
  out.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
  return at + 8;
}

/** Length and decimal digits, the body of a short string. */
function writeDigits(out: Buffer, at: number, value: number): number {
  let digits = 1;
  for (let rest = Math.floor(value / 10); rest > 0; rest = Math.floor(rest / 10)) digits++;
  out[at] = digits;
  for (let i = digits, rest = value; i > 0; i--, rest = Math.floor(rest / 10))
    out[at + i] = 0x30 + (rest % 10);
  return at + 1 + digits;
}
