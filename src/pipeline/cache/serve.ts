import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cacheKey } from '../../cache/key.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import { type Answer, CachedReader, type CachedReaderOptions } from './serve-reader.ts';
import { prometheusText, ServeRecorder, type ServeStats } from './serve-stats.ts';

const MAX_IDS = 100;

export interface ServeOptions extends CachedReaderOptions {
  /** What keys begin with now; asked for every request, so that a generation can change. */
  readonly keyPrefix: () => string;
  /** Number of paths of the container's partition key: more than one are joined with `|` in the address. */
  readonly partitionKeyPaths: number;
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** Channel of `invalidate --publish`: keys to drop from this process. */
  readonly subscribe?: string;
}

export interface CacheServer {
  readonly url: string;
  stats(): ServeStats;
  /** Finishes the requests under way. */
  stop(): Promise<void>;
}

const NO_ROUTE =
  'no such route (known: /v1/items/<partitionKey>/<id>, /v1/items/<partitionKey>?ids=a,b, DELETE /v1/cache/<partitionKey>/<id>, /stats, /metrics, /healthz)';

interface Exchange {
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** No item has such an id, and the SDK throws at it. */
const NO_ID = /[/\\?#]/;
const NO_ID_TEXT = 'an id has none of / \\ ? #';

/** Serves the items of a container over HTTP, through the cache. Throws E_PORT_IN_USE. */
export async function startCacheServer(options: ServeOptions): Promise<CacheServer> {
  const reader = new CachedReader(options);
  const recorder = new ServeRecorder();
  const unsubscribe = await subscribe(options, reader);

  const handle = async ({ url, request, response }: Exchange): Promise<void> => {
    const [, version, kind, pk, id, ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const method = request.method ?? 'GET';
    if (url.pathname === '/healthz') return reply(response, 200, { breaker: reader.breaker });
    if (url.pathname === '/stats') return reply(response, 200, recorder.stats());
    if (url.pathname === '/metrics') return metrics(response);
    if (version !== 'v1' || !pk || rest.length > 0) return reply(response, 404, { error: NO_ROUTE });
    const partitionKey = parsePartitionKey(pk, options.partitionKeyPaths);
    if (kind === 'items' && id && method === 'GET') return one({ url, request, response }, partitionKey, id);
    if (kind === 'items' && id === undefined && method === 'GET')
      return many({ url, request, response }, partitionKey);
    if (kind === 'cache' && id && method === 'DELETE') {
      await reader.evict(cacheKey(options.keyPrefix(), partitionKey, id));
      return reply(response, 204);
    }
    return reply(response, 405, { error: 'method not allowed' });
  };

  const readOne = async (partitionKey: unknown, id: string, bypass: boolean): Promise<Answer> => {
    const startedMs = options.clock.now();
    const key = cacheKey(options.keyPrefix(), partitionKey, id);
    const answer = await reader.read(key, partitionKey, id, bypass);
    recorder.record(key, answer, (options.clock.now() - startedMs) * 1000);
    return answer;
  };

  const one = async ({ url, request, response }: Exchange, pk: unknown, id: string): Promise<void> => {
    if (NO_ID.test(id)) return reply(response, 400, { error: NO_ID_TEXT });
    const answer = await readOne(pk, id, url.searchParams.has('nocache'));
    describe(response, [answer]);
    if (answer.json === undefined) return reply(response, 404, { error: 'no such item' });
    const etag = etagOf(answer.json);
    response.setHeader('etag', etag);
    if (matches(request.headers['if-none-match'], etag)) return reply(response, 304);
    return send(response, 200, answer.json);
  };

  const many = async ({ url, response }: Exchange, pk: unknown): Promise<void> => {
    const ids = (url.searchParams.get('ids') ?? '').split(',').filter((each) => each !== '');
    if (ids.length === 0 || ids.length > MAX_IDS)
      return reply(response, 400, { error: `pass ids=a,b with 1 to ${MAX_IDS} ids` });
    if (ids.some((id) => NO_ID.test(id))) return reply(response, 400, { error: NO_ID_TEXT });
    const answers = await Promise.all(ids.map((id) => readOne(pk, id, url.searchParams.has('nocache'))));
    describe(response, answers);
    const found = answers.filter(({ json }) => json !== undefined).map(({ json }) => json);
    const missing = ids.filter((_, index) => answers[index]?.json === undefined);
    return send(response, 200, `{"items":[${found.join(',')}],"missing":${JSON.stringify(missing)}}`);
  };

  const metrics = (response: ServerResponse): void => {
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    const text = prometheusText(recorder.stats(), {
      memory_entries: reader.memoryEntries,
      breaker_open: reader.breaker === 'closed' ? 0 : 1,
    });
    response.end(text);
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    handle({ url, request, response }).catch((error: unknown) => {
      recorder.failed();
      fail(response, error);
    });
  });
  // Longer than clients keep an idle connection: one that is closed under a request fails it.
  server.keepAliveTimeout = 65_000;
  server.listen(options.port, options.host);
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause;
    throw new PipeError('E_PORT_IN_USE', `port ${options.port} is already in use`, {
      hint: 'pass --port 0 for a free port',
      cause,
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    stats: () => recorder.stats(),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      await closed;
      unsubscribe();
    },
  };
}

/** `=5`, `=true`, `=null` are values other than strings; several paths are joined with `|`. */
export function parsePartitionKey(text: string, paths: number): unknown {
  const parts = (paths > 1 ? text.split('|') : [text]).map((part): unknown => {
    if (!part.startsWith('=')) return part;
    try {
      return part === '=' ? undefined : JSON.parse(part.slice(1));
    } catch {
      return part;
    }
  });
  return paths > 1 ? parts : parts[0];
}

async function subscribe(options: ServeOptions, reader: CachedReader): Promise<() => void> {
  const [node] = options.cache.masters();
  if (options.subscribe === undefined || node === undefined) return () => undefined;
  const subscriber = node.duplicate();
  subscriber.on('error', () => undefined);
  subscriber.on('message', (_channel: string, key: string) => reader.forget(key));
  await subscriber.connect();
  await subscriber.subscribe(options.subscribe);
  return () => subscriber.disconnect();
}

/** The worst result of several answers, and what they took together. */
function describe(response: ServerResponse, answers: readonly Answer[]): void {
  const results = new Set(answers.map(({ result }) => result));
  response.setHeader('x-cache', [...results].join(', '));
  response.setHeader('x-cosmos-ru', answers.reduce((sum, each) => sum + each.requestCharge, 0).toFixed(2));
  const longest = (time: 'redisMs' | 'cosmosMs'): string =>
    Math.max(...answers.map((each) => each[time])).toFixed(3);
  response.setHeader('server-timing', `redis;dur=${longest('redisMs')}, cosmos;dur=${longest('cosmosMs')}`);
}

/** The item's own ETag as the service gave it; a digest of the text where the entry was projected. */
function etagOf(json: string): string {
  const at = json.lastIndexOf('"_etag":"');
  const [, quoted] = at < 0 ? [] : (/^"_etag":("(?:[^"\\]|\\.)*")/.exec(json.slice(at)) ?? []);
  if (quoted !== undefined) {
    const etag = JSON.parse(quoted) as string;
    return etag.startsWith('"') ? etag : `"${etag}"`;
  }
  return `"${createHash('sha1').update(json).digest('base64url')}"`;
}

function matches(header: string | undefined, etag: string): boolean {
  return (
    header === '*' || (header?.split(',').some((each) => each.trim().replace(/^W\//, '') === etag) ?? false)
  );
}

function reply(response: ServerResponse, status: number, document?: unknown): void {
  if (document === undefined) response.writeHead(status).end();
  else send(response, status, JSON.stringify(document));
}

function send(response: ServerResponse, status: number, json: string): void {
  const length = Buffer.byteLength(json);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length }).end(json);
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (error instanceof URIError) {
    reply(response, 400, { error: 'malformed address' });
    return;
  }
  const unavailable = error instanceof PipeError && error.code === 'E_UNREACHABLE';
  if (unavailable) response.setHeader('retry-after', '1');
  reply(response, unavailable ? 503 : 500, {
    error: error instanceof PipeError ? error.message : 'unexpected failure',
  });
}
