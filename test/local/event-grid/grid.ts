import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AzureKeyCredential, EventGridPublisherClient, type InputSchema } from '@azure/eventgrid';
import { onTestFinished } from 'vitest';
import {
  type EventGridOptions,
  type EventGridService,
  startEventGrid,
} from '../../../src/local/event-grid/index.ts';

export type Body = Readonly<Record<string, unknown>>;

/** A service of the test, with its management API. */
export interface TestGrid {
  readonly service: EventGridService;
  readonly url: string;
  readonly key: string;
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The parsed answer of a request that must succeed. */
  ask<T = Body>(method: string, path: string, body?: unknown): Promise<T>;
  topic(name: string, properties?: Body): Promise<void>;
  /** Makes a webhook subscription; resolves to its provisioning state. */
  subscribe(topic: string, name: string, url: string, more?: Body, target?: Body): Promise<string>;
  publisher<T extends InputSchema>(topic: string, schema: T): EventGridPublisherClient<T>;
  metrics(): Readonly<Record<string, number>>;
}

export async function startGrid(options: EventGridOptions = {}): Promise<TestGrid> {
  const service = await startEventGrid({ seed: 1, topics: [], ...options });
  onTestFinished(() => service.stop());
  return gridAt(service);
}

export function gridAt(service: EventGridService): TestGrid {
  const url = `http://${service.host}:${service.port}`;
  const key = service.environment['EVENTGRID_NAMESPACE_KEY'] as string;
  const request: TestGrid['request'] = (method, path, body, headers = {}) =>
    fetch(new URL(path, url), {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await request(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as T;
  };
  return {
    service,
    url,
    key,
    request,
    ask,
    async topic(name, properties = {}) {
      await ask('PUT', `/topics/${name}`, { properties });
    },
    async subscribe(topic, name, endpointUrl, more = {}, target = {}) {
      const { properties } = await ask<{ properties: { provisioningState: string } }>(
        'PUT',
        `/topics/${topic}/eventSubscriptions/${name}`,
        {
          properties: {
            destination: { endpointType: 'WebHook', properties: { endpointUrl, ...target } },
            ...more,
          },
        },
      );
      return properties.provisioningState;
    },
    publisher: (topic, schema) =>
      new EventGridPublisherClient(`${url}/${topic}/api/events`, schema, new AzureKeyCredential(key), {
        allowInsecureConnection: true,
        retryOptions: { maxRetries: 0 },
      }),
    metrics: () => service.stats() as Readonly<Record<string, number>>,
  };
}

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

export interface TestReceiver {
  readonly url: string;
  /** Notifications, handshakes left out. */
  readonly received: Received[];
  /** Handshakes and deletions. */
  readonly control: Received[];
  close(): void;
}

/** What a receiver answers; `undefined` = nothing, ever. */
export type Script = (request: Received) => number | undefined;

/** A webhook that answers handshakes like a good one, and notifications as the script says (default 200). */
export async function startReceiver(
  script: Script = () => 200,
  handshake: 'answer' | 'refuse' | 'silent' = 'answer',
): Promise<TestReceiver> {
  const received: Received[] = [];
  const control: Received[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const { headers, method = '', url: path = '' } = request;
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      const got = { method, path, headers, body };
      const kind = headers['aeg-event-type'];
      if (method === 'OPTIONS' || kind === 'SubscriptionValidation') {
        control.push(got);
        if (handshake === 'refuse') response.writeHead(404).end();
        else if (handshake === 'silent') response.writeHead(200).end();
        else if (method === 'OPTIONS')
          response.writeHead(200, { 'webhook-allowed-origin': headers['webhook-request-origin'] }).end();
        else {
          const [{ data }] = body as [{ data: { validationCode: string } }];
          response.end(JSON.stringify({ validationResponse: data.validationCode }));
        }
        return;
      }
      if (kind === 'SubscriptionDeletion') {
        control.push(got);
        response.end();
        return;
      }
      received.push(got);
      const status = script(got);
      if (status !== undefined) response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received, control, close };
}

/** An event of the Event Grid schema for the SDK. */
export function order(n: number, more: Body = {}) {
  return {
    id: `order-${n}`,
    eventType: 'Order.Created',
    subject: `/orders/${n}`,
    dataVersion: '1',
    data: { total: n },
    ...more,
  };
}
