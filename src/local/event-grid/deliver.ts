import type { Clock } from '../../util/clock.ts';
import type { Faults } from '../faults/faults.ts';
import { type AttemptResult, type PendingEvent, resultOf } from './push-subscription.ts';
import type { DeliveryAttribute, PushProperties } from './resources.ts';
import { fieldAt, type GridEvent } from './schema.ts';
import type { WebhookClient } from './webhook.ts';

export interface Deliver {
  readonly clock: Clock;
  readonly faults: Faults;
  readonly webhooks: WebhookClient;
  /** Appends to an event hub of the stack; rejects when there is none of that name. */
  readonly toEventHub:
    | ((
        hub: string,
        body: string,
        properties: Readonly<Record<string, string>>,
        partitionKey: string | undefined,
      ) => Promise<void>)
    | undefined;
}

const RESPONSE_WINDOW_MS = 30_000;

/** How one subscription delivers a batch: as a webhook POST, or as events of an event hub. */
export function deliverer(
  { clock, faults, webhooks, toEventHub }: Deliver,
  { destination, eventDeliverySchema }: PushProperties,
): (subscription: string, batch: readonly PendingEvent[]) => Promise<AttemptResult> {
  const { properties: target } = destination;
  const cloud = eventDeliverySchema === 'CloudEventSchemaV1_0';
  const single = cloud && (target.maxEventsPerBatch ?? 1) === 1;
  const contentType = cloud
    ? `application/cloudevents${single ? '' : '-batch'}+json; charset=utf-8`
    : 'application/json; charset=utf-8';

  async function disturbed(): Promise<AttemptResult | undefined> {
    const delay = faults.draw('latency');
    if (delay !== undefined) await clock.sleep(delay.delayMs);
    if (faults.draw('timeout')) return { status: undefined, outcome: 'TimedOut' };
    if (faults.draw('reset')) return { status: undefined, outcome: 'SocketError' };
    if (faults.draw('unavailable')) return resultOf({ status: 503 });
    return undefined;
  }

  return async (subscription, batch) => {
    const disturbance = faults.any ? await disturbed() : undefined;
    if (disturbance !== undefined) return disturbance;
    const [head] = batch as readonly [PendingEvent];
    const attributes: Record<string, string> = {
      'aeg-event-type': 'Notification',
      'aeg-subscription-name': subscription.toUpperCase(),
      'aeg-delivery-count': String(head.attempts - 1),
      'aeg-data-version': String(head.event['dataVersion'] ?? ''),
      'aeg-metadata-version': '1',
      'aeg-output-event-id': String(head.event['id'] ?? ''),
      ...mapped(target.deliveryAttributeMappings, head.event),
    };
    if (destination.endpointType === 'EventHub') return toHub(batch, attributes);
    const reply = await webhooks.send({
      url: target.endpointUrl as string,
      method: 'POST',
      headers: {
        'content-type': contentType,
        ...headerValues(attributes),
        ...(cloud && { origin: 'eventgrid.azure.net', 'webhook-request-origin': 'eventgrid.azure.net' }),
      },
      body: single ? head.json : `[${batch.map(({ json }) => json).join(',')}]`,
      timeoutMs: RESPONSE_WINDOW_MS,
    });
    return resultOf(reply);
  };

  async function toHub(
    batch: readonly PendingEvent[],
    attributes: Readonly<Record<string, string>>,
  ): Promise<AttemptResult> {
    const hub = (target.resourceId as string).split('/').at(-1) as string;
    if (toEventHub === undefined) return { status: undefined, outcome: 'NotFound' };
    try {
      const { PartitionKey, ...properties } = attributes;
      for (const { json } of batch) await toEventHub(hub, json, properties, PartitionKey);
      return { status: undefined, outcome: 'Delivered' };
    } catch {
      return { status: undefined, outcome: 'NotFound' };
    }
  }
}

/** Custom delivery properties: fixed values, or fields of the event. */
function mapped(
  mappings: readonly DeliveryAttribute[] | undefined,
  event: GridEvent,
): Record<string, string> {
  return Object.fromEntries(
    (mappings ?? []).flatMap(({ name, type, properties }) => {
      const value = type === 'Static' ? properties.value : fieldAt(event, properties.sourceField ?? '');
      return value === undefined || value === null ? [] : [[name, String(value)]];
    }),
  );
}

const MAX_HEADER_CHARACTERS = 4096;

/** Ids and event fields may hold what a header must not: everything but visible ASCII is percent-encoded. */
function headerValues(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      value
        .replace(/[^\x20-\x7e]+/g, (text) => Buffer.from(text).toString('hex').replace(/../g, '%$&'))
        .slice(0, MAX_HEADER_CHARACTERS),
    ]),
  );
}
