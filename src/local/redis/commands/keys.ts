import { ALL_KEYS, type CommandContext, type CommandTable, ONE_KEY, TWO_KEYS } from '../command.ts';
import { type Entry, Hash, List, MemberSet, typeName, type Value } from '../database.ts';
import { errors } from '../errors.ts';
import { globMatcher } from '../glob.ts';
import { find, read } from '../lookup.ts';
import { parseInt64, parseInteger } from '../numbers.ts';
import { OK, type Reply, status } from '../reply.ts';
import type { Request } from '../request.ts';
import { SortedSet } from '../sorted-set.ts';

const DEFAULT_SCAN_COUNT = 10;
const EMBEDDED_STRING_BYTES = 44;

function remove(context: CommandContext, request: Request): Reply {
  let removed = 0;
  for (const key of request.texts(1)) {
    if (context.database.get(key, context.now) && context.database.remove(key)) removed++;
  }
  return removed;
}

function countExisting(context: CommandContext, request: Request): Reply {
  return request.texts(1).filter((key) => read(context, key) !== undefined).length;
}

/** The EXPIRE family: `unitMs` of the number, counted from now or since the Unix epoch. */
function expire(command: string, unitMs: number, absolute: boolean) {
  return (context: CommandContext, request: Request): Reply => {
    const value = Number(parseInt64(request.text(2)));
    const words = request.texts(3);
    const flags = new Set(words.map((word) => word.toUpperCase()));
    const unknown = words.find((word) => !/^(?:NX|XX|GT|LT)$/i.test(word));
    if (unknown !== undefined) throw errors.unsupportedOption(unknown);
    if (flags.has('NX') && flags.size > 1) throw errors.expireOptions();
    if (flags.has('GT') && flags.has('LT')) throw errors.gtAndLt();
    const moment = value * unitMs + (absolute ? 0 : context.now);
    if (!Number.isSafeInteger(moment)) throw errors.invalidExpire(command);
    const entry = find(context, request.text(1));
    if (entry === undefined || !mayExpire(entry, flags, moment)) return 0;
    if (moment <= context.now) context.database.remove(entry.key);
    else context.database.expireAt(entry, moment);
    context.propagate(['PEXPIREAT', entry.key, String(moment)]);
    return 1;
  };
}

/** A key without expiry counts as one that never ends. */
function mayExpire(entry: Entry, flags: ReadonlySet<string>, moment: number): boolean {
  const current = entry.expiresAt === 0 ? Number.POSITIVE_INFINITY : entry.expiresAt;
  if (flags.has('NX') && entry.expiresAt !== 0) return false;
  if (flags.has('XX') && entry.expiresAt === 0) return false;
  if (flags.has('GT') && moment <= current) return false;
  return !(flags.has('LT') && moment >= current);
}

/** The TTL family: -2 without the key, -1 without an expiry. */
function timeToLive(unitMs: number, absolute: boolean) {
  return (context: CommandContext, request: Request): Reply => {
    const entry = read(context, request.text(1));
    if (entry === undefined) return -2;
    if (entry.expiresAt === 0) return -1;
    const ms = absolute ? entry.expiresAt : entry.expiresAt - context.now;
    return unitMs === 1 ? ms : Math.floor((ms + 500) / 1000);
  };
}

function scan(context: CommandContext, request: Request): Reply {
  const cursor = /^\d{1,20}$/.test(request.text(1)) ? Number(request.text(1)) : Number.NaN;
  if (!Number.isSafeInteger(cursor)) throw errors.invalidCursor();
  let count = DEFAULT_SCAN_COUNT;
  let match: ((key: string) => boolean) | undefined;
  let type: string | undefined;
  for (let at = 2; at < request.length; at += 2) {
    const option = request.option(at);
    if (at + 1 >= request.length) throw errors.syntax();
    if (option === 'COUNT') {
      count = parseInteger(request.text(at + 1));
      if (count < 1) throw errors.syntax();
    } else if (option === 'MATCH') match = globMatcher(request.text(at + 1));
    else if (option === 'TYPE') type = request.text(at + 1).toLowerCase();
    else throw errors.syntax();
  }
  const { next, keys } = context.database.scan(cursor, count, context.now, { match, type });
  return [String(next), keys];
}

function rename(context: CommandContext, request: Request, onlyIfMissing: boolean): Reply {
  const entry = find(context, request.text(1));
  if (entry === undefined) throw errors.noSuchKey();
  const target = request.text(2);
  if (onlyIfMissing && find(context, target)) return 0;
  if (target !== entry.key) move(context, entry, target);
  return onlyIfMissing ? 1 : OK;
}

function move(context: CommandContext, entry: Entry, target: string): void {
  const { value, sizeBytes, expiresAt } = entry;
  context.database.remove(entry.key);
  context.database.remove(target);
  const moved = context.database.put(target, value, expiresAt, context.now);
  context.database.changed(moved, sizeBytes - moved.sizeBytes);
}

function copy(context: CommandContext, request: Request): Reply {
  let replace = false;
  let database = context.database;
  for (let at = 3; at < request.length; at++) {
    if (request.option(at) === 'REPLACE') replace = true;
    else if (request.option(at) === 'DB' && at + 1 < request.length) {
      const target = context.state.databases[parseInteger(request.text(++at))];
      if (target === undefined) throw errors.dbIndex();
      database = target;
    } else throw errors.syntax();
  }
  const [from, to] = [request.text(1), request.text(2)];
  if (database === context.database && from === to) throw errors.sameObject();
  const entry = find(context, from);
  if (entry === undefined) return 0;
  if (database.get(to, context.now)) {
    if (!replace) return 0;
    database.remove(to);
  }
  const copied = database.put(to, cloneValue(entry.value), entry.expiresAt, context.now);
  database.changed(copied, entry.sizeBytes - copied.sizeBytes);
  return 1;
}

function cloneValue(value: Value): Value {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Hash) return new Hash(value);
  if (value instanceof MemberSet) return new MemberSet(value);
  if (value instanceof List) {
    const list = new List();
    list.items = [...value.items];
    return list;
  }
  const sorted = new SortedSet();
  for (const [member, score] of value.ascending) sorted.set(member, score);
  return sorted;
}

function object(context: CommandContext, request: Request): Reply {
  const subcommand = request.text(1).toLowerCase();
  if (!['encoding', 'idletime', 'refcount', 'freq'].includes(subcommand))
    throw errors.unknownSubcommand('object', request.text(1));
  if (request.length !== 3) throw errors.arity(`object|${subcommand}`);
  const entry = context.database.get(request.text(2), context.now);
  if (entry === undefined) return null;
  if (subcommand === 'encoding') return encoding(entry.value);
  if (subcommand === 'idletime') return Math.floor((context.now - entry.usedAt) / 1000);
  if (subcommand === 'refcount') return 1;
  throw errors.noFrequency();
}

/** The names that redis-server would give for values of this size; the values here are JavaScript's own collections. */
function encoding(value: Value): string {
  if (Buffer.isBuffer(value)) {
    if (/^(?:0|-?[1-9]\d{0,17})$/.test(value.toString('latin1', 0, 20))) return 'int';
    return value.length <= EMBEDDED_STRING_BYTES ? 'embstr' : 'raw';
  }
  if (value instanceof List) return value.items.length > 128 ? 'quicklist' : 'listpack';
  if (value instanceof Hash) return value.size > 128 ? 'hashtable' : 'listpack';
  if (value instanceof SortedSet) return value.size > 128 ? 'skiplist' : 'listpack';
  if ([...value].every((member) => /^-?\d{1,18}$/.test(member))) return 'intset';
  return value.size > 128 ? 'hashtable' : 'listpack';
}

export const keyCommands: CommandTable = {
  del: { arity: -2, keys: ALL_KEYS, write: true, run: remove },
  unlink: { arity: -2, keys: ALL_KEYS, write: true, run: remove },
  exists: { arity: -2, keys: ALL_KEYS, run: countExisting },
  touch: { arity: -2, keys: ALL_KEYS, run: countExisting },
  type: {
    arity: 2,
    keys: ONE_KEY,
    run(context, request) {
      const entry = read(context, request.text(1));
      return status(entry ? typeName(entry.value) : 'none');
    },
  },
  expire: { arity: -3, keys: ONE_KEY, write: true, run: expire('expire', 1000, false) },
  pexpire: { arity: -3, keys: ONE_KEY, write: true, run: expire('pexpire', 1, false) },
  expireat: { arity: -3, keys: ONE_KEY, write: true, run: expire('expireat', 1000, true) },
  pexpireat: { arity: -3, keys: ONE_KEY, write: true, run: expire('pexpireat', 1, true) },
  ttl: { arity: 2, keys: ONE_KEY, run: timeToLive(1000, false) },
  pttl: { arity: 2, keys: ONE_KEY, run: timeToLive(1, false) },
  expiretime: { arity: 2, keys: ONE_KEY, run: timeToLive(1000, true) },
  pexpiretime: { arity: 2, keys: ONE_KEY, run: timeToLive(1, true) },
  persist: {
    arity: 2,
    keys: ONE_KEY,
    write: true,
    run(context, request) {
      const entry = find(context, request.text(1));
      if (entry === undefined || entry.expiresAt === 0) return 0;
      context.database.expireAt(entry, 0);
      return 1;
    },
  },
  keys: {
    arity: 2,
    run(context, request) {
      const match = globMatcher(request.text(1));
      const keys: string[] = [];
      for (const { key } of context.database.entries(context.now)) if (match?.(key) ?? true) keys.push(key);
      return keys;
    },
  },
  scan: { arity: -2, run: scan },
  dbsize: { arity: 1, run: (context) => context.database.size },
  randomkey: {
    arity: 1,
    run: (context) => context.database.sample(context.state.random.next())?.key ?? null,
  },
  rename: {
    arity: 3,
    keys: TWO_KEYS,
    write: true,
    run: (context, request) => rename(context, request, false),
  },
  renamenx: {
    arity: 3,
    keys: TWO_KEYS,
    write: true,
    run: (context, request) => rename(context, request, true),
  },
  copy: { arity: -3, keys: TWO_KEYS, write: true, grows: true, run: copy },
  object: { arity: -2, keys: [2, 2, 1], run: object },
  flushdb: {
    arity: -1,
    write: true,
    run(context) {
      context.database.clear();
      return OK;
    },
  },
  flushall: {
    arity: -1,
    write: true,
    run(context) {
      for (const database of context.state.databases) database.clear();
      return OK;
    },
  },
};
