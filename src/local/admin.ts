import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CosmosService } from './cosmos/index.ts';
import type { EventGridService } from './event-grid/index.ts';
import type { EventHubsService } from './event-hubs/index.ts';
import type { ForeignRedis } from './redis/choice.ts';
import type { RedisService } from './redis/index.ts';
import type { StackFaults } from './stack-faults.ts';

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly faults: StackFaults;
  readonly eventHubs: EventHubsService;
  readonly cosmos: CosmosService;
  readonly redis: RedisService | ForeignRedis;
  readonly eventGrid: EventGridService;
}

export interface Admin {
  readonly port: number;
  stop(): Promise<void>;
}

type Reply = readonly [status: number, body: unknown];

const MAX_BODY_BYTES = 65_536;
/** Longer than clients keep an idle connection: one that is closed under a request is an error for whoever made it. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Looks into the running stack and disturbs it, over HTTP: `GET /health` (the answer of Microsoft's emulators), `GET
 * /stats`, `GET|POST|DELETE /faults`, `POST /split`.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    void answer(options, request)
      .catch((error: Error): Reply => [400, { error: error.message }])
      .then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: AdminOptions, request: IncomingMessage): Promise<Reply> {
  const { faults, eventHubs, cosmos, redis, eventGrid } = options;
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  switch (`${request.method} ${pathname}`) {
    case 'GET /health':
      return [200, { status: 'healthy', message: 'Service is healthy.' }];
    case 'GET /stats':
      return [
        200,
        {
          eventHubs: eventHubs.stats(),
          cosmos: cosmos.stats(),
          redis: await redis.stats(),
          eventGrid: eventGrid.stats(),
        },
      ];
    case 'GET /faults':
      return [200, faults.list()];
    case 'POST /faults':
      faults.add(text(await readJson(request), 'spec'));
      return [201, faults.list()];
    case 'DELETE /faults':
      faults.clear();
      return [200, []];
    case 'POST /split': {
      const body = await readJson(request);
      const [database, container] = [text(body, 'database'), text(body, 'container')];
      const split = text(body, 'rangeId');
      return [
        202,
        {
          container: `${database}/${container}`,
          split,
          into: splitRange(cosmos, database, container, split),
        },
      ];
    }
    default:
      return [404, { error: `no ${request.method} ${pathname} here` }];
  }
}

function splitRange(cosmos: CosmosService, database: string, container: string, rangeId: string) {
  try {
    return cosmos.split(database, container, rangeId);
  } catch (error) {
    throw new RangeError(`${database}/${container} has no partition key range ${rangeId}, or is not there`, {
      cause: error,
    });
  }
}

function text(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') throw new TypeError(`"${name}" must be a string`);
  return value;
}

/** Requires a JSON content type, which a page of another origin cannot send without asking first. */
async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.headers['content-type']?.startsWith('application/json') !== true)
    throw new TypeError('expected content-type application/json');
  request.setEncoding('utf8');
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > MAX_BODY_BYTES) throw new RangeError(`body over ${MAX_BODY_BYTES} bytes`);
  }
  return JSON.parse(body) as Record<string, unknown>;
}
