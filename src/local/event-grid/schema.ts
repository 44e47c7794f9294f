import { refuse } from './errors.ts';

export const INPUT_SCHEMAS = ['EventGridSchema', 'CloudEventSchemaV1_0', 'CustomInputSchema'] as const;
export type EventSchema = (typeof INPUT_SCHEMAS)[number];

/** An event as it was published: Event Grid schema, CloudEvents 1.0 or anything else. */
export type GridEvent = Readonly<Record<string, unknown>>;

const REQUIRED = {
  EventGridSchema: ['id', 'subject', 'eventType', 'eventTime'],
  CloudEventSchemaV1_0: ['specversion', 'id', 'source', 'type'],
  CustomInputSchema: [],
} as const;

const WIRE_NAME = {
  EventGridSchema: 'EventGridEvent',
  CloudEventSchemaV1_0: 'CloudEventV10',
  CustomInputSchema: 'CustomInput',
} as const;

/** Where an Event Grid property of a custom event comes from; a source field is a path of names joined by dots. */
export interface CustomMapping {
  readonly sourceField?: string;
  readonly defaultValue?: string;
}

/** `inputSchemaMapping.properties` of a topic with custom input schema. */
export type InputSchemaMapping = Readonly<
  Partial<Record<'id' | 'topic' | 'eventTime' | 'eventType' | 'subject' | 'dataVersion', CustomMapping>>
>;

/** Checks a published body against the input schema of its topic. @throws EventGridError 400 that names property and index. */
export function parsePublished(
  body: unknown,
  schema: EventSchema,
  contentType: string,
): readonly GridEvent[] {
  if (schema === 'CloudEventSchemaV1_0' && !contentType.toLowerCase().includes('cloudevents'))
    throw refuse.contentType();
  if (schema === 'EventGridSchema' && !Array.isArray(body))
    throw refuse.schema(WIRE_NAME[schema], 'Token Expected: StartArray, Actual Token Received: StartObject.');
  const events: readonly unknown[] = Array.isArray(body) ? body : [body];
  return events.map((event, index) => {
    if (typeof event !== 'object' || event === null)
      throw refuse.schema(WIRE_NAME[schema], `Event ${index} is not an object.`);
    const checked = event as GridEvent;
    for (const property of REQUIRED[schema]) {
      const value = checked[property];
      if (typeof value !== 'string' || value.trim() === '')
        throw refuse.schema(
          WIRE_NAME[schema],
          `Property '${property}' of event ${index} is missing or empty.`,
        );
    }
    if (schema === 'EventGridSchema') checkEventGrid(checked, index);
    return checked;
  });
}

function checkEventGrid(event: GridEvent, index: number): void {
  if (Number.isNaN(Date.parse(event['eventTime'] as string)))
    throw refuse.schema(WIRE_NAME.EventGridSchema, `Property 'eventTime' of event ${index} is not a date.`);
  const version = event['metadataVersion'];
  if (version !== undefined && version !== null && version !== '1') {
    throw refuse.schema(
      WIRE_NAME.EventGridSchema,
      `Property 'metadataVersion' of event ${index} was found to be set to '${String(version)}', but was expected to either be null or be set to 1.`,
    );
  }
}

/** Identity of an event in either schema; a custom one may have none. */
export function eventId(event: GridEvent): string {
  return typeof event['id'] === 'string' ? event['id'] : '';
}

/** A custom event in the Event Grid schema: mapped fields become properties, the whole event the data. */
export function mapCustomEvent(
  event: GridEvent,
  mapping: InputSchemaMapping,
  fallbacks: GridEvent,
): GridEvent {
  const mapped = Object.fromEntries(
    Object.entries(mapping).flatMap(([property, { sourceField, defaultValue }]) => {
      const found = sourceField === undefined ? undefined : fieldAt(event, sourceField);
      const value = found ?? defaultValue;
      return value === undefined ? [] : [[property, String(value)]];
    }),
  );
  return { ...fallbacks, ...mapped, data: event };
}

/** Follows a dotted path of exact names. */
export function fieldAt(event: GridEvent, path: string): unknown {
  let value: unknown = event;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as GridEvent)[name];
  }
  return value;
}

/** The event as a subscription of that delivery schema receives it; a custom one has been mapped by then. */
export function toDeliverySchema(event: GridEvent, schema: EventSchema, topicId: string): GridEvent {
  if (schema === 'CloudEventSchemaV1_0') return isCloudEvent(event) ? event : toCloudEvent(event, topicId);
  return isCloudEvent(event) ? event : toEventGrid(event, topicId);
}

export function isCloudEvent(event: GridEvent): boolean {
  return typeof event['specversion'] === 'string';
}

function toCloudEvent(event: GridEvent, topicId: string): GridEvent {
  const version = event['dataVersion'];
  return {
    specversion: '1.0',
    id: event['id'],
    source: event['topic'] ?? topicId,
    type: event['eventType'],
    subject: event['subject'],
    time: event['eventTime'],
    ...(version ? { dataschema: `#${String(version)}` } : {}),
    data: event['data'],
  };
}

function toEventGrid(event: GridEvent, topicId: string): GridEvent {
  return { ...event, topic: event['topic'] ?? topicId, metadataVersion: '1' };
}
