import { refuse } from './errors.ts';
import { checkFilter, type SubscriptionFilter } from './filter.ts';
import { type EventSchema, INPUT_SCHEMAS, type InputSchemaMapping } from './schema.ts';

/** `properties` of a custom topic, as the Event Grid on IoT Edge management API shapes them. */
export interface TopicProperties {
  readonly inputSchema: EventSchema;
  /** With `CustomInputSchema`: how its events become events of the other schemas. */
  readonly inputSchemaMapping?: {
    readonly inputSchemaMappingType: 'Json';
    readonly properties: InputSchemaMapping;
  };
}

/** `properties` of a push subscription. */
export interface PushProperties {
  readonly destination: {
    readonly endpointType: 'WebHook' | 'EventHub';
    readonly properties: {
      readonly endpointUrl?: string;
      /** Event hub: its name, or a resource id that ends in it. */
      readonly resourceId?: string;
      readonly maxEventsPerBatch?: number;
      readonly preferredBatchSizeInKilobytes?: number;
      readonly deliveryAttributeMappings?: readonly DeliveryAttribute[];
    };
  };
  readonly filter?: SubscriptionFilter;
  readonly eventDeliverySchema: EventSchema;
  readonly retryPolicy: { readonly maxDeliveryAttempts: number; readonly eventTimeToLiveInMinutes: number };
  /** Present = keep what could not be delivered. */
  readonly deadLetterDestination?: unknown;
}

export interface DeliveryAttribute {
  readonly name: string;
  readonly type: 'Static' | 'Dynamic';
  readonly properties: { readonly value?: string; readonly sourceField?: string };
}

/** `properties` of a namespace subscription with pull delivery. */
export interface PullProperties {
  readonly deliveryConfiguration: {
    readonly deliveryMode: 'Queue';
    readonly queue: {
      readonly receiveLockDurationInSeconds: number;
      readonly maxDeliveryCount: number;
      /** ISO 8601 duration. */
      readonly eventTimeToLive: string;
    };
  };
  readonly filtersConfiguration?: {
    readonly includedEventTypes?: readonly string[];
    readonly filters?: SubscriptionFilter['advancedFilters'];
  };
  readonly deadLetterDestination?: unknown;
}

/** "Event Grid schema to CloudEvents" is the one conversion, besides mapping a custom schema (Microsoft Learn: "CloudEvents v1.0 schema"). */
const DELIVERY_SCHEMAS: Readonly<Record<EventSchema, readonly EventSchema[]>> = {
  EventGridSchema: ['EventGridSchema', 'CloudEventSchemaV1_0'],
  CloudEventSchemaV1_0: ['CloudEventSchemaV1_0'],
  CustomInputSchema: ['CustomInputSchema', 'EventGridSchema', 'CloudEventSchemaV1_0'],
};

const MAX_ATTRIBUTES = 10;

type Loose = Readonly<Record<string, unknown>>;

const record = (value: unknown): Loose =>
  typeof value === 'object' && value !== null ? (value as Loose) : {};

/** @throws EventGridError 400 that names property and limit, as the following ones do. */
export function topicProperties(raw: unknown): TopicProperties {
  const { inputSchema = 'EventGridSchema', inputSchemaMapping } = record(raw);
  if (!INPUT_SCHEMAS.includes(inputSchema as EventSchema))
    throw refuse.invalid(`inputSchema must be one of ${INPUT_SCHEMAS.join(', ')}.`);
  if (inputSchemaMapping === undefined) return { inputSchema: inputSchema as EventSchema };
  const { inputSchemaMappingType, properties } = record(inputSchemaMapping);
  if (inputSchema !== 'CustomInputSchema' || inputSchemaMappingType !== 'Json')
    throw refuse.invalid('inputSchemaMapping must be of type Json, on a topic with CustomInputSchema.');
  const mapping = { inputSchemaMappingType, properties: record(properties) as InputSchemaMapping } as const;
  return { inputSchema, inputSchemaMapping: mapping };
}

export function pushProperties(raw: unknown, topic: TopicProperties): PushProperties {
  const { destination, filter, eventDeliverySchema, retryPolicy, deadLetterDestination } = record(raw);
  const { endpointType, properties } = record(destination);
  const target = record(properties) as PushProperties['destination']['properties'];
  if (endpointType === 'WebHook') checkUrl(target.endpointUrl);
  else if (endpointType !== 'EventHub')
    throw refuse.invalid('destination.endpointType must be WebHook or EventHub.');
  else if (!target.resourceId)
    throw refuse.invalid('destination.properties.resourceId must name an event hub.');
  within('maxEventsPerBatch', target.maxEventsPerBatch, 1, 5000);
  within('preferredBatchSizeInKilobytes', target.preferredBatchSizeInKilobytes, 1, 1024);
  const policy = record(retryPolicy);
  const schema = (eventDeliverySchema ?? topic.inputSchema) as EventSchema;
  if (!DELIVERY_SCHEMAS[topic.inputSchema].includes(schema))
    throw refuse.invalid(
      `eventDeliverySchema of a topic with ${topic.inputSchema} must be ${DELIVERY_SCHEMAS[topic.inputSchema].join(' or ')}.`,
    );
  checkAttributes(target.deliveryAttributeMappings ?? []);
  if (filter !== undefined) checkFilter(filter as SubscriptionFilter);
  return {
    destination: { endpointType, properties: target },
    ...(filter !== undefined && { filter: filter as SubscriptionFilter }),
    eventDeliverySchema: schema,
    retryPolicy: {
      maxDeliveryAttempts: within('maxDeliveryAttempts', policy['maxDeliveryAttempts'], 1, 30) ?? 30,
      eventTimeToLiveInMinutes:
        within('eventTimeToLiveInMinutes', policy['eventTimeToLiveInMinutes'], 1, 1440) ?? 1440,
    },
    ...(deadLetterDestination !== undefined && { deadLetterDestination }),
  };
}

export function pullProperties(raw: unknown): PullProperties {
  const { deliveryConfiguration, filtersConfiguration, deadLetterDestination } = record(raw);
  const { deliveryMode = 'Queue', queue } = record(deliveryConfiguration);
  if (deliveryMode !== 'Queue') throw refuse.invalid('deliveryConfiguration.deliveryMode must be Queue.');
  const { receiveLockDurationInSeconds, maxDeliveryCount, eventTimeToLive = 'P7D' } = record(queue);
  const filters = filtersConfiguration as PullProperties['filtersConfiguration'];
  if (filters?.filters) checkFilter({ advancedFilters: filters.filters });
  durationMs(String(eventTimeToLive));
  return {
    deliveryConfiguration: {
      deliveryMode: 'Queue',
      queue: {
        receiveLockDurationInSeconds:
          within('receiveLockDurationInSeconds', receiveLockDurationInSeconds, 60, 300) ?? 60,
        maxDeliveryCount: within('maxDeliveryCount', maxDeliveryCount, 1, 10) ?? 10,
        eventTimeToLive: String(eventTimeToLive),
      },
    },
    ...(filters && { filtersConfiguration: filters }),
    ...(deadLetterDestination !== undefined && { deadLetterDestination }),
  };
}

/** `P7D`, `PT1H30M` to milliseconds. */
export function durationMs(iso: string): number {
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(iso);
  if (match === null || iso === 'P')
    throw refuse.invalid(`'${iso}' is not an ISO 8601 duration such as P7D.`);
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = (match.slice(1) as (string | undefined)[]).map(
    (part) => Number(part ?? 0),
  );
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

/** Custom delivery properties travel as HTTP headers: their names must be tokens, and not Event Grid's own. */
function checkAttributes(attributes: readonly DeliveryAttribute[]): void {
  if (attributes.length > MAX_ATTRIBUTES)
    throw refuse.invalid(`${attributes.length} delivery attributes exceed the limit of ${MAX_ATTRIBUTES}.`);
  for (const { name, properties, type } of attributes) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || /^aeg-/i.test(name))
      throw refuse.invalid(`'${name}' cannot be the name of a delivery attribute.`);
    if ((type === 'Static' ? properties?.value : properties?.sourceField) === undefined)
      throw refuse.invalid(
        `The delivery attribute '${name}' has no ${type === 'Static' ? 'value' : 'sourceField'}.`,
      );
  }
}

function checkUrl(url: unknown): void {
  if (typeof url === 'string' && URL.canParse(url) && /^https?:/.test(url)) return;
  throw refuse.invalid('destination.properties.endpointUrl must be an http or https URL.');
}

function within(name: string, value: unknown, low: number, high: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high)
    throw refuse.invalid(`${name} must be between ${low} and ${high}, not ${String(value)}.`);
  return value;
}
