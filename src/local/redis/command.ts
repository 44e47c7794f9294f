import type { Database, Entry, Hash, List, MemberSet } from './database.ts';
import type { Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { Session } from './session.ts';
import type { SortedSet } from './sorted-set.ts';
import type { ServerState } from './state.ts';

/** What a command works on. */
export interface CommandContext {
  readonly state: ServerState;
  readonly session: Session;
  readonly database: Database;
  /** Milliseconds since the Unix epoch, the same for the whole command. */
  readonly now: number;
  /** Every command of the server by its name in lower case. */
  readonly commands: ReadonlyMap<string, Command>;
  /** The command of a request. @throws RedisError when there is none, or none with so many words. */
  resolve(request: Request): Command;
  /** Runs another command on the same session, as EXEC and Lua do. @throws RedisError */
  run(command: Command, request: Request): Reply;
  /**
   * Writes `commands` to the append-only file in place of the request itself, because replaying the request would not
   * give the same result: relative times, random picks, conditions on what is there. None of them: writes nothing.
   */
  propagate(...commands: readonly (readonly (string | Buffer)[])[]): void;
}

/** Positions of the keys among the words: first, last (negative counts from the end), step. */
export type KeyPositions = readonly [first: number, last: number, step: number];

export interface Command {
  /** Number of words with the name; negative means at least that many. */
  readonly arity: number;
  readonly keys?: KeyPositions;
  /** Changes the keyspace: goes to the append-only file. */
  readonly write?: boolean;
  /** May need memory: refused, or preceded by eviction, above `maxmemory`. */
  readonly grows?: boolean;
  /** Not from a Lua script. */
  readonly noScript?: boolean;
  /** Runs at once even inside MULTI. */
  readonly immediate?: boolean;
  /** Allowed before AUTH. */
  readonly open?: boolean;
  /** Allowed on a RESP2 connection that has subscriptions. */
  readonly whileSubscribed?: boolean;
  run(context: CommandContext, request: Request): Reply;
}

export type CommandTable = Readonly<Record<string, Command>>;

export const ONE_KEY: KeyPositions = [1, 1, 1];
export const ALL_KEYS: KeyPositions = [1, -1, 1];
export const KEY_VALUE_PAIRS: KeyPositions = [1, -1, 2];
export const TWO_KEYS: KeyPositions = [1, 2, 1];

/** Entries whose value has one of the types. */
export type EntryOf<V> = Entry & { value: V };
export type StringEntry = EntryOf<Buffer>;
export type HashEntry = EntryOf<Hash>;
export type SetEntry = EntryOf<MemberSet>;
export type ListEntry = EntryOf<List>;
export type SortedSetEntry = EntryOf<SortedSet>;
