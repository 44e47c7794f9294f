import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';
import type { Secret } from '../util/secret.ts';
import { type GridEvent, readEvent } from './event.ts';
import { answerHandshake, isSecret, VALIDATION_HEADER } from './webhook-handshake.ts';

/** What one POST of Event Grid brought. */
export interface Delivery {
  readonly events: readonly GridEvent[];
  /** What is no event: it will not become one by being sent again. */
  readonly malformed: readonly { readonly reason: string; readonly body: string }[];
  /** Upper case, as Event Grid sends it. */
  readonly subscription: string | undefined;
  /** Attempts before this one. */
  readonly deliveryCount: number;
}

export interface WebhookOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Path that takes events; anything else is 404. */
  readonly path: string;
  /** Must come as `?code=` or in the header `x-functions-key`. */
  readonly secret?: Secret;
  /** Origins that may subscribe with the CloudEvents handshake, `*` for any. Default: `eventgrid.azure.net`. */
  readonly allowedOrigins?: readonly string[];
  /** Bodies that are being worked on; beyond this the answer is 503. Default 32 MB. */
  readonly maxBufferedBytes?: number;
  /** Event Grid waits 30 s for an answer; after this time the answer is 503. Default 25,000. */
  readonly answerWithinMs?: number;
  readonly clock: Clock;
  /** Resolves when everything is durable; rejects when Event Grid should try again. */
  deliver(delivery: Delivery): Promise<void>;
  onHandshake?(subscription: string): void;
  /** One line about a request that was not taken, and why. */
  onProblem?(message: string): void;
}

export interface WebhookReceiver {
  /** Address for event subscriptions, without the secret. */
  readonly url: string;
  /** Requests by answer: `200`, `404`, `503`. */
  answers(): Readonly<Record<string, number>>;
  /** Refuses new connections and resolves when the deliveries under way are answered. */
  stop(): Promise<void>;
}

/** Twice what Event Grid sends at most. */
const MAX_BODY_BYTES = 2_097_152;

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * Takes deliveries of Event Grid over HTTP, answering both validation handshakes. No answer ever makes Event Grid drop an
 * event: it gives up at once on 400, 401, 403 and 413 (Microsoft Learn: "Event Grid message delivery and retry"), so a
 * wrong secret is a 404, which is tried again, and whatever cannot be taken now is a 503.
 *
 * @throws PipeError E_PORT_IN_USE.
 */
export async function startWebhook(options: WebhookOptions): Promise<WebhookReceiver> {
  const { clock, host, path } = options;
  const maxBufferedBytes = options.maxBufferedBytes ?? 32_000_000;
  const answers: Record<string, number> = {};
  let bufferedBytes = 0;
  let stopped: Promise<unknown> | undefined;

  const busy = (why: string): Answer => {
    options.onProblem?.(why);
    return { status: 503, headers: { 'retry-after': '30' } };
  };

  const take = async (request: IncomingMessage, body: Buffer): Promise<Answer> => {
    const late = new AbortController();
    const tooLate = clock.sleep(options.answerWithinMs ?? 25_000, late.signal).then(
      () => busy('a delivery took too long to store; Event Grid will send it again'),
      () => ({ status: 503 }),
    );
    const stored = options.deliver(readDelivery(request, body)).then(
      (): Answer => ({ status: 200 }),
      (error: unknown) => busy(`a delivery was not stored (${(error as Error).message}); asked for it again`),
    );
    const answer = await Promise.race([stored, tooLate]);
    late.abort();
    return answer;
  };

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const known = url.pathname === path && (request.method === 'POST' || request.method === 'OPTIONS');
    if (!known || !isSecret(options.secret, url, request.headers)) {
      request.resume();
      if (known) options.onProblem?.('a request came with a wrong secret or none; answered 404');
      return { status: 404 };
    }
    if (request.method === 'OPTIONS' || request.headers['aeg-event-type'] === VALIDATION_HEADER) {
      const handshake = answerHandshake(
        request.headers,
        request.method,
        (await read(request)).toString(),
        options.allowedOrigins ?? ['eventgrid.azure.net'],
      );
      if (handshake.accepted) options.onHandshake?.(subscriptionOf(request) ?? handshake.origin);
      else options.onProblem?.(`refused the handshake of ${handshake.origin}; --allow-origin permits it`);
      return handshake.answer;
    }
    // Tells that the subscription is gone; nothing to store.
    if (request.headers['aeg-event-type'] === 'SubscriptionDeletion') {
      request.resume();
      return { status: 200 };
    }
    const length = Number(request.headers['content-length'] ?? 0);
    if (bufferedBytes + length > maxBufferedBytes) {
      request.resume();
      return busy('more deliveries came than can be stored; asked for them again');
    }
    const body = await read(request);
    if (body.length > MAX_BODY_BYTES) return busy(`a body of ${body.length} bytes is none of Event Grid`);
    bufferedBytes += body.length;
    try {
      return await take(request, body);
    } finally {
      bufferedBytes -= body.length;
    }
  };

  const server = createServer((request, response) => {
    void answer(request)
      .catch((error: unknown) => busy(`a request failed (${(error as Error).message})`))
      .then((given) => {
        answers[given.status] = (answers[given.status] ?? 0) + 1;
        send(response, stopped === undefined ? given : lastOf(given));
      });
  });
  server.keepAliveTimeout = 65_000;
  server.listen(options.port, host);
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause;
    throw new PipeError('E_PORT_IN_USE', `port ${options.port} is already in use`, {
      hint: 'pass --port 0 for a free port',
      cause,
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}${path}`,
    answers: () => ({ ...answers }),
    async stop() {
      stopped ??= new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await stopped;
    },
  };
}

function send(response: ServerResponse, { status, headers, body = '' }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Ends the connection, which would otherwise stay open for the next request. */
function lastOf(answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, connection: 'close' } };
}

function subscriptionOf({ headers }: IncomingMessage): string | undefined {
  const name = headers['aeg-subscription-name'];
  return typeof name === 'string' ? name : undefined;
}

/** Reads to the end even what is too large: a request that is cut off gets no answer, only a reset connection. */
async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES + 1) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readDelivery(request: IncomingMessage, bytes: Buffer): Delivery {
  const subscription = subscriptionOf(request);
  const deliveryCount = Number(request.headers['aeg-delivery-count'] ?? 0);
  const body = bytes.toString('utf8');
  const of = (events: readonly GridEvent[], malformed: Delivery['malformed']): Delivery => ({
    events,
    malformed,
    subscription,
    deliveryCount,
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return of([], [{ reason: 'the body is not JSON', body }]);
  }
  const events: GridEvent[] = [];
  const malformed: { reason: string; body: string }[] = [];
  for (const value of Array.isArray(parsed) ? (parsed as unknown[]) : [parsed]) {
    const event = readEvent(value);
    if (event !== undefined) events.push(event);
    else
      malformed.push({ reason: 'neither a CloudEvent nor an Event Grid event', body: JSON.stringify(value) });
  }
  return of(events, malformed);
}
