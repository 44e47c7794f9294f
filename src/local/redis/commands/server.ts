import type { CommandContext, CommandTable } from '../command.ts';
import { ENTRY_OVERHEAD_BYTES } from '../database.ts';
import { errors } from '../errors.ts';
import { globMatcher } from '../glob.ts';
import { parseInteger } from '../numbers.ts';
import { OK, type Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import { EVICTION_POLICIES, type ServerState, usedMemoryBytes } from '../state.ts';

/** The redis-server whose behaviour and words this server follows. */
export const REDIS_VERSION = '7.2.0';

type Section = readonly [name: string, lines: (context: CommandContext) => readonly string[]];

const INFO_SECTIONS: readonly Section[] = [
  [
    'Server',
    ({ state, now }) => [
      `redis_version:${REDIS_VERSION}`,
      'redis_mode:standalone',
      'cosmos_pipe_embedded:1',
      `process_id:${process.pid}`,
      `tcp_port:${state.port}`,
      `uptime_in_seconds:${Math.floor((now - state.startedAt) / 1000)}`,
    ],
  ],
  ['Clients', ({ state }) => [`connected_clients:${state.sessions.size}`]],
  [
    'Memory',
    ({ state }) => [
      `used_memory:${usedMemoryBytes(state)}`,
      `used_memory_human:${(usedMemoryBytes(state) / 1024 ** 2).toFixed(2)}M`,
      `used_memory_rss:${process.memoryUsage.rss()}`,
      `maxmemory:${state.settings.maxMemoryBytes}`,
      `maxmemory_policy:${state.settings.evictionPolicy}`,
    ],
  ],
  [
    'Persistence',
    ({ state }) => [
      'loading:0',
      `aof_enabled:${state.appendOnlyFile ? 1 : 0}`,
      ...(state.appendOnlyFile ? [`aof_current_size:${state.appendOnlyFile.sizeBytes}`] : []),
    ],
  ],
  [
    'Stats',
    ({ state: { statistics } }) => [
      `total_connections_received:${statistics.connections}`,
      `total_commands_processed:${statistics.commands}`,
      `total_net_input_bytes:${statistics.inputBytes}`,
      `total_net_output_bytes:${statistics.outputBytes}`,
      `expired_keys:${statistics.expired}`,
      `evicted_keys:${statistics.evicted}`,
      `keyspace_hits:${statistics.hits}`,
      `keyspace_misses:${statistics.misses}`,
    ],
  ],
  ['Replication', () => ['role:master', 'connected_slaves:0']],
  ['Cluster', () => ['cluster_enabled:0']],
  [
    'Keyspace',
    ({ state }) =>
      state.databases
        .filter((database) => database.size > 0)
        .map(({ index, size, expiringSize }) => `db${index}:keys=${size},expires=${expiringSize},avg_ttl=0`),
  ],
];

function info(context: CommandContext, request: Request): Reply {
  const asked = new Set(request.texts(1).map((word) => word.toLowerCase()));
  const everything = asked.size === 0 || asked.has('all') || asked.has('everything') || asked.has('default');
  const text = INFO_SECTIONS.filter(([name]) => everything || asked.has(name.toLowerCase()))
    .map(([name, lines]) => [`# ${name}`, ...lines(context), ''].join('\r\n'))
    .join('\r\n');
  return { kind: 'verbatim', text };
}

/** Settings by the name that CONFIG uses, with how to change those that can be. */
const SETTINGS: Readonly<
  Record<
    string,
    {
      get(state: ServerState): string;
      /** False when the value is not what the setting `expects`. */
      set?(state: ServerState, value: string): boolean;
      readonly expects?: string;
    }
  >
> = {
  maxmemory: {
    expects: 'argument must be a memory value',
    get: ({ settings }) => String(settings.maxMemoryBytes),
    set({ settings }, value) {
      const bytes = parseMemory(value);
      if (bytes === undefined) return false;
      settings.maxMemoryBytes = bytes;
      return true;
    },
  },
  'maxmemory-policy': {
    expects: `argument(s) must be one of the following: ${EVICTION_POLICIES.join(', ')}`,
    get: ({ settings }) => settings.evictionPolicy,
    set({ settings }, value) {
      const policy = EVICTION_POLICIES.find((known) => known === value);
      if (policy === undefined) return false;
      settings.evictionPolicy = policy;
      return true;
    },
  },
  databases: { get: ({ databases }) => String(databases.length) },
  save: { get: () => '' },
  appendonly: { get: ({ appendOnlyFile }) => (appendOnlyFile ? 'yes' : 'no') },
  'notify-keyspace-events': { get: () => '' },
};

/** Redis' memory units: `kb` is 1024 bytes, `k` is 1000. */
function parseMemory(text: string): number | undefined {
  const match = /^(\d+)(b|kb?|mb?|gb?)?$/i.exec(text);
  if (match === null) return undefined;
  const unit = (match[2] ?? 'b').toLowerCase();
  const power = ' kmg'.indexOf(unit[0] ?? ' ');
  return Number(match[1]) * (unit.endsWith('b') ? 1024 : 1000) ** Math.max(0, power);
}

function config(context: CommandContext, request: Request): Reply {
  const subcommand = request.text(1).toLowerCase();
  if (subcommand === 'get') {
    if (request.length < 3) throw errors.arity('config|get');
    const patterns = request.texts(2).map((text) => globMatcher(text.toLowerCase()));
    const found = Object.entries(SETTINGS).filter(([name]) =>
      patterns.some((matches) => matches?.(name) ?? true),
    );
    return { kind: 'map', entries: found.flatMap(([name, { get }]) => [name, get(context.state)]) };
  }
  if (subcommand === 'set') {
    if (request.length < 4 || request.length % 2 !== 0) throw errors.arity('config|set');
    for (let at = 2; at < request.length; at += 2) {
      const name = request.text(at).toLowerCase();
      const setting = SETTINGS[name];
      if (setting?.set === undefined) throw errors.configUnknown(name);
      if (!setting.set(context.state, request.text(at + 1)))
        throw errors.configInvalid(name, setting.expects ?? '');
    }
    return OK;
  }
  if (subcommand === 'resetstat') {
    Object.assign(context.state.statistics, { commands: 0, connections: 0, hits: 0, misses: 0 });
    Object.assign(context.state.statistics, { expired: 0, evicted: 0, inputBytes: 0, outputBytes: 0 });
    return OK;
  }
  throw errors.unknownSubcommand('config', request.text(1));
}

function memory(context: CommandContext, request: Request): Reply {
  const subcommand = request.text(1).toLowerCase();
  if (subcommand !== 'usage') throw errors.unknownSubcommand('memory', request.text(1));
  if (request.length < 3) throw errors.arity('memory|usage');
  if (request.length !== 3 && !(request.option(3) === 'SAMPLES' && request.length === 5))
    throw errors.syntax();
  const entry = context.database.get(request.text(2), context.now);
  return entry ? entry.sizeBytes + entry.key.length + ENTRY_OVERHEAD_BYTES : null;
}

function command(context: CommandContext, request: Request): Reply {
  const subcommand = request.length > 1 ? request.text(1).toLowerCase() : '';
  if (subcommand === 'count') return context.commands.size;
  // redis-cli asks for COMMAND DOCS when it starts; an empty answer only costs it the hints.
  return subcommand === 'docs' ? { kind: 'map', entries: [] } : [];
}

export const serverCommands: CommandTable = {
  info: { arity: -1, run: info },
  config: { arity: -2, noScript: true, run: config },
  memory: { arity: -2, run: memory },
  command: { arity: -1, run: command },
  cluster: {
    arity: -2,
    run: () => {
      throw errors.clusterDisabled();
    },
  },
  time: {
    arity: 1,
    run({ state }) {
      const micros = state.clock.epochMicros();
      return [String(Math.floor(micros / 1e6)), String(micros % 1e6)];
    },
  },
  wait: {
    arity: 3,
    run(_context, request) {
      parseInteger(request.text(1));
      return 0;
    },
  },
  bgrewriteaof: {
    arity: 1,
    noScript: true,
    run({ state }) {
      state.appendOnlyFile?.rewrite();
      return { kind: 'status', text: 'Background append only file rewriting started' };
    },
  },
};
