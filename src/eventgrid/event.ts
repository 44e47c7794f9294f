/** How events travel: as CloudEvents 1.0, or in Event Grid's own schema. */
export type EventSchema = 'cloudEvents' | 'eventGrid';

/** An event in the words of CloudEvents. Of Event Grid's own schema `topic` is the source and `eventType` the type. */
export interface GridEvent {
  readonly id: string;
  readonly type: string;
  /** A URI reference; empty where a publisher in the Event Grid schema leaves it to the topic. */
  readonly source: string;
  readonly subject?: string;
  /** ISO 8601. */
  readonly time?: string;
  readonly data?: unknown;
  /** Media type of `data`, where the publisher named one. */
  readonly contentType?: string;
  /** Extension attributes, of CloudEvents only. */
  readonly extensions: Readonly<Record<string, unknown>>;
  readonly schema: EventSchema;
}

type Raw = Readonly<Record<string, unknown>>;

/** Attributes of CloudEvents 1.0 that are no extensions. */
const ATTRIBUTES = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'data',
  'data_base64',
  'datacontenttype',
  'dataschema',
]);

/** Reads an event of either schema; `undefined` for anything else, which lacks an id, a type or (CloudEvents) a source. */
export function readEvent(value: unknown): GridEvent | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const raw = value as Raw;
  return typeof raw['specversion'] === 'string' ? readCloudEvent(raw) : readEventGridEvent(raw);
}

function readCloudEvent(raw: Raw): GridEvent | undefined {
  const { id, source, type, subject, time, data, data_base64: base64, datacontenttype } = raw;
  if (!isText(id) || !isText(source) || !isText(type)) return undefined;
  return {
    id,
    source,
    type,
    ...(isText(subject) && { subject }),
    ...(isText(time) && { time }),
    ...(data !== undefined && { data }),
    ...(typeof base64 === 'string' && { data: Buffer.from(base64, 'base64') }),
    ...(isText(datacontenttype) && { contentType: datacontenttype }),
    extensions: Object.fromEntries(Object.entries(raw).filter(([name]) => !ATTRIBUTES.has(name))),
    schema: 'cloudEvents',
  };
}

function readEventGridEvent(raw: Raw): GridEvent | undefined {
  const { id, topic, eventType, subject, eventTime, data } = raw;
  if (!isText(id) || !isText(eventType)) return undefined;
  return {
    id,
    source: isText(topic) ? topic : '',
    type: eventType,
    ...(isText(subject) && { subject }),
    ...(isText(eventTime) && { time: eventTime }),
    ...(data !== undefined && { data }),
    extensions: {},
    schema: 'eventGrid',
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
