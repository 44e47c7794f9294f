import { ENVELOPE_FIELD } from '../../util/envelope.ts';

/** An event as it was found at some place behind the producer. */
export interface Observation {
  /** Empty for streams that carry no run. */
  readonly run: string;
  readonly key: string;
  readonly sequence: number;
  /** Id of the item. */
  readonly id: string;
  readonly intendedMicros?: number | undefined;
  readonly enqueuedMs?: number | undefined;
  readonly ingestedMs?: number | undefined;
  /** Event Hubs coordinates. */
  readonly partition?: string | undefined;
  readonly sequenceNumber?: number | undefined;
}

/** Why an item says nothing about an event: what is wrong, for a person. */
export interface Unreadable {
  readonly id: string;
  /** The run it belongs to, where at least that can be read. */
  readonly run?: string;
  readonly problem: string;
}

/** Where key and sequence number are in an item. Paths are dotted: `payload.device`. */
export interface ObservationFields {
  /** Default: the envelope that `ingest` keeps in the field `pipe`. */
  readonly key?: string;
  readonly sequence?: string;
  /**
   * Field with the time of origin (ISO text or epoch milliseconds) for streams without our envelope. Its distance to the
   * item's `_ts`, a whole second, is the latency: up to one second too short, so that what is called late is.
   */
  readonly time?: string;
  /**
   * Fields of the body that must agree with the envelope, to notice bodies and envelopes that were mixed up:
   * `{ key: 'deviceId', sequence: 'deviceSequenceNumber' }`. Checked where the item has them.
   */
  readonly body?: { readonly key?: string; readonly sequence?: string };
}

export type Observer = (item: unknown) => Observation | Unreadable;

export function isUnreadable(found: Observation | Unreadable): found is Unreadable {
  return 'problem' in found;
}

/** Compiles how items are read: by our envelope, or by fields that a third-party stream carries. */
export function observer(fields: ObservationFields = {}): Observer {
  if (fields.key === undefined || fields.sequence === undefined) return envelopeObserver(fields.body ?? {});
  const keyOf = path(fields.key);
  const sequenceOf = path(fields.sequence);
  const timeOf = fields.time === undefined ? () => undefined : path(fields.time);
  return (item) => {
    const id = idOf(item);
    const key = keyOf(item);
    const sequence = sequenceOf(item);
    if (key === undefined || key === null) return { id, problem: `no value at ${fields.key}` };
    if (!isSequence(sequence)) return { id, problem: `no whole number at ${fields.sequence}` };
    const originMs = millisecondsOf(timeOf(item));
    return {
      run: '',
      key: String(key),
      sequence,
      id,
      intendedMicros: originMs === undefined ? undefined : originMs * 1000,
      ingestedMs: originMs === undefined ? undefined : storedMsOf(item),
    };
  };
}

function envelopeObserver(body: NonNullable<ObservationFields['body']>): Observer {
  const keyOf = path(body.key ?? '');
  const sequenceOf = path(body.sequence ?? '');
  return (item) => {
    const id = idOf(item);
    const envelope = (item as Readonly<Record<string, unknown>> | null)?.[ENVELOPE_FIELD];
    if (typeof envelope !== 'object' || envelope === null)
      return { id, problem: `no field ${ENVELOPE_FIELD}` };
    const { run, key, sequence, intendedMicros, enqueuedMs, ingestedMs, partition, sequenceNumber } =
      envelope as Readonly<Record<string, unknown>>;
    if (typeof key !== 'string' || typeof run !== 'string' || !isSequence(sequence))
      return { id, problem: `${ENVELOPE_FIELD} names no run, key and sequence number` };
    const bodyKey = keyOf(item);
    if (bodyKey !== undefined && bodyKey !== key)
      return { id, run, problem: `${body.key} is ${JSON.stringify(bodyKey)}, the event was sent as ${key}` };
    const bodySequence = sequenceOf(item);
    if (bodySequence !== undefined && bodySequence !== sequence)
      return { id, run, problem: `${body.sequence} is ${bodySequence}, the event was sent as ${sequence}` };
    return {
      run,
      key,
      sequence,
      id,
      intendedMicros: numberOf(intendedMicros),
      enqueuedMs: numberOf(enqueuedMs),
      ingestedMs: numberOf(ingestedMs),
      partition: typeof partition === 'string' ? partition : undefined,
      sequenceNumber: numberOf(sequenceNumber),
    };
  };
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function idOf(item: unknown): string {
  const id = (item as Readonly<Record<string, unknown>> | null)?.['id'];
  return typeof id === 'string' ? id : '?';
}

function path(dotted: string): (item: unknown) => unknown {
  if (dotted === '') return () => undefined;
  const names = dotted.split('.');
  return (item) => {
    let value: unknown = item;
    for (const name of names) value = (value as Readonly<Record<string, unknown>> | null | undefined)?.[name];
    return value;
  };
}

/** When Cosmos DB wrote the item: `_ts`, whole seconds, so up to one second too early. */
function storedMsOf(item: unknown): number | undefined {
  const seconds = numberOf((item as Readonly<Record<string, unknown>>)['_ts']);
  return seconds === undefined ? undefined : seconds * 1000;
}

function millisecondsOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}
