import type {
  CommandContext,
  EntryOf,
  HashEntry,
  ListEntry,
  SetEntry,
  SortedSetEntry,
  StringEntry,
} from './command.ts';
import { type Entry, Hash, List, MemberSet } from './database.ts';
import { errors } from './errors.ts';
import { SortedSet } from './sorted-set.ts';

/** The entry of a key for a command that reads: counts as a hit or a miss and as a use. */
export function read(context: CommandContext, key: string): Entry | undefined {
  const entry = context.database.get(key, context.now);
  if (entry === undefined) {
    context.state.statistics.misses++;
    return undefined;
  }
  context.state.statistics.hits++;
  entry.usedAt = context.now;
  return entry;
}

/** The entry of a key for a command that is about to change it: no statistics. */
export function find(context: CommandContext, key: string): Entry | undefined {
  const entry = context.database.get(key, context.now);
  if (entry !== undefined) entry.usedAt = context.now;
  return entry;
}

export function asString(entry: Entry | undefined): StringEntry | undefined {
  if (entry !== undefined && !Buffer.isBuffer(entry.value)) throw errors.wrongType();
  return entry as StringEntry | undefined;
}

type Collection = Hash | MemberSet | List | SortedSet;

function typed<V extends Collection>(entry: Entry | undefined, type: new () => V): EntryOf<V> | undefined {
  if (entry !== undefined && !(entry.value instanceof type)) throw errors.wrongType();
  return entry as EntryOf<V> | undefined;
}

function typedOrNew<V extends Collection>(
  context: CommandContext,
  key: string,
  type: new () => V,
): EntryOf<V> {
  const entry = typed(find(context, key), type);
  return entry ?? (context.database.put(key, new type(), 0, context.now) as EntryOf<V>);
}

export const asHash = (entry: Entry | undefined): HashEntry | undefined => typed(entry, Hash);
export const asSet = (entry: Entry | undefined): SetEntry | undefined => typed(entry, MemberSet);
export const asList = (entry: Entry | undefined): ListEntry | undefined => typed(entry, List);
export const asSortedSet = (entry: Entry | undefined): SortedSetEntry | undefined => typed(entry, SortedSet);

export const hashOrNew = (context: CommandContext, key: string): HashEntry => typedOrNew(context, key, Hash);
export const setOrNew = (context: CommandContext, key: string): SetEntry =>
  typedOrNew(context, key, MemberSet);
export const listOrNew = (context: CommandContext, key: string): ListEntry => typedOrNew(context, key, List);
export const sortedSetOrNew = (context: CommandContext, key: string): SortedSetEntry =>
  typedOrNew(context, key, SortedSet);

/** Accounts for a changed collection; Redis has no empty ones, so an emptied key goes. */
export function settle(context: CommandContext, entry: EntryOf<Collection>, deltaBytes: number): void {
  context.database.changed(entry, deltaBytes);
  const size = entry.value instanceof List ? entry.value.items.length : entry.value.size;
  if (size === 0) context.database.remove(entry.key);
}
