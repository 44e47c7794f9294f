import { skipValue } from '../amqp/decode.ts';
import { decodeError } from '../amqp/errors.ts';
import { type MapEntries, mapEntriesAt, SECTION, sectionAt } from '../amqp/message.ts';

/** Where the parts of one encoded event are: what is copied as it is, and the annotations that the broker adds to. */
export interface EventLayout {
  readonly start: number;
  /** End of the header section; `start` when there is none. */
  readonly headerEnd: number;
  readonly annotations: MapEntries;
  /** Begin of everything behind the annotations. */
  readonly rest: number;
  readonly end: number;
}

const NO_ANNOTATIONS: MapEntries = { count: 0, start: 0, end: 0 };

/**
 * Walks the sections of an event without decoding them. Delivery annotations are for one hop and are left out.
 *
 * @throws AmqpProtocolError when it is no well-formed message.
 */
export function layoutOf(bytes: Buffer, start: number, end: number): EventLayout {
  let at = start;
  let headerEnd = start;
  let rest = start;
  let annotations = NO_ANNOTATIONS;
  let previous = 0;
  while (at < end) {
    const code = sectionCodeAt(bytes, at, end);
    const valueAt = sectionValueAt(bytes, at, end);
    const next = skipValue(bytes, valueAt, end);
    if (code < previous) throw decodeError('message sections are out of order');
    previous = code;
    if (code <= SECTION.messageAnnotations) {
      if (code === SECTION.header) headerEnd = next;
      else if (code === SECTION.messageAnnotations && !isEmptyMap(bytes, valueAt, next))
        annotations = mapEntriesAt(bytes, valueAt, next);
      rest = next;
    }
    at = next;
  }
  if (at === start) throw decodeError('empty message');
  return { start, headerEnd, annotations, rest, end };
}

/** A descriptor in its usual form, a small ulong, is read in place: this runs for every section of every event. */
function hasShortDescriptor(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x00 && bytes[at + 1] === 0x53;
}

function sectionCodeAt(bytes: Buffer, at: number, end: number): number {
  if (!hasShortDescriptor(bytes, at)) return sectionAt(bytes, at, end).code;
  const code = bytes[at + 2]!;
  if (code < SECTION.header || code > SECTION.footer) throw decodeError('unknown message section');
  return code;
}

function sectionValueAt(bytes: Buffer, at: number, end: number): number {
  return hasShortDescriptor(bytes, at) ? at + 3 : sectionAt(bytes, at, end).valueAt;
}

/** The JavaScript SDK sends an empty map with every event. */
function isEmptyMap(bytes: Buffer, at: number, end: number): boolean {
  return bytes[at] === 0xc1 && bytes[at + 2] === 0 && end - at === 3;
}

/** An envelope of format 0x80013700: the events inside and the annotations they share. */
export interface Batch {
  readonly events: readonly EventLayout[];
  readonly annotations: MapEntries;
}

/**
 * Takes a batch apart: every data section holds one encoded event.
 *
 * @throws AmqpProtocolError when the envelope or any event is malformed, so that a batch is stored whole or not at all.
 */
export function batchOf(bytes: Buffer, start: number, end: number): Batch {
  const events: EventLayout[] = [];
  let annotations = NO_ANNOTATIONS;
  for (let at = start; at < end; ) {
    const code = sectionCodeAt(bytes, at, end);
    const valueAt = sectionValueAt(bytes, at, end);
    const next = skipValue(bytes, valueAt, end);
    if (code === SECTION.data) {
      const formatCode = bytes[valueAt];
      if (formatCode !== 0xa0 && formatCode !== 0xb0) throw decodeError('expected binary data in a batch');
      events.push(layoutOf(bytes, valueAt + (formatCode === 0xa0 ? 2 : 5), next));
    } else if (code === SECTION.messageAnnotations) annotations = mapEntriesAt(bytes, valueAt, next);
    at = next;
  }
  return { events, annotations };
}
