import { type CommandContext, type CommandTable, ONE_KEY, type SortedSetEntry } from '../command.ts';
import { ELEMENT_OVERHEAD_BYTES } from '../database.ts';
import { errors } from '../errors.ts';
import { asSortedSet, find, read, settle, sortedSetOrNew } from '../lookup.ts';
import { parseDouble, parseInteger } from '../numbers.ts';
import { formatDouble, type Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import type { Scored } from '../sorted-set.ts';
import { scanCollection } from './collection-scan.ts';
import { rangeCommand, type Selection, selectByScore } from './sorted-set-ranges.ts';

const sizeOf = (member: string): number => member.length + 8 + ELEMENT_OVERHEAD_BYTES;

/** Sets one score; the change of the accounted size in bytes. */
function setScore(entry: SortedSetEntry, member: string, score: number): number {
  return entry.value.set(member, score) ? sizeOf(member) : 0;
}

function removeMembers(context: CommandContext, key: string, members: readonly string[]): number {
  const entry = asSortedSet(find(context, key));
  if (entry === undefined) return 0;
  const removed = members.filter((member) => entry.value.delete(member));
  if (removed.length > 0) settle(context, entry, -removed.reduce((sum, member) => sum + sizeOf(member), 0));
  return removed.length;
}

const ADD_FLAGS = new Set(['NX', 'XX', 'GT', 'LT', 'CH', 'INCR']);

/** Whether the flags let a member go from `current` (absent: new) to `next`. */
function allowed(flags: ReadonlySet<string>, current: number | undefined, next: number): boolean {
  if (current === undefined) return !flags.has('XX');
  if (flags.has('NX')) return false;
  if (flags.has('GT') && next <= current) return false;
  return !(flags.has('LT') && next >= current);
}

function add(context: CommandContext, request: Request): Reply {
  const flags = new Set<string>();
  let at = 2;
  while (at < request.length && ADD_FLAGS.has(request.option(at))) flags.add(request.option(at++));
  const pairs = (request.length - at) / 2;
  if (pairs === 0 || !Number.isInteger(pairs)) throw errors.syntax();
  if (flags.has('NX') && flags.has('XX')) throw errors.zaddNxXx();
  if ((flags.has('NX') || flags.has('LT')) && flags.has('GT')) throw errors.zaddGtLtNx();
  if (flags.has('NX') && flags.has('LT')) throw errors.zaddGtLtNx();
  if (flags.has('INCR') && pairs > 1) throw errors.zaddIncrOnePair();
  const scored: Scored[] = [];
  for (; at < request.length; at += 2) scored.push([request.text(at + 1), parseDouble(request.text(at))]);
  if (flags.has('XX') && asSortedSet(find(context, request.text(1))) === undefined)
    return flags.has('INCR') ? null : 0;
  return addScored(context, request.text(1), scored, flags);
}

function addScored(
  context: CommandContext,
  key: string,
  scored: readonly Scored[],
  flags: ReadonlySet<string>,
): Reply {
  const entry = sortedSetOrNew(context, key);
  let added = 0;
  let updated = 0;
  let delta = 0;
  let incremented: number | null = null;
  for (const [member, score] of scored) {
    const current = entry.value.score(member);
    const next = flags.has('INCR') ? (current ?? 0) + score : score;
    if (Number.isNaN(next)) throw errors.scoreNotANumber();
    if (!allowed(flags, current, next)) continue;
    delta += setScore(entry, member, next);
    if (current === undefined) added++;
    else if (current !== next) updated++;
    incremented = next;
  }
  settle(context, entry, delta);
  if (flags.has('INCR')) return incremented === null ? null : { kind: 'double', value: incremented };
  return flags.has('CH') ? added + updated : added;
}

function rank(reverse: boolean) {
  return (context: CommandContext, request: Request): Reply => {
    const set = asSortedSet(read(context, request.text(1)))?.value;
    const position = set?.rank(request.text(2));
    if (set === undefined || position === undefined) return null;
    return reverse ? set.size - 1 - position : position;
  };
}

function pop(highest: boolean) {
  return (context: CommandContext, request: Request): Reply => {
    if (request.length > 3) throw errors.syntax();
    const counted = request.length === 3;
    const count = counted ? parseInteger(request.text(2), errors.notPositive) : 1;
    if (count < 0) throw errors.notPositive();
    const entry = asSortedSet(find(context, request.text(1)));
    if (entry === undefined || count === 0) return [];
    const ascending = entry.value.ascending;
    const taken = highest ? ascending.slice(-count).reverse() : ascending.slice(0, count);
    removeMembers(
      context,
      entry.key,
      taken.map(([member]) => member),
    );
    const [member, score] = taken[0] as Scored;
    return counted ? { kind: 'scored', items: taken } : [member, { kind: 'double', value: score }];
  };
}

function removeSelected(select: (request: Request, sorted: readonly Scored[]) => readonly Scored[]) {
  return (context: CommandContext, request: Request): Reply => {
    const sorted = asSortedSet(find(context, request.text(1)))?.value.ascending ?? [];
    const members = select(request, sorted).map(([member]) => member);
    return removeMembers(context, request.text(1), members);
  };
}

const byRank: Selection = { by: 'rank', reverse: false, withScores: false };
const byScore: Selection = { by: 'score', reverse: false, withScores: false };
const setOf = (context: CommandContext, request: Request) =>
  asSortedSet(read(context, request.text(1)))?.value;
const score = (value: number | undefined): Reply => (value === undefined ? null : { kind: 'double', value });

export const sortedSetCommands: CommandTable = {
  zadd: { arity: -4, keys: ONE_KEY, write: true, grows: true, run: add },
  zincrby: {
    arity: 4,
    keys: ONE_KEY,
    write: true,
    grows: true,
    run: (context, request) =>
      addScored(
        context,
        request.text(1),
        [[request.text(3), parseDouble(request.text(2))]],
        new Set(['INCR']),
      ),
  },
  zrem: {
    arity: -3,
    keys: ONE_KEY,
    write: true,
    run: (context, request) => removeMembers(context, request.text(1), request.texts(2)),
  },
  zcard: { arity: 2, keys: ONE_KEY, run: (context, request) => setOf(context, request)?.size ?? 0 },
  zscore: {
    arity: 3,
    keys: ONE_KEY,
    run: (context, request) => score(setOf(context, request)?.score(request.text(2))),
  },
  zmscore: {
    arity: -3,
    keys: ONE_KEY,
    run(context, request) {
      const set = setOf(context, request);
      return request.texts(2).map((member) => score(set?.score(member)));
    },
  },
  zrank: { arity: 3, keys: ONE_KEY, run: rank(false) },
  zrevrank: { arity: 3, keys: ONE_KEY, run: rank(true) },
  zcount: {
    arity: 4,
    keys: ONE_KEY,
    run: (context, request) =>
      selectByScore(setOf(context, request)?.ascending ?? [], request.text(2), request.text(3)).length,
  },
  zrange: { arity: -4, keys: ONE_KEY, run: rangeCommand(byRank, true) },
  zrevrange: { arity: -4, keys: ONE_KEY, run: rangeCommand({ ...byRank, reverse: true }) },
  zrangebyscore: { arity: -4, keys: ONE_KEY, run: rangeCommand(byScore) },
  zrevrangebyscore: { arity: -4, keys: ONE_KEY, run: rangeCommand({ ...byScore, reverse: true }) },
  zpopmin: { arity: -2, keys: ONE_KEY, write: true, run: pop(false) },
  zpopmax: { arity: -2, keys: ONE_KEY, write: true, run: pop(true) },
  zremrangebyscore: {
    arity: 4,
    keys: ONE_KEY,
    write: true,
    run: removeSelected((request, sorted) => selectByScore(sorted, request.text(2), request.text(3))),
  },
  zremrangebyrank: {
    arity: 4,
    keys: ONE_KEY,
    write: true,
    run: removeSelected((request, sorted) => {
      const [start, stop] = [parseInteger(request.text(2)), parseInteger(request.text(3))];
      return stop === -1 ? sorted.slice(start) : sorted.slice(start, stop + 1);
    }),
  },
  zscan: {
    arity: -3,
    keys: ONE_KEY,
    run: (context, request) =>
      scanCollection(request, setOf(context, request)?.ascending ?? [], ([member, value]) => [
        member,
        formatDouble(value),
      ]),
  },
};
