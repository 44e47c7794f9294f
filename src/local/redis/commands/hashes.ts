import { type CommandContext, type CommandTable, type HashEntry, ONE_KEY } from '../command.ts';
import { ELEMENT_OVERHEAD_BYTES } from '../database.ts';
import { errors } from '../errors.ts';
import { asHash, find, hashOrNew, read, settle } from '../lookup.ts';
import { formatPlainDecimal, isInt64, parseDouble, parseInt64, parseInteger } from '../numbers.ts';
import { OK, type Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import { scanCollection } from './collection-scan.ts';

/** Sets one field; the change of the accounted size in bytes. */
function setField(entry: HashEntry, field: string, value: Buffer): number {
  const old = entry.value.get(field);
  entry.value.set(field, value);
  if (old !== undefined) return value.length - old.length;
  return field.length + value.length + ELEMENT_OVERHEAD_BYTES;
}

/** Sets the fields from word `from` on; the number of new ones. */
function setFields(context: CommandContext, request: Request, command: string): number {
  if (request.length % 2 !== 0) throw errors.arity(command);
  const entry = hashOrNew(context, request.text(1));
  const before = entry.value.size;
  let delta = 0;
  for (let at = 2; at < request.length; at += 2)
    delta += setField(entry, request.text(at), request.bytes(at + 1));
  settle(context, entry, delta);
  return entry.value.size - before;
}

function incrementField(context: CommandContext, request: Request): Reply {
  const by = parseInt64(request.text(3));
  const existing = asHash(find(context, request.text(1)))?.value.get(request.text(2));
  const current = existing ? parseInt64(existing.toString('latin1'), errors.hashValueNotInteger) : 0n;
  const sum = current + by;
  if (!isInt64(sum)) throw errors.overflow();
  const entry = hashOrNew(context, request.text(1));
  settle(context, entry, setField(entry, request.text(2), Buffer.from(String(sum))));
  return sum;
}

function incrementFieldByFloat(context: CommandContext, request: Request): Reply {
  const by = parseDouble(request.text(3));
  const existing = asHash(find(context, request.text(1)))?.value.get(request.text(2));
  const sum = (existing ? parseDouble(existing.toString('latin1'), errors.hashValueNotFloat) : 0) + by;
  if (!Number.isFinite(sum)) throw errors.nanOrInfinity();
  const entry = hashOrNew(context, request.text(1));
  const value = Buffer.from(formatPlainDecimal(sum));
  settle(context, entry, setField(entry, request.text(2), value));
  context.propagate(['HSET', entry.key, request.text(2), value]);
  return value;
}

function deleteFields(context: CommandContext, request: Request): Reply {
  const entry = asHash(find(context, request.text(1)));
  if (entry === undefined) return 0;
  let deleted = 0;
  let delta = 0;
  for (const field of request.texts(2)) {
    const value = entry.value.get(field);
    if (value === undefined) continue;
    entry.value.delete(field);
    delta -= field.length + value.length + ELEMENT_OVERHEAD_BYTES;
    deleted++;
  }
  if (deleted > 0) settle(context, entry, delta);
  return deleted;
}

function randomField(context: CommandContext, request: Request): Reply {
  const entry = asHash(read(context, request.text(1)));
  const fields = [...(entry?.value.keys() ?? [])];
  const pick = (): string => fields[Math.floor(context.state.random.next() * fields.length)] as string;
  if (request.length === 2) return fields.length === 0 ? null : pick();
  const count = parseInteger(request.text(2));
  if (fields.length === 0) return [];
  if (count < 0) return Array.from({ length: -count }, pick);
  return fields.slice(0, count);
}

const fieldsOf = (context: CommandContext, request: Request) => asHash(read(context, request.text(1)))?.value;

export const hashCommands: CommandTable = {
  hset: {
    arity: -4,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => setFields(context, request, 'hset'),
  },
  hmset: {
    arity: -4,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run(context, request) {
      setFields(context, request, 'hmset');
      return OK;
    },
  },
  hsetnx: {
    arity: 4,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run(context, request) {
      if (asHash(find(context, request.text(1)))?.value.has(request.text(2))) return 0;
      const entry = hashOrNew(context, request.text(1));
      settle(context, entry, setField(entry, request.text(2), request.bytes(3)));
      return 1;
    },
  },
  hget: {
    arity: 3,
    keys: ONE_KEY,
    run: (context, request) => fieldsOf(context, request)?.get(request.text(2)) ?? null,
  },
  hmget: {
    arity: -3,
    keys: ONE_KEY,
    run(context, request) {
      const fields = fieldsOf(context, request);
      return request.texts(2).map((field) => fields?.get(field) ?? null);
    },
  },
  hgetall: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => ({ kind: 'map', entries: [...(fieldsOf(context, request) ?? [])].flat() }),
  },
  hkeys: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => [...(fieldsOf(context, request)?.keys() ?? [])],
  },
  hvals: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => [...(fieldsOf(context, request)?.values() ?? [])],
  },
  hlen: { arity: 2, keys: ONE_KEY, run: (context, request) => fieldsOf(context, request)?.size ?? 0 },
  hexists: {
    arity: 3,
    keys: ONE_KEY,
    run: (context, request) => (fieldsOf(context, request)?.has(request.text(2)) ? 1 : 0),
  },
  hstrlen: {
    arity: 3,
    keys: ONE_KEY,
    run: (context, request) => fieldsOf(context, request)?.get(request.text(2))?.length ?? 0,
  },
  hdel: { arity: -3, keys: ONE_KEY, write: true, run: deleteFields },
  hincrby: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: incrementField },
  hincrbyfloat: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: incrementFieldByFloat },
  hrandfield: { arity: -2, keys: ONE_KEY, run: randomField },
  hscan: {
    arity: -3,
    keys: ONE_KEY,
    run: (context, request) =>
      scanCollection(request, [...(fieldsOf(context, request) ?? [])], ([field, value]) => [field, value]),
  },
};
