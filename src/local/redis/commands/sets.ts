import { ALL_KEYS, type CommandContext, type CommandTable, ONE_KEY, TWO_KEYS } from '../command.ts';
import { ELEMENT_OVERHEAD_BYTES, MemberSet } from '../database.ts';
import { errors } from '../errors.ts';
import { asSet, find, read, setOrNew, settle } from '../lookup.ts';
import { parseInteger } from '../numbers.ts';
import type { Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import { scanCollection } from './collection-scan.ts';

const sizeOf = (member: string): number => member.length + ELEMENT_OVERHEAD_BYTES;

function addMembers(context: CommandContext, key: string, members: readonly string[]): number {
  const entry = setOrNew(context, key);
  let added = 0;
  let delta = 0;
  for (const member of members) {
    if (entry.value.has(member)) continue;
    entry.value.add(member);
    delta += sizeOf(member);
    added++;
  }
  if (added > 0) settle(context, entry, delta);
  return added;
}

function removeMembers(context: CommandContext, key: string, members: readonly string[]): number {
  const entry = asSet(find(context, key));
  if (entry === undefined) return 0;
  let removed = 0;
  let delta = 0;
  for (const member of members) {
    if (!entry.value.delete(member)) continue;
    delta -= sizeOf(member);
    removed++;
  }
  if (removed > 0) settle(context, entry, delta);
  return removed;
}

function pickMembers(context: CommandContext, request: Request, key: string, repeats: boolean): Reply {
  const members = [...(asSet(read(context, key))?.value ?? [])];
  const random = () => Math.floor(context.state.random.next() * members.length);
  if (request.length === 2) return members[random()] ?? null;
  const count = parseInteger(request.text(2));
  if (count < 0) {
    if (!repeats) throw errors.notPositive();
    return members.length === 0 ? [] : Array.from({ length: -count }, () => members[random()] as string);
  }
  for (let at = 0; at < Math.min(count, members.length); at++) {
    const other = at + Math.floor(context.state.random.next() * (members.length - at));
    [members[at], members[other]] = [members[other] as string, members[at] as string];
  }
  return members.slice(0, count);
}

function pop(context: CommandContext, request: Request): Reply {
  if (request.length > 3) throw errors.syntax();
  const picked = pickMembers(context, request, request.text(1), false);
  const members = Array.isArray(picked) ? (picked as string[]) : picked === null ? [] : [picked as string];
  removeMembers(context, request.text(1), members);
  context.propagate(['SREM', request.text(1), ...members]);
  return request.length === 2 ? picked : { kind: 'set', items: members };
}

type Combine = (sets: readonly ReadonlySet<string>[]) => string[];

const intersection: Combine = ([first, ...others]) =>
  [...(first ?? [])].filter((member) => others.every((other) => other.has(member)));
const union: Combine = (sets) => [...new Set(sets.flatMap((set) => [...set]))];
const difference: Combine = ([first, ...others]) =>
  [...(first ?? [])].filter((member) => !others.some((other) => other.has(member)));

function combined(context: CommandContext, keys: readonly string[], combine: Combine): string[] {
  return combine(keys.map((key) => asSet(read(context, key))?.value ?? new Set<string>()));
}

function combineAndStore(combine: Combine) {
  return (context: CommandContext, request: Request): Reply => {
    const members = combined(context, request.texts(2), combine);
    context.database.remove(request.text(1));
    if (members.length === 0) return 0;
    context.database.put(request.text(1), new MemberSet(), 0, context.now);
    return addMembers(context, request.text(1), members);
  };
}

const combineCommand = (combine: Combine) => ({
  arity: -2,
  keys: ALL_KEYS,
  run: (context: CommandContext, request: Request): Reply => ({
    kind: 'set',
    items: combined(context, request.texts(1), combine),
  }),
});

const membersOf = (context: CommandContext, request: Request) => asSet(read(context, request.text(1)))?.value;

export const setCommands: CommandTable = {
  sadd: {
    arity: -3,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) => addMembers(context, request.text(1), request.texts(2)),
  },
  srem: {
    arity: -3,
    keys: ONE_KEY,
    write: true,
    run: (context, request) => removeMembers(context, request.text(1), request.texts(2)),
  },
  smembers: {
    arity: 2,
    keys: ONE_KEY,
    run: (context, request) => ({ kind: 'set', items: [...(membersOf(context, request) ?? [])] }),
  },
  sismember: {
    arity: 3,
    keys: ONE_KEY,
    run: (context, request) => (membersOf(context, request)?.has(request.text(2)) ? 1 : 0),
  },
  smismember: {
    arity: -3,
    keys: ONE_KEY,
    run(context, request) {
      const members = membersOf(context, request);
      return request.texts(2).map((member) => (members?.has(member) ? 1 : 0));
    },
  },
  scard: { arity: 2, keys: ONE_KEY, run: (context, request) => membersOf(context, request)?.size ?? 0 },
  spop: { arity: -2, keys: ONE_KEY, write: true, run: pop },
  srandmember: {
    arity: -2,
    keys: ONE_KEY,
    run: (context, request) => pickMembers(context, request, request.text(1), true),
  },
  smove: {
    arity: 4,
    keys: TWO_KEYS,
    write: true,
    run(context, request) {
      asSet(find(context, request.text(2)));
      if (removeMembers(context, request.text(1), [request.text(3)]) === 0) return 0;
      addMembers(context, request.text(2), [request.text(3)]);
      return 1;
    },
  },
  sinter: combineCommand(intersection),
  sunion: combineCommand(union),
  sdiff: combineCommand(difference),
  sinterstore: { arity: -3, keys: ALL_KEYS, write: true, grows: true, run: combineAndStore(intersection) },
  sunionstore: { arity: -3, keys: ALL_KEYS, write: true, grows: true, run: combineAndStore(union) },
  sdiffstore: { arity: -3, keys: ALL_KEYS, write: true, grows: true, run: combineAndStore(difference) },
  sscan: {
    arity: -3,
    keys: ONE_KEY,
    run: (context, request) =>
      scanCollection(request, [...(membersOf(context, request) ?? [])], (member) => [member]),
  },
};
