import { ALL_KEYS, type CommandContext, type CommandTable, KEY_VALUE_PAIRS, ONE_KEY } from '../command.ts';
import { errors } from '../errors.ts';
import { asString, find, read } from '../lookup.ts';
import {
  formatPlainDecimal,
  isInt64,
  parseDouble,
  parseInt64,
  parseInteger,
  resolveRange,
} from '../numbers.ts';
import { OK, type Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import { type ExpiryOption, expiryMoment, isExpiryOption } from './expiry.ts';

const MAX_STRING_BYTES = 512 * 1024 * 1024;

interface SetOptions {
  readonly expiresAt: number;
  readonly onlyIf: 'missing' | 'present' | undefined;
  readonly keepExpiry: boolean;
  readonly get: boolean;
}

function setOptions(context: CommandContext, request: Request): SetOptions {
  let expiresAt = 0;
  let onlyIf: SetOptions['onlyIf'];
  let keepExpiry = false;
  let get = false;
  let expiry: [ExpiryOption, string] | undefined;
  for (let at = 3; at < request.length; at++) {
    const option = request.option(at);
    if (option === 'NX' && onlyIf !== 'present') onlyIf = 'missing';
    else if (option === 'XX' && onlyIf !== 'missing') onlyIf = 'present';
    else if (option === 'GET') get = true;
    else if (option === 'KEEPTTL' && expiry === undefined) keepExpiry = true;
    else if (isExpiryOption(option) && expiry === undefined && !keepExpiry && at + 1 < request.length)
      expiry = [option, request.text(++at)];
    else throw errors.syntax();
  }
  if (expiry !== undefined) expiresAt = expiryMoment(context, expiry[0], expiry[1], 'set');
  return { expiresAt, onlyIf, keepExpiry, get };
}

function set(context: CommandContext, request: Request): Reply {
  const key = request.text(1);
  if (request.length === 3) {
    context.database.put(key, request.bytes(2), 0, context.now);
    return OK;
  }
  const options = setOptions(context, request);
  const entry = options.get ? asString(read(context, key)) : find(context, key);
  const old = options.get ? ((entry?.value as Buffer | undefined) ?? null) : null;
  if ((options.onlyIf === 'missing' && entry) || (options.onlyIf === 'present' && !entry)) return old;
  const expiresAt = options.keepExpiry ? (entry?.expiresAt ?? 0) : options.expiresAt;
  store(context, key, request.bytes(2), expiresAt);
  return options.get ? old : OK;
}

/** Sets a string, and writes it to the append-only file with its absolute expiry. */
function store(context: CommandContext, key: string, value: Buffer, expiresAt: number): void {
  if (value.length > MAX_STRING_BYTES) throw errors.stringTooLong();
  if (expiresAt !== 0 && expiresAt <= context.now) {
    context.database.remove(key);
    context.propagate(['DEL', key]);
    return;
  }
  context.database.put(key, value, expiresAt, context.now);
  context.propagate(['SET', key, value, ...(expiresAt === 0 ? [] : ['PXAT', String(expiresAt)])]);
}

function setWithExpiry(option: ExpiryOption, command: string) {
  return (context: CommandContext, request: Request): Reply => {
    store(
      context,
      request.text(1),
      request.bytes(3),
      expiryMoment(context, option, request.text(2), command),
    );
    return OK;
  };
}

function getAndExpire(context: CommandContext, request: Request): Reply {
  const option = request.length > 2 ? request.option(2) : undefined;
  const valid =
    option === undefined ||
    (option === 'PERSIST' && request.length === 3) ||
    (isExpiryOption(option) && request.length === 4);
  if (!valid) throw errors.syntax();
  const entry = asString(read(context, request.text(1)));
  if (entry === undefined) return null;
  if (option === 'PERSIST') {
    if (entry.expiresAt !== 0) context.database.expireAt(entry, 0);
    context.propagate(['PERSIST', entry.key]);
  } else if (option !== undefined) {
    const moment = expiryMoment(context, option as ExpiryOption, request.text(3), 'getex');
    if (moment <= context.now) context.database.remove(entry.key);
    else context.database.expireAt(entry, moment);
    context.propagate(['PEXPIREAT', entry.key, String(moment)]);
  }
  return entry.value;
}

function increment(context: CommandContext, key: string, by: bigint): Reply {
  const entry = asString(find(context, key));
  const sum = (entry ? parseInt64(entry.value.toString('latin1')) : 0n) + by;
  if (!isInt64(sum)) throw errors.overflow();
  context.database.put(key, Buffer.from(String(sum)), entry?.expiresAt ?? 0, context.now);
  return sum;
}

function incrementByFloat(context: CommandContext, request: Request): Reply {
  const key = request.text(1);
  const entry = asString(find(context, key));
  const current = entry ? parseDouble(entry.value.toString('latin1')) : 0;
  const sum = current + parseDouble(request.text(2));
  if (!Number.isFinite(sum)) throw errors.nanOrInfinity();
  const value = Buffer.from(formatPlainDecimal(sum));
  store(context, key, value, entry?.expiresAt ?? 0);
  return value;
}

function setMany(context: CommandContext, request: Request): void {
  for (let at = 1; at < request.length; at += 2)
    context.database.put(request.text(at), request.bytes(at + 1), 0, context.now);
}

function setRange(context: CommandContext, request: Request): Reply {
  const key = request.text(1);
  const offset = parseInteger(request.text(2));
  if (offset < 0) throw errors.offsetOutOfRange();
  const patch = request.bytes(3);
  const entry = asString(find(context, key));
  if (patch.length === 0) return entry?.value.length ?? 0;
  if (offset + patch.length > MAX_STRING_BYTES) throw errors.stringTooLong();
  const value = Buffer.alloc(Math.max(entry?.value.length ?? 0, offset + patch.length));
  entry?.value.copy(value);
  patch.copy(value, offset);
  context.database.put(key, value, entry?.expiresAt ?? 0, context.now);
  return value.length;
}

function getRange(context: CommandContext, request: Request): Reply {
  const [start, stop] = [parseInteger(request.text(2)), parseInteger(request.text(3))];
  const value = asString(read(context, request.text(1)))?.value;
  if (value === undefined) return '';
  const [first, last] = resolveRange(start, stop, value.length);
  return value.subarray(first, last + 1);
}

export const stringCommands: CommandTable = {
  get: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => asString(read(context, request.text(1)))?.value ?? null,
  },
  set: { arity: -3, keys: ONE_KEY, write: true, grows: true, run: set },
  setex: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: setWithExpiry('EX', 'setex') },
  psetex: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: setWithExpiry('PX', 'psetex') },
  setnx: {
    arity: 3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run(context, request) {
      if (find(context, request.text(1))) return 0;
      context.database.put(request.text(1), request.bytes(2), 0, context.now);
      return 1;
    },
  },
  getset: {
    arity: 3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run(context, request) {
      const old = asString(read(context, request.text(1)))?.value ?? null;
      context.database.put(request.text(1), request.bytes(2), 0, context.now);
      return old;
    },
  },
  getdel: {
    arity: 2,
    keys: ONE_KEY,
    write: true,
    run(context, request) {
      const entry = asString(read(context, request.text(1)));
      if (entry === undefined) return null;
      context.database.remove(entry.key);
      return entry.value;
    },
  },
  getex: { arity: -2, keys: ONE_KEY, write: true, run: getAndExpire },
  mget: {
    arity: -2,
    keys: ALL_KEYS,
    run: (context, request) =>
      request.texts(1).map((key) => {
        const value = read(context, key)?.value;
        return Buffer.isBuffer(value) ? value : null;
      }),
  },
  mset: {
    arity: -3,
    keys: KEY_VALUE_PAIRS,
    write: true,
    grows: true,
    run(context, request) {
      if (request.length % 2 === 0) throw errors.arity('mset');
      setMany(context, request);
      return OK;
    },
  },
  msetnx: {
    arity: -3,
    keys: KEY_VALUE_PAIRS,
    write: true,
    grows: true,
    run(context, request) {
      if (request.length % 2 === 0) throw errors.arity('msetnx');
      for (let at = 1; at < request.length; at += 2) if (find(context, request.text(at))) return 0;
      setMany(context, request);
      return 1;
    },
  },
  strlen: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => asString(read(context, request.text(1)))?.value.length ?? 0,
  },
  append: {
    arity: 3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run(context, request) {
      const entry = asString(find(context, request.text(1)));
      const value = entry ? Buffer.concat([entry.value, request.bytes(2)]) : request.bytes(2);
      if (value.length > MAX_STRING_BYTES) throw errors.stringTooLong();
      context.database.put(request.text(1), value, entry?.expiresAt ?? 0, context.now);
      return value.length;
    },
  },
  getrange: { arity: 4, keys: ONE_KEY, run: getRange },
  substr: { arity: 4, keys: ONE_KEY, run: getRange },
  setrange: { arity: 4, keys: ONE_KEY, write: true, grows: true, run: setRange },
  incr: {
    arity: 2,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => increment(context, request.text(1), 1n),
  },
  decr: {
    arity: 2,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => increment(context, request.text(1), -1n),
  },
  incrby: {
    arity: 3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => increment(context, request.text(1), parseInt64(request.text(2))),
  },
  decrby: {
    arity: 3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => increment(context, request.text(1), -parseInt64(request.text(2))),
  },
  incrbyfloat: { arity: 3, keys: ONE_KEY, write: true, grows: true, run: incrementByFloat },
};
