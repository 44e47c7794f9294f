import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';
import type { Faults } from '../faults/faults.ts';
import type { AppendOnlyFile } from './append-only-file.ts';
import { Database } from './database.ts';
import type { Publisher } from './publisher.ts';
import type { Session } from './session.ts';

interface Statistics {
  commands: number;
  connections: number;
  hits: number;
  misses: number;
  expired: number;
  evicted: number;
  inputBytes: number;
  outputBytes: number;
}

export const EVICTION_POLICIES = [
  'noeviction',
  'allkeys-lru',
  'allkeys-random',
  'volatile-lru',
  'volatile-random',
  'volatile-ttl',
] as const;
export type EvictionPolicy = (typeof EVICTION_POLICIES)[number];

/** Settings that CONFIG GET and SET know. Sizes in bytes. */
interface Settings {
  maxMemoryBytes: number;
  evictionPolicy: EvictionPolicy;
}

/** Everything that the connections of one server share. */
export interface ServerState {
  readonly databases: readonly Database[];
  readonly settings: Settings;
  readonly statistics: Statistics;
  readonly sessions: Set<Session>;
  readonly publisher: Publisher;
  /** Source text of loaded scripts by the SHA-1 of it in hexadecimal. */
  readonly scripts: Map<string, Buffer>;
  /** Sessions to be told when a watched key changes, by `<database index>:<key>`. */
  readonly watchers: Map<string, Set<Session>>;
  readonly password: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: Faults | undefined;
  readonly startedAt: number;
  port: number;
  appendOnlyFile: AppendOnlyFile | undefined;
  /** Grows with every change of any key; tells whether a command changed something. */
  changes: number;
  nextSessionId: number;
}

/** Wall time of the server, milliseconds since the Unix epoch. */
export function wallMs(state: ServerState): number {
  return Math.floor(state.clock.epochMicros() / 1000);
}

export function usedMemoryBytes(state: ServerState): number {
  let used = 0;
  for (const database of state.databases) used += database.sizeBytes;
  return used;
}

/** The numbered databases of a server, wired to its statistics, watchers and append-only file. */
export function createDatabases(count: number, stateOf: () => ServerState): Database[] {
  return Array.from({ length: count }, (_, index) => {
    const database = new Database(index);
    database.onChange = (key) => {
      const state = stateOf();
      state.changes++;
      if (state.watchers.size === 0) return;
      for (const session of state.watchers.get(`${index}:${key}`) ?? []) session.watchBroken = true;
    };
    database.onExpired = (key) => {
      const state = stateOf();
      state.statistics.expired++;
      state.appendOnlyFile?.append(index, ['DEL', key]);
    };
    return database;
  });
}
