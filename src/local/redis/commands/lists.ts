import { type CommandContext, type CommandTable, type ListEntry, ONE_KEY, TWO_KEYS } from '../command.ts';
import { ELEMENT_OVERHEAD_BYTES } from '../database.ts';
import { errors } from '../errors.ts';
import { asList, find, listOrNew, read, settle } from '../lookup.ts';
import { parseInteger, resolveRange } from '../numbers.ts';
import { NULL_ARRAY, OK, type Reply } from '../reply.ts';
import type { Request } from '../request.ts';

type End = 'LEFT' | 'RIGHT';

const sizeOf = (items: readonly Buffer[]): number =>
  items.reduce((sum, item) => sum + item.length + ELEMENT_OVERHEAD_BYTES, 0);

function pushItems(context: CommandContext, entry: ListEntry, end: End, items: readonly Buffer[]): number {
  const { value } = entry;
  for (const item of items) {
    if (end === 'LEFT') value.items.unshift(item);
    else value.items.push(item);
  }
  settle(context, entry, sizeOf(items));
  return value.items.length;
}

/** Takes up to `count` items, the outermost first. */
function popItems(context: CommandContext, entry: ListEntry, end: End, count: number): Buffer[] {
  const { items } = entry.value;
  const taken =
    end === 'LEFT' ? items.splice(0, count) : items.splice(Math.max(0, items.length - count)).reverse();
  settle(context, entry, -sizeOf(taken));
  return taken;
}

function push(end: End, onlyIfPresent: boolean) {
  return (context: CommandContext, request: Request): Reply => {
    const key = request.text(1);
    const entry = onlyIfPresent ? asList(find(context, key)) : listOrNew(context, key);
    if (entry === undefined) return 0;
    const items: Buffer[] = [];
    for (let at = 2; at < request.length; at++) items.push(request.bytes(at));
    return pushItems(context, entry, end, items);
  };
}

function pop(end: End, command: string) {
  return (context: CommandContext, request: Request): Reply => {
    if (request.length > 3) throw errors.arity(command);
    const counted = request.length === 3;
    const count = counted ? parseInteger(request.text(2), errors.notPositive) : 1;
    if (count < 0) throw errors.notPositive();
    const entry = asList(find(context, request.text(1)));
    if (entry === undefined) return counted ? NULL_ARRAY : null;
    if (count === 0) return [];
    const items = popItems(context, entry, end, count);
    return counted ? items : (items[0] ?? null);
  };
}

function moveItem(context: CommandContext, request: Request, from: End, to: End): Reply {
  const source = asList(find(context, request.text(1)));
  if (source === undefined) return null;
  asList(find(context, request.text(2)));
  const items = popItems(context, source, from, 1);
  pushItems(context, listOrNew(context, request.text(2)), to, items);
  return items[0] ?? null;
}

function parseEnd(word: string): End {
  if (word !== 'LEFT' && word !== 'RIGHT') throw errors.syntax();
  return word;
}

function removeItems(context: CommandContext, request: Request): Reply {
  const count = parseInteger(request.text(2));
  const target = request.bytes(3);
  const entry = asList(find(context, request.text(1)));
  if (entry === undefined) return 0;
  const limit = count === 0 ? Number.POSITIVE_INFINITY : Math.abs(count);
  const { items } = entry.value;
  const removed = new Set<number>();
  for (let step = 0; step < items.length && removed.size < limit; step++) {
    const at = count < 0 ? items.length - 1 - step : step;
    if (items[at]?.equals(target)) removed.add(at);
  }
  if (removed.size === 0) return 0;
  entry.value.items = items.filter((_, index) => !removed.has(index));
  settle(context, entry, -removed.size * (target.length + ELEMENT_OVERHEAD_BYTES));
  return removed.size;
}

function trim(context: CommandContext, request: Request): Reply {
  const [start, stop] = [parseInteger(request.text(2)), parseInteger(request.text(3))];
  const entry = asList(find(context, request.text(1)));
  if (entry === undefined) return OK;
  const before = sizeOf(entry.value.items);
  const [first, last] = resolveRange(start, stop, entry.value.items.length);
  entry.value.items = entry.value.items.slice(first, last + 1);
  settle(context, entry, sizeOf(entry.value.items) - before);
  return OK;
}

function setItem(context: CommandContext, request: Request): Reply {
  const entry = asList(find(context, request.text(1)));
  if (entry === undefined) throw errors.noSuchKey();
  const index = parseInteger(request.text(2));
  const at = index < 0 ? entry.value.items.length + index : index;
  const old = entry.value.items[at];
  if (old === undefined) throw errors.outOfRange();
  const value = request.bytes(3);
  entry.value.items[at] = value;
  settle(context, entry, value.length - old.length);
  return OK;
}

function insertItem(context: CommandContext, request: Request): Reply {
  const where = request.option(2);
  if (where !== 'BEFORE' && where !== 'AFTER') throw errors.syntax();
  const entry = asList(find(context, request.text(1)));
  if (entry === undefined) return 0;
  const pivot = request.bytes(3);
  const at = entry.value.items.findIndex((item) => item.equals(pivot));
  if (at < 0) return -1;
  const value = request.bytes(4);
  entry.value.items.splice(where === 'BEFORE' ? at : at + 1, 0, value);
  settle(context, entry, sizeOf([value]));
  return entry.value.items.length;
}

export const listCommands: CommandTable = {
  lpush: { arity: -3, keys: ONE_KEY, write: true, grows: true, run: push('LEFT', false) },
  rpush: { arity: -3, keys: ONE_KEY, write: true, grows: true, run: push('RIGHT', false) },
  lpushx: { arity: -3, keys: ONE_KEY, write: true, grows: true, run: push('LEFT', true) },
  rpushx: { arity: -3, keys: ONE_KEY, write: true, grows: true, run: push('RIGHT', true) },
  lpop: { arity: -2, keys: ONE_KEY, write: true, run: pop('LEFT', 'lpop') },
  rpop: { arity: -2, keys: ONE_KEY, write: true, run: pop('RIGHT', 'rpop') },
  rpoplpush: {
    arity: 3,
    keys: TWO_KEYS,
    write: true,
    grows: true,
    run: (context, request) => moveItem(context, request, 'RIGHT', 'LEFT'),
  },
  lmove: {
    arity: 5,
    keys: TWO_KEYS,
    write: true,
    grows: true,
    run: (context, request) =>
      moveItem(context, request, parseEnd(request.option(3)), parseEnd(request.option(4))),
  },
  llen: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => asList(read(context, request.text(1)))?.value.items.length ?? 0,
  },
  lrange: {
    arity: 4,
    keys: ONE_KEY,
    run(context, request) {
      const [start, stop] = [parseInteger(request.text(2)), parseInteger(request.text(3))];
      const items = asList(read(context, request.text(1)))?.value.items ?? [];
      const [first, last] = resolveRange(start, stop, items.length);
      return items.slice(first, last + 1);
    },
  },
  lindex: {
    arity: 3,
    keys: ONE_KEY,
    run(context, request) {
      const items = asList(read(context, request.text(1)))?.value.items;
      return items?.at(parseInteger(request.text(2))) ?? null;
    },
  },
  lset: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: setItem },
  lrem: { arity: 4, keys: ONE_KEY, write: true, run: removeItems },
  ltrim: { arity: 4, keys: ONE_KEY, write: true, run: trim },
  linsert: { arity: 5, keys: ONE_KEY, write: true, grows: true, run: insertItem },
};
