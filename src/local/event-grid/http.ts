import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Clock } from '../../util/clock.ts';
import type { Faults } from '../faults/faults.ts';
import { authorize } from './auth.ts';
import { type DeadLetterStore, withoutReason } from './dead-letter.ts';
import { EventGridError, refuse } from './errors.ts';
import type { Grid } from './grid.ts';
import type { GridMetrics } from './metrics.ts';
import type { PullSubscription, SettleResult } from './pull-subscription.ts';
import { eventId, parsePublished } from './schema.ts';
import { backlogOf, type Subscription, stateOf, type Topic, type TopicKind } from './subscription.ts';
import type { Trace } from './trace.ts';

export interface HandlerOptions {
  readonly grid: Grid;
  readonly key: string;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly metrics: GridMetrics;
  readonly trace: Trace;
  readonly deadLetters: DeadLetterStore;
  readonly enforceLimits: boolean;
}

/** `undefined` body = empty; a string is sent as text. */
type Reply = readonly [status: number, body?: unknown];

interface Call extends HandlerOptions {
  readonly request: IncomingMessage;
  readonly query: URLSearchParams;
  readonly params: readonly string[];
  readonly limit: (topic: Topic, events: number, bytes: number) => void;
}

interface Route {
  readonly method: string;
  readonly path: RegExp;
  run(call: Call): Promise<Reply> | Reply;
}

const MAX_BODY_BYTES = 1_048_576;
const NAME = '([A-Za-z0-9][\\w-]*)';
const route = (method: string, path: string, run: Route['run']): Route => ({
  method,
  path: new RegExp(`^${path.replaceAll(':name', NAME)}$`, 'i'),
  run,
});

/** Routes in the order in which they are tried; the first that fits answers. */
const ROUTES: readonly Route[] = [
  route('POST', '(?:/:name)?/api/events', publishToTopic),
  route('POST', '/topics/:name:publish', publishToNamespace),
  route('POST', '/topics/:name/eventsubscriptions/:name:receive', receive),
  route('POST', '/topics/:name/eventsubscriptions/:name:(acknowledge|release|reject|renewLock)', settle),
  route('GET', '/eventsubscriptions/:name/validate', validate),
  route('GET', '/(topics|namespace/topics)', ({ grid, params }) => [
    200,
    grid.topics(kindOf(params[0])).map(describeTopic),
  ]),
  route('PUT', '/(topics|namespace/topics)/:name', async (call) => {
    const body = (await readJson(call.request)) as { properties?: unknown };
    return [
      200,
      describeTopic(call.grid.putTopic(kindOf(call.params[0]), call.params[1] as string, body.properties)),
    ];
  }),
  route('GET', '/(topics|namespace/topics)/:name', (call) => [200, describeTopic(topicOf(call))]),
  route('DELETE', '/(topics|namespace/topics)/:name', async (call) => {
    await call.grid.deleteTopic(kindOf(call.params[0]), call.params[1] as string);
    return [200];
  }),
  route('GET', '/(topics|namespace/topics)/:name/eventSubscriptions', (call) => [
    200,
    [...topicOf(call).subscriptions.values()].map((each) => describeSubscription(each, call.clock)),
  ]),
  route('PUT', '/(topics|namespace/topics)/:name/eventSubscriptions/:name', async (call) => {
    const topic = topicOf(call);
    const body = (await readJson(call.request)) as { properties?: unknown };
    const put = await call.grid.putSubscription(topic, call.params[2] as string, body.properties);
    return [200, describeSubscription(put, call.clock)];
  }),
  route('GET', '/(topics|namespace/topics)/:name/eventSubscriptions/:name', (call) => [
    200,
    describeSubscription(subscriptionOf(call), call.clock),
  ]),
  route('DELETE', '/(topics|namespace/topics)/:name/eventSubscriptions/:name', async (call) => {
    await call.grid.deleteSubscription(subscriptionOf(call));
    return [200];
  }),
  route('GET', '/trace/(.+)', ({ trace, params }) => {
    const id = decodeURIComponent(params[0] as string);
    const entries = trace.of(id);
    if (entries === undefined)
      throw new EventGridError(404, 'NotFound', `No event ${id} among the last traced ones.`);
    return [200, { eventId: id, entries }];
  }),
  route('GET', '/deadletters', ({ deadLetters, query }) => [
    200,
    deadLetters.list(numberParameter(query, 'limit', 1000, 0, Number.MAX_SAFE_INTEGER)),
  ]),
  route('POST', '/deadletters/(.+)/replay', replay),
  route('GET', '/metrics', ({ metrics }) => [200, metrics.text()]),
  route('POST', '/', () => {
    throw refuse.rootPath();
  }),
];

export function createHandler(options: HandlerOptions): RequestListener {
  const limit = options.enforceLimits ? topicLimit(options.clock) : () => {};
  return (request, response) => {
    void answer(options, limit, request)
      .catch((error: unknown): Reply => {
        if (error instanceof EventGridError) return [error.status, error];
        return [500, new EventGridError(500, 'InternalServerError', (error as Error).message)];
      })
      .then((reply) => send(response, reply));
  };
}

async function answer(
  options: HandlerOptions,
  limit: Call['limit'],
  request: IncomingMessage,
): Promise<Reply> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  for (const { method, path, run } of ROUTES) {
    const match = method === request.method ? path.exec(pathname) : null;
    if (match !== null)
      return run({ ...options, limit, request, query: searchParams, params: match.slice(1) });
  }
  throw refuse.path();
}

function send(response: ServerResponse, [status, body]: Reply): void {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, {
    ...(text && {
      'content-type': typeof body === 'string' ? 'text/plain' : 'application/json; charset=utf-8',
    }),
    'content-length': Buffer.byteLength(text),
    'x-ms-request-id': randomUUID(),
  });
  response.end(text);
}

async function publishToTopic(call: Call): Promise<Reply> {
  const { grid, query, params } = call;
  if (!query.has('api-version')) throw refuse.apiVersion();
  const topic = params[0] === undefined ? onlyTopic(grid) : grid.topic('topics', params[0]);
  await publish(call, topic);
  return [200];
}

async function publishToNamespace(call: Call): Promise<Reply> {
  await publish(call, call.grid.topic('namespace/topics', call.params[0] as string));
  return [200, {}];
}

async function publish(call: Call, topic: Topic): Promise<void> {
  const { request, metrics } = call;
  try {
    await admit(call);
    const bytes = await readBody(request);
    const contentType = request.headers['content-type'] ?? '';
    const events = parsePublished(parseJson(bytes), topic.properties.inputSchema, contentType);
    call.limit(topic, events.length, bytes.length);
    call.grid.publish(topic, events, bytes.length);
  } catch (error) {
    metrics.count('PublishFailCount', 1, error instanceof EventGridError ? error.code : undefined);
    throw error;
  }
}

/** Checks the credential, and meets the faults that were set. */
async function admit({ request, key, faults, clock }: Call): Promise<void> {
  authorize(request, key, clock.epochMicros() / 1000);
  if (!faults.any) return;
  const delay = faults.draw('latency');
  if (delay !== undefined) await clock.sleep(delay.delayMs);
  if (faults.draw('unauthorized')) throw refuse.key();
  if (faults.draw('throttle')) throw refuse.tooManyRequests();
}

async function receive(call: Call): Promise<Reply> {
  const pull = pullOf(call);
  await admit(call);
  const max = numberParameter(call.query, 'maxEvents', 1, 1, 100);
  const waitSeconds = numberParameter(call.query, 'maxWaitTime', 60, 10, 120);
  call.request.resume();
  const gone = new AbortController();
  const { socket } = call.request;
  const abort = (): void => gone.abort();
  socket.once('close', abort);
  try {
    return [200, { value: await pull.receive(max, waitSeconds * 1000, gone.signal) }];
  } finally {
    socket.off('close', abort);
  }
}

const RELEASE_DELAYS = [0, 10, 60, 600, 3600];

async function settle(call: Call): Promise<Reply> {
  const pull = pullOf(call);
  await admit(call);
  const { lockTokens } = (await readJson(call.request)) as { lockTokens?: readonly string[] };
  if (!Array.isArray(lockTokens) || lockTokens.length === 0)
    throw refuse.invalid('lockTokens must be a list of at least one token.');
  return [200, settleTokens(pull, call, lockTokens)];
}

function settleTokens(
  pull: PullSubscription,
  { params, query, metrics }: Call,
  tokens: readonly string[],
): SettleResult {
  switch ((params[2] as string).toLowerCase()) {
    case 'acknowledge':
      return pull.acknowledge(tokens);
    case 'reject':
      return pull.reject(tokens);
    case 'renewlock':
      return pull.renewLock(tokens);
    default: {
      const delay = Number(query.get('releaseDelayInSeconds') ?? 0);
      if (!RELEASE_DELAYS.includes(delay))
        throw refuse.invalid(`releaseDelayInSeconds must be one of ${RELEASE_DELAYS.join(', ')}.`);
      const result = pull.release(tokens, delay * 1000);
      metrics.count('ReleasedEventCount', result.succeededLockTokens.length);
      return result;
    }
  }
}

function validate({ grid, params, query }: Call): Reply {
  if (!grid.validateByHand(params[0] as string, query.get('id') ?? ''))
    throw refuse.invalid('The validation code is not the one of this subscription.');
  return [200, 'Webhook successfully validated as a subscription endpoint.'];
}

function replay({ grid, deadLetters, params }: Call): Reply {
  const id = decodeURIComponent(params[0] as string);
  const letter = deadLetters.get(id);
  if (letter === undefined) throw new EventGridError(404, 'NotFound', `No dead letter ${id}.`);
  const kind = grid.topics('topics').some(({ name }) => name === letter.topic)
    ? 'topics'
    : 'namespace/topics';
  const subscription = grid.subscription(kind, letter.topic, letter.subscription);
  grid.redeliver(subscription, letter.events.map(withoutReason));
  deadLetters.remove(id);
  return [202, { replayed: letter.events.map(eventId) }];
}

function kindOf(text: string | undefined): TopicKind {
  return text?.toLowerCase() === 'topics' ? 'topics' : 'namespace/topics';
}

function topicOf({ grid, params }: Call): Topic {
  return grid.topic(kindOf(params[0]), params[1] as string);
}

function subscriptionOf({ grid, params }: Call): Subscription {
  return grid.subscription(kindOf(params[0]), params[1] as string, params[2] as string);
}

function pullOf({ grid, params }: Call): PullSubscription {
  return grid.subscription('namespace/topics', params[0] as string, params[1] as string)
    .pull as PullSubscription;
}

/** `/api/events` without a topic means the only one, as a host name does in Azure. */
function onlyTopic(grid: Grid): Topic {
  const [first, ...more] = grid.topics('topics');
  if (first === undefined || more.length > 0) throw refuse.path();
  return first;
}

function describeTopic({ id, name, kind, properties }: Topic): unknown {
  const path = kind === 'topics' ? `/${name}/api/events` : `/topics/${name}:publish`;
  return { id, name, properties: { ...properties, endpoint: path, provisioningState: 'Succeeded' } };
}

function describeSubscription(subscription: Subscription, clock: Clock): unknown {
  const { name, properties, topic } = subscription;
  const provisioningState = stateOf(subscription, clock);
  const backlog = backlogOf(subscription).events;
  const id = `${topic.id}/eventSubscriptions/${name}`;
  return { id, name, properties: { topic: topic.name, ...properties, provisioningState, backlog } };
}

function numberParameter(
  query: URLSearchParams,
  name: string,
  fallback: number,
  low: number,
  high: number,
): number {
  const value = Number(query.get(name) ?? fallback);
  if (value >= low && value <= high) return value;
  throw refuse.invalid(`${name} must be between ${low} and ${high}.`);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBody(request);
  return bytes.length === 0 ? {} : parseJson(bytes);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw refuse.json();
  }
}

/** Reads to the end even what is too large: a request that is cut off gets a reset connection instead of an answer. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) throw refuse.tooLarge(MAX_BODY_BYTES);
  return Buffer.concat(chunks);
}

/** 5,000 events/s and 1 MB/s for each custom topic, counted per second of the service's clock. */
function topicLimit(clock: Clock): Call['limit'] {
  const used = new Map<string, { second: number; events: number; bytes: number }>();
  return ({ kind, name }, events, bytes) => {
    if (kind !== 'topics') return;
    const second = Math.floor(clock.now() / 1000);
    const before = used.get(name);
    const now = before?.second === second ? before : { second, events: 0, bytes: 0 };
    used.set(name, now);
    if (now.events + events > 5_000 || now.bytes + bytes > 1_000_000) throw refuse.tooManyRequests();
    now.events += events;
    now.bytes += bytes;
  };
}
