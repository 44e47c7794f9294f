import { createHash } from 'node:crypto';
import type { PartitionKeyComponent, WriteOperation } from '../../cosmos/write-operation.ts';
import type { EventSchema, GridEvent } from '../../eventgrid/event.ts';
import { ARRIVAL_FIELD, ENVELOPE_FIELD, type StoredEnvelope } from '../../util/envelope.ts';
import { valueAt } from '../feed/fields.ts';
import { ENVELOPE_ATTRIBUTES } from './publish-envelope.ts';
import { compileEventKey } from './receive-partition-key.ts';

export interface Arrival {
  readonly schema: EventSchema;
  readonly subscription?: string;
  /** Attempts before this one. */
  readonly deliveryCount: number;
  /** ISO 8601. */
  readonly receivedAt: string;
}

export interface DocumentOptions {
  /** `hash`: of source and id, which together are unique (CloudEvents 1.0); `event`: the event's own id. */
  readonly id: 'hash' | 'event';
  /** Paths of the container's partition key: `/pk`. */
  readonly partitionKeyPaths: readonly string[];
  /** One template per path; without any, `/pk` is the subject, any other path is read from the document. */
  readonly partitionKeyFrom: readonly string[];
  readonly ttlSeconds?: number;
  readonly write: 'create' | 'upsert';
}

/** The write for an event, or why there is none: `undefined` operation with a reason. */
export type DocumentWrite =
  | { readonly operation: WriteOperation }
  | { readonly operation: undefined; readonly reason: string };

const DEFAULT_KEY = '{subject}';
const MAX_ID_BYTES = 1_023;

/**
 * Makes the mapping of events to documents: `{id, <partition key>, eventId, type, source, subject, time, data, ext, eg}`.
 * The same event always gets the same id and partition key, so that storing it again is a conflict instead of a copy.
 */
export function documentMapper(
  options: DocumentOptions,
): (event: GridEvent, arrival: Arrival) => DocumentWrite {
  const paths = options.partitionKeyPaths.map((path) => path.slice(1).split('/'));
  const templates = paths.map((path, index) => {
    const given = options.partitionKeyFrom[index];
    if (given !== undefined) return compileEventKey(given);
    return path.join('/') === 'pk' ? subjectOrSource : undefined;
  });
  return (event, arrival) => {
    const id = options.id === 'event' ? event.id : hashedId(event);
    const problem = idProblem(id);
    if (problem !== undefined) return { operation: undefined, reason: problem };
    const document = documentOf(event, arrival, id, options.ttlSeconds);
    const key: PartitionKeyComponent[] = [];
    for (const [index, path] of paths.entries()) {
      const template = templates[index];
      const value = template ? template(event) : valueAt(document, path);
      if (template && value !== undefined) setAt(document, path, value);
      if (value === undefined)
        return {
          operation: undefined,
          reason: `no value for the partition key ${options.partitionKeyPaths[index]}`,
        };
      key.push(value as PartitionKeyComponent);
    }
    return {
      operation: {
        kind: options.write,
        id,
        partitionKey: key.length === 1 ? (key[0] as PartitionKeyComponent) : key,
        body: JSON.stringify(document),
      },
    };
  };
}

const subjectKey = compileEventKey(DEFAULT_KEY);

function subjectOrSource(event: GridEvent): string {
  return String(subjectKey(event) ?? event.source);
}

function hashedId({ source, id }: GridEvent): string {
  return createHash('sha256').update(`${source}\n${id}`).digest('base64url').slice(0, 32);
}

/** What Cosmos DB does not take as an id. */
function idProblem(id: string): string | undefined {
  if (/[/\\?#]/.test(id)) return `the event id ${JSON.stringify(id)} is not a legal item id; use --id hash`;
  if (Buffer.byteLength(id) > MAX_ID_BYTES)
    return `the event id is longer than ${MAX_ID_BYTES} bytes; use --id hash`;
  return undefined;
}

function documentOf(
  event: GridEvent,
  arrival: Arrival,
  id: string,
  ttlSeconds: number | undefined,
): Record<string, unknown> {
  const { data, extensions, source, subject, time, type } = event;
  const { envelope, ext } = splitExtensions(extensions, time, arrival);
  return {
    id,
    eventId: event.id,
    type,
    source,
    ...(subject !== undefined && { subject }),
    ...(time !== undefined && { time }),
    ...(data !== undefined && { data: Buffer.isBuffer(data) ? data.toString('base64') : data }),
    ...(Object.keys(ext).length > 0 && { ext }),
    [ARRIVAL_FIELD]: arrival,
    ...(envelope && { [ENVELOPE_FIELD]: envelope }),
    ...(ttlSeconds !== undefined && { ttl: ttlSeconds }),
  };
}

/** Takes the producer's envelope out of the extension attributes, so that `verify` finds it where `ingest` keeps it. */
function splitExtensions(
  extensions: GridEvent['extensions'],
  time: string | undefined,
  arrival: Arrival,
): { readonly envelope: StoredEnvelope | undefined; readonly ext: Readonly<Record<string, unknown>> } {
  const {
    [ENVELOPE_ATTRIBUTES.run]: run,
    [ENVELOPE_ATTRIBUTES.key]: key,
    [ENVELOPE_ATTRIBUTES.sequence]: sequence,
    [ENVELOPE_ATTRIBUTES.intendedMicros]: intendedMicros,
    ...ext
  } = extensions;
  if (typeof run !== 'string' || typeof key !== 'string' || sequence === undefined)
    return { envelope: undefined, ext: extensions };
  const receivedMs = Date.parse(arrival.receivedAt);
  return {
    ext,
    envelope: {
      run,
      key,
      // Attributes of CloudEvents are texts or 32-bit integers; ours are texts.
      sequence: Number(sequence),
      ...(intendedMicros !== undefined && { intendedMicros: Number(intendedMicros) }),
      partition: 'event-grid',
      sequenceNumber: Number(sequence),
      enqueuedMs: time === undefined ? receivedMs : Date.parse(time),
      ingestedMs: receivedMs,
    },
  };
}

function setAt(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = document;
  for (const name of path.slice(0, -1)) {
    const next = inner[name];
    inner[name] = typeof next === 'object' && next !== null ? { ...next } : {};
    inner = inner[name] as Record<string, unknown>;
  }
  inner[path.at(-1) as string] = value;
}
