import type { Interval } from './interval-set.ts';
import type { Observation } from './observation.ts';
import type { ByteReader, ByteWriter } from './spill-bytes.ts';
import { PLACES, type Place } from './verdict.ts';

/** What a verification learns about one key, in the order in which it learns it. */
export type KeyRecord =
  | { readonly type: 'acknowledged'; readonly run: string; readonly key: string; readonly bounds: Bounds }
  | {
      readonly type: 'misbehaved';
      readonly run: string;
      readonly key: string;
      readonly kind: string;
      readonly bounds: Bounds;
    }
  /** Already compared and counted: only kept for what comes later. */
  | {
      readonly type: 'seen';
      readonly run: string;
      readonly key: string;
      readonly place: Place;
      readonly bounds: Bounds;
    }
  | {
      readonly type: 'mark';
      readonly run: string;
      readonly key: string;
      readonly place: Place;
      readonly event: Observation;
    }
  | {
      readonly type: 'observed';
      readonly run: string;
      readonly key: string;
      readonly place: Place;
      readonly event: Observation;
      readonly atMs: number | undefined;
      readonly arrival: number;
    };

type Bounds = Iterable<Interval>;

const TYPES = ['acknowledged', 'misbehaved', 'seen', 'mark', 'observed'] as const;

/** Optional fields of an observation, in the order of their bits. */
const NUMBERS = ['intendedMicros', 'enqueuedMs', 'ingestedMs', 'sequenceNumber'] as const;
const HAS_PARTITION = 1 << NUMBERS.length;
const HAS_TIME = HAS_PARTITION << 1;

/** Texts that come again and again (runs, partitions), each written as its number. */
export class Names {
  readonly #texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
  }

  at(number: number): string {
    return this.#texts[number] as string;
  }
}

export function writeRecord(out: ByteWriter, record: KeyRecord, names: Names): void {
  out.whole(TYPES.indexOf(record.type));
  out.whole(names.numberOf(record.run));
  out.text(record.key);
  switch (record.type) {
    case 'acknowledged':
      writeBounds(out, record.bounds);
      break;
    case 'misbehaved':
      out.whole(names.numberOf(record.kind));
      writeBounds(out, record.bounds);
      break;
    case 'seen':
      out.whole(PLACES.indexOf(record.place));
      writeBounds(out, record.bounds);
      break;
    case 'mark':
      out.whole(PLACES.indexOf(record.place));
      writeEvent(out, record.event, undefined, names);
      break;
    case 'observed':
      out.whole(PLACES.indexOf(record.place));
      out.whole(record.arrival);
      writeEvent(out, record.event, record.atMs, names);
      break;
  }
}

/** With the names that the record was written with. */
export function readRecord(from: ByteReader, names: Names): KeyRecord {
  const type = TYPES[from.whole()];
  const run = names.at(from.whole());
  const key = from.text();
  switch (type) {
    case 'acknowledged':
      return { type, run, key, bounds: readBounds(from) };
    case 'misbehaved':
      return { type, run, key, kind: names.at(from.whole()), bounds: readBounds(from) };
    case 'seen':
      return { type, run, key, place: readPlace(from), bounds: readBounds(from) };
    case 'mark':
      return { type, run, key, place: readPlace(from), event: readEvent(from, run, key, names).event };
    case 'observed': {
      const place = readPlace(from);
      const arrival = from.whole();
      return { type, run, key, place, arrival, ...readEvent(from, run, key, names) };
    }
    default:
      throw new Error('unknown record in a spill file');
  }
}

function readPlace(from: ByteReader): Place {
  return PLACES[from.whole()] as Place;
}

function writeBounds(out: ByteWriter, bounds: Bounds): void {
  const all = [...bounds];
  out.whole(all.length);
  let last = 0;
  for (const { from, to } of all) {
    out.whole(from - last);
    out.whole(to - from);
    last = to;
  }
}

function readBounds(from: ByteReader): Interval[] {
  const bounds: Interval[] = [];
  let last = 0;
  for (let left = from.whole(); left > 0; left -= 1) {
    const start = last + from.whole();
    last = start + from.whole();
    bounds.push({ from: start, to: last });
  }
  return bounds;
}

function writeEvent(out: ByteWriter, event: Observation, atMs: number | undefined, names: Names): void {
  let present = 0;
  for (const [bit, name] of NUMBERS.entries()) if (event[name] !== undefined) present |= 1 << bit;
  if (event.partition !== undefined) present |= HAS_PARTITION;
  if (atMs !== undefined) present |= HAS_TIME;
  out.whole(present);
  out.whole(event.sequence);
  out.text(event.id);
  for (const name of NUMBERS) {
    const value = event[name];
    if (value !== undefined) out.double(value);
  }
  if (event.partition !== undefined) out.whole(names.numberOf(event.partition));
  if (atMs !== undefined) out.double(atMs);
}

function readEvent(
  from: ByteReader,
  run: string,
  key: string,
  names: Names,
): { event: Observation; atMs: number | undefined } {
  const present = from.whole();
  const sequence = from.whole();
  const id = from.text();
  const number = (bit: number): number | undefined =>
    (present & (1 << bit)) === 0 ? undefined : from.double();
  // Read in the order of NUMBERS, which is the order of evaluation here.
  const event: Observation = {
    run,
    key,
    sequence,
    id,
    intendedMicros: number(0),
    enqueuedMs: number(1),
    ingestedMs: number(2),
    sequenceNumber: number(3),
    partition: (present & HAS_PARTITION) === 0 ? undefined : names.at(from.whole()),
  };
  return { event, atMs: (present & HAS_TIME) === 0 ? undefined : from.double() };
}
