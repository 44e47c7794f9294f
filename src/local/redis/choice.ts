import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { PipeError } from '../../util/errors.ts';
import { redact } from '../../util/secret.ts';
import type { LocalService, ServiceOptions } from '../service.ts';
import { startRealRedis } from './real-server.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const LOOPBACK = '127.0.0.1';
/** Starts of a server on a port that need not be a certain one. */
const MOST_ATTEMPTS = 3;

/** A Redis server of the stack that is not the embedded one: its figures are asked of it. */
export interface ForeignRedis extends LocalService {
  stats(): Promise<Readonly<Record<string, unknown>>>;
}

/** Throws a RangeError unless `choice` is `embedded`, `auto` or a Redis URL. */
export function parseRedisChoice(choice: string): string {
  if (choice === 'embedded' || choice === 'auto') return choice;
  if (URL.canParse(choice) && /^(?:rediss?|unix):/.test(choice)) return choice;
  throw new RangeError(`expected embedded, auto or a redis:// URL, got "${redact(choice)}"`);
}

/**
 * `auto` starts the redis-server or valkey-server of the PATH, durable when there is a data folder; anything else is the
 * URL of a server that runs already, which `stop` leaves running. Throws E_NOT_FOUND when none is installed, E_UNREACHABLE,
 * and what `listen` throws when the port is taken.
 */
export async function startForeignRedis(choice: string, options: ServiceOptions): Promise<ForeignRedis> {
  return choice === 'auto' ? startInstalled(options) : useRunning(choice);
}

async function startInstalled(options: ServiceOptions): Promise<ForeignRedis> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(await claimPort(options.host ?? LOOPBACK, options.port ?? 0), options);
    } catch (error) {
      // A port that was free may have been taken before the server got to it.
      const mayHelp = !options.port && error instanceof PipeError && error.code === 'E_UNREACHABLE';
      if (!mayHelp || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

async function startOn(port: number, { host = LOOPBACK, dataDir }: ServiceOptions): Promise<ForeignRedis> {
  const loopback = host === LOOPBACK || host === 'localhost' || host === '::1';
  const server = await startRealRedis({
    port,
    config: [
      `bind ${host}`,
      ...(loopback ? [] : ['protected-mode no']),
      // The append-only file is written before the reply: what was acknowledged survives SIGKILL, as in the embedded server.
      ...(dataDir === undefined ? [] : ['appendonly yes', `dir "${dataDir}"`]),
    ],
  });
  return {
    host,
    port,
    environment: { REDIS_URL: `redis://${host}:${port}` },
    stats: async () => ({
      server: server.program,
      pid: server.pid,
      ...figuresOf(await askInfo(connect(server.path))),
    }),
    stop: server.stop,
  };
}

async function useRunning(text: string): Promise<ForeignRedis> {
  const url = new URL(text);
  const target =
    url.protocol === 'unix:'
      ? { path: url.pathname }
      : { host: url.hostname, port: Number(url.port || (url.protocol === 'rediss:' ? 6380 : 6379)) };
  const address = 'path' in target ? target.path : `${target.host}:${target.port}`;
  const socket = connect(target);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
  } catch (cause) {
    throw new PipeError('E_UNREACHABLE', `cannot reach Redis at ${address} (${reason(cause)})`, {
      hint: 'start that server, or pass --redis embedded',
      cause,
    });
  } finally {
    socket.destroy();
  }
  return {
    host: 'path' in target ? target.path : target.host,
    port: 'path' in target ? 0 : target.port,
    environment: { REDIS_URL: text },
    // Its connection may need a password or TLS; `cosmos-pipe stats` has the client for that.
    stats: async () => ({ server: address }),
    stop: async () => {},
  };
}

function reason(cause: unknown): string {
  const { code, name } = cause as NodeJS.ErrnoException;
  return name === 'AbortError' ? 'timed out' : (code ?? name);
}

/** redis-server takes no port 0, and says nothing that a program could read when its port is taken. */
async function claimPort(host: string, port: number): Promise<number> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** The text of INFO, by an inline command: a bulk string behind its length. */
async function askInfo(socket: Socket): Promise<string> {
  socket.end('INFO\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

/** The embedded server's figures, from the fields of INFO. */
function figuresOf(info: string): Readonly<Record<string, number>> {
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const keys = [...info.matchAll(/^db\d+:keys=(\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  return {
    keys,
    usedMemoryBytes: field('used_memory'),
    connections: field('connected_clients'),
    commands: field('total_commands_processed'),
    hits: field('keyspace_hits'),
    misses: field('keyspace_misses'),
    evicted: field('evicted_keys'),
    expired: field('expired_keys'),
  };
}
