import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import { type Random, seededRandom } from '../../util/random.ts';
import type { Faults } from '../faults/faults.ts';
import type { LocalService, ServiceOptions } from '../service.ts';
import { AppendOnlyFile } from './append-only-file.ts';
import { Connection } from './connection.ts';
import { RedisError } from './errors.ts';
import { resolve, run } from './executor.ts';
import { Publisher } from './publisher.ts';
import { createDatabases, type EvictionPolicy, type ServerState, usedMemoryBytes, wallMs } from './state.ts';

const DATABASES = 16;
const SWEEP_EVERY_MS = 100;
const SWEEP_KEYS = 2_000;

export interface RedisOptions extends ServiceOptions {
  /** Asked of every connection (AUTH); none by default. */
  readonly password?: string;
  /** Bytes above which keys are evicted or writes refused; 0, the default, is no limit. */
  readonly maxMemoryBytes?: number;
  /** What goes when memory is short; `noeviction` by default, as in redis-server. */
  readonly evictionPolicy?: EvictionPolicy;
  readonly faults?: Faults;
  readonly clock?: Clock;
  readonly random?: Random;
}

interface RedisStats {
  readonly keys: number;
  readonly usedMemoryBytes: number;
  readonly connections: number;
  readonly commands: number;
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  readonly expired: number;
}

export interface RedisService extends LocalService {
  readonly faults: Faults | undefined;
  stats(): RedisStats;
}

/**
 * Starts the embedded Redis server. With `dataDir` every acknowledged write is in `<dataDir>/appendonly.aof`; a torn
 * tail of that file is cut at start. Throws E_PORT_IN_USE when the port is taken.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisService> {
  const state = createState(options);
  if (options.dataDir !== undefined) openFile(state, join(options.dataDir, 'appendonly.aof'));

  const server = createServer({ noDelay: true }, (socket) => {
    const session = new Connection(state, socket);
    state.sessions.add(session);
    state.statistics.connections++;
    socket.on('close', () => {
      state.sessions.delete(session);
      state.publisher.forget(session);
      session.unwatch();
    });
  });
  const host = options.host ?? '127.0.0.1';
  await listen(server, host, options.port ?? 0);
  state.port = (server.address() as AddressInfo).port;

  const sweeper = setInterval(() => {
    for (const database of state.databases) database.sweep(wallMs(state), SWEEP_KEYS);
    state.appendOnlyFile?.flush();
  }, SWEEP_EVERY_MS);
  sweeper.unref();
  const stopResets = options.faults?.onDue('reset', () => {
    for (const session of state.sessions) session.disconnect();
  });

  const credentials = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}@`;
  return {
    host,
    port: state.port,
    environment: { REDIS_URL: `redis://${credentials}${host}:${state.port}` },
    faults: options.faults,
    stats: () => statsOf(state),
    async stop() {
      clearInterval(sweeper);
      stopResets?.();
      const closed = once(server, 'close');
      server.close();
      for (const session of state.sessions) session.disconnect();
      await closed;
      state.appendOnlyFile?.close();
    },
  };
}

function createState(options: RedisOptions): ServerState {
  const clock = options.clock ?? systemClock;
  const state: ServerState = {
    databases: createDatabases(DATABASES, () => state),
    settings: {
      maxMemoryBytes: options.maxMemoryBytes ?? 0,
      evictionPolicy: options.evictionPolicy ?? 'noeviction',
    },
    statistics: {
      commands: 0,
      connections: 0,
      hits: 0,
      misses: 0,
      expired: 0,
      evicted: 0,
      inputBytes: 0,
      outputBytes: 0,
    },
    sessions: new Set(),
    publisher: new Publisher(),
    scripts: new Map(),
    watchers: new Map(),
    password: options.password,
    clock,
    random: options.random ?? seededRandom(clock.epochMicros()),
    faults: options.faults,
    startedAt: Math.floor(clock.epochMicros() / 1000),
    port: 0,
    appendOnlyFile: undefined,
    changes: 0,
    nextSessionId: 1,
  };
  return state;
}

/** Replays the file into the databases, then goes on writing to it. */
function openFile(state: ServerState, path: string): void {
  const session = new Connection(state);
  state.appendOnlyFile = AppendOnlyFile.open(path, state.databases, (request) => {
    try {
      run(state, session, resolve(request), request);
    } catch (error) {
      // A command that no longer applies (a key expired since) is no reason not to start.
      if (!(error instanceof RedisError)) throw error;
    }
  });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const listening = once(server, 'listening');
  server.listen(port, host);
  try {
    await listening;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new PipeError('E_PORT_IN_USE', `port ${port} is already in use`, {
      hint: 'pass --redis-port 0 for a free port, or stop the other Redis server',
      cause,
    });
  }
}

function statsOf(state: ServerState): RedisStats {
  const { commands, hits, misses, evicted, expired } = state.statistics;
  return {
    keys: state.databases.reduce((sum, database) => sum + database.size, 0),
    usedMemoryBytes: usedMemoryBytes(state),
    connections: state.sessions.size,
    commands,
    hits,
    misses,
    evicted,
    expired,
  };
}
