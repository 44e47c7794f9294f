import { type Clock, systemClock } from '../util/clock.ts';
import type { CacheConnection } from './connection.ts';
import { readInfo } from './info.ts';

/** What happened on all nodes between two looks at INFO; no command of it is refused by Azure's servers. */
export interface CacheInterval {
  readonly intervalMs: number;
  readonly hits: number;
  readonly misses: number;
  /** hits / (hits + misses); `undefined` when nothing was read. */
  readonly hitRate: number | undefined;
  readonly operationsPerSecond: number;
  readonly evicted: number;
  readonly expired: number;
  readonly inputBytesPerSecond: number;
  readonly outputBytesPerSecond: number;
  readonly usedMemoryBytes: number;
  /** 0: no limit. */
  readonly maxMemoryBytes: number;
  readonly evictionPolicy: string;
  readonly clients: number;
  readonly keys: number;
}

const COUNTERS = [
  'keyspace_hits',
  'keyspace_misses',
  'total_commands_processed',
  'evicted_keys',
  'expired_keys',
  'total_net_input_bytes',
  'total_net_output_bytes',
] as const;

interface Look {
  readonly atMs: number;
  readonly counters: Readonly<Record<(typeof COUNTERS)[number], number>>;
  readonly rest: Pick<
    CacheInterval,
    'usedMemoryBytes' | 'maxMemoryBytes' | 'evictionPolicy' | 'clients' | 'keys'
  >;
}

async function look(connection: CacheConnection, clock: Clock): Promise<Look> {
  const infos = await Promise.all(connection.masters().map(readInfo));
  const sum = (name: string): number => infos.reduce((total, info) => total + Number(info.get(name) ?? 0), 0);
  const keyspaces = infos.flatMap((info) => [...info].filter(([name]) => /^db\d+$/.test(name)));
  return {
    atMs: clock.now(),
    counters: Object.fromEntries(COUNTERS.map((name) => [name, sum(name)])) as Look['counters'],
    rest: {
      usedMemoryBytes: sum('used_memory'),
      maxMemoryBytes: sum('maxmemory'),
      evictionPolicy: infos[0]?.get('maxmemory_policy') ?? 'unknown',
      clients: sum('connected_clients'),
      keys: keyspaces.reduce((total, [, text]) => total + Number(/keys=(\d+)/.exec(text)?.[1] ?? 0), 0),
    },
  };
}

/** Yields one interval after the other until the signal aborts; counters that were reset meanwhile begin at 0. */
export async function* watchCache(
  connection: CacheConnection,
  intervalMs: number,
  signal: AbortSignal,
  clock: Clock = systemClock,
): AsyncGenerator<CacheInterval> {
  let before = await look(connection, clock);
  while (!signal.aborted) {
    // The interval is cut short, not lost, when the command is interrupted.
    await clock.sleep(intervalMs, signal).catch(() => undefined);
    const after = await look(connection, clock);
    yield between(before, after);
    before = after;
  }
}

function between(before: Look, after: Look): CacheInterval {
  const gained = (name: (typeof COUNTERS)[number]): number => {
    const now = after.counters[name];
    return now >= before.counters[name] ? now - before.counters[name] : now;
  };
  const intervalMs = Math.max(1, after.atMs - before.atMs);
  const hits = gained('keyspace_hits');
  const misses = gained('keyspace_misses');
  return {
    intervalMs,
    hits,
    misses,
    hitRate: hits + misses === 0 ? undefined : hits / (hits + misses),
    operationsPerSecond: (gained('total_commands_processed') / intervalMs) * 1000,
    evicted: gained('evicted_keys'),
    expired: gained('expired_keys'),
    inputBytesPerSecond: (gained('total_net_input_bytes') / intervalMs) * 1000,
    outputBytesPerSecond: (gained('total_net_output_bytes') / intervalMs) * 1000,
    ...after.rest,
  };
}
