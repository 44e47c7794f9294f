import { randomUUID } from 'node:crypto';
import type { EventSchema } from './schema.ts';
import type { WebhookClient } from './webhook.ts';

export type ProvisioningState = 'Creating' | 'Succeeded' | 'AwaitingManualAction' | 'Failed' | 'Deleting';

const TIMEOUT_MS = 30_000;

export interface HandshakeInput {
  readonly client: WebhookClient;
  readonly url: string;
  readonly schema: EventSchema;
  readonly subscription: string;
  readonly topicId: string;
  /** Where a person can validate by hand with a GET, for the Event Grid schema. */
  readonly validationUrl: string;
  readonly validationCode: string;
}

/**
 * Proves that the endpoint wants events. Event Grid schema: a SubscriptionValidationEvent whose code comes back in a 200
 * (a 200 without it waits for the validation URL). CloudEvents: OPTIONS with WebHook-Request-Origin (CloudEvents webhook
 * spec 4).
 */
export async function handshake(input: HandshakeInput): Promise<ProvisioningState> {
  return input.schema === 'CloudEventSchemaV1_0' ? cloudEvents(input) : eventGrid(input);
}

async function cloudEvents({ client, url, validationUrl }: HandshakeInput): Promise<ProvisioningState> {
  const reply = await client.send({
    url,
    method: 'OPTIONS',
    headers: {
      'webhook-request-origin': 'eventgrid.azure.net',
      'webhook-request-callback': validationUrl,
      'webhook-request-rate': '120',
    },
    timeoutMs: TIMEOUT_MS,
  });
  if (typeof reply === 'string' || reply.status !== 200) return 'Failed';
  const allowed = reply.headers['webhook-allowed-origin'];
  return allowed === '*' || allowed === 'eventgrid.azure.net' ? 'Succeeded' : 'AwaitingManualAction';
}

async function eventGrid(input: HandshakeInput): Promise<ProvisioningState> {
  const { client, url, subscription, topicId, validationUrl, validationCode } = input;
  const event = {
    id: randomUUID(),
    topic: topicId,
    subject: '',
    data: { validationCode, validationUrl },
    eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
    eventTime: new Date().toISOString(),
    metadataVersion: '1',
    dataVersion: '2',
  };
  const reply = await client.send({
    url,
    method: 'POST',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'aeg-event-type': 'SubscriptionValidation',
      'aeg-subscription-name': subscription.toUpperCase(),
      'aeg-delivery-count': '0',
      'aeg-data-version': '2',
      'aeg-metadata-version': '1',
    },
    body: JSON.stringify([event]),
    timeoutMs: TIMEOUT_MS,
  });
  if (typeof reply === 'string' || reply.status !== 200) return 'Failed';
  return echoed(reply.body)?.toLowerCase() === validationCode.toLowerCase()
    ? 'Succeeded'
    : 'AwaitingManualAction';
}

/** Tells a webhook that its subscription was deleted; nobody waits for the answer. */
export async function farewell(
  input: Pick<HandshakeInput, 'client' | 'url' | 'schema' | 'subscription' | 'topicId'>,
): Promise<void> {
  const { client, schema, subscription, topicId, url } = input;
  const id = randomUUID();
  const time = new Date().toISOString();
  const type = 'Microsoft.EventGrid.SubscriptionDeletedEvent';
  const data = { eventSubscriptionId: `${topicId}/eventSubscriptions/${subscription}` };
  const cloud = schema === 'CloudEventSchemaV1_0';
  const event = cloud
    ? { specversion: '1.0', id, source: topicId, type, subject: '', time, data }
    : [
        {
          id,
          topic: topicId,
          subject: '',
          data,
          eventType: type,
          eventTime: time,
          metadataVersion: '1',
          dataVersion: '1',
        },
      ];
  await client.send({
    url,
    method: 'POST',
    headers: {
      'content-type': `application/${cloud ? 'cloudevents+json' : 'json'}; charset=utf-8`,
      'aeg-event-type': 'SubscriptionDeletion',
      'aeg-subscription-name': subscription.toUpperCase(),
      'aeg-delivery-count': '0',
      'aeg-data-version': '1',
      'aeg-metadata-version': '1',
    },
    body: JSON.stringify(event),
    timeoutMs: TIMEOUT_MS,
  });
}

function echoed(body: string): string | undefined {
  try {
    const { validationResponse } = JSON.parse(body) as { validationResponse?: unknown };
    return typeof validationResponse === 'string' ? validationResponse : undefined;
  } catch {
    return undefined;
  }
}
