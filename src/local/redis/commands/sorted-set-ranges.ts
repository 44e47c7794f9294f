import type { CommandContext } from '../command.ts';
import { errors } from '../errors.ts';
import { asSortedSet, read } from '../lookup.ts';
import { parseDouble, parseInteger, resolveRange } from '../numbers.ts';
import type { Reply } from '../reply.ts';
import type { Request } from '../request.ts';
import type { Scored } from '../sorted-set.ts';

export interface Selection {
  readonly by: 'rank' | 'score' | 'lex';
  readonly reverse: boolean;
  readonly withScores: boolean;
  readonly limit?: readonly [offset: number, count: number];
}

/** The members with a score in `[min, max]`; `(` in front of a bound excludes it. */
export function selectByScore(sorted: readonly Scored[], min: string, max: string): readonly Scored[] {
  const low = scoreBound(min);
  const high = scoreBound(max);
  return sorted.filter(
    ([, score]) =>
      (low.exclusive ? score > low.value : score >= low.value) &&
      (high.exclusive ? score < high.value : score <= high.value),
  );
}

function scoreBound(text: string): { value: number; exclusive: boolean } {
  const exclusive = text.startsWith('(');
  return { value: parseDouble(exclusive ? text.slice(1) : text, errors.notAValidScore), exclusive };
}

function selectByLex(sorted: readonly Scored[], min: string, max: string): readonly Scored[] {
  for (const bound of [min, max]) if (!/^(?:[[(]|[-+]$)/.test(bound)) throw errors.notALexRange();
  // One run of members: with unequal scores, where BYLEX is undefined, this is what redis-server gives.
  const first = sorted.findIndex(([member]) => compareLex(member, min) >= 0);
  if (first < 0) return [];
  const behind = sorted.findIndex(([member], index) => index >= first && !(compareLex(member, max) <= 0));
  return sorted.slice(first, behind < 0 ? sorted.length : behind);
}

/** Below, inside or above a bound: `-`, `+`, `[inclusive`, `(exclusive` (never equal). */
function compareLex(member: string, bound: string): number {
  if (bound === '-') return 1;
  if (bound === '+') return -1;
  const value = bound.slice(1);
  if (member === value) return bound.startsWith('[') ? 0 : Number.NaN;
  return member < value ? -1 : 1;
}

/** ZRANGE (with its own words for order and kind when `modern`) and the older commands, which fix both by their name. */
export function rangeCommand(fixed: Selection, modern = false) {
  return (context: CommandContext, request: Request): Reply => {
    const selection = parseSelection(request, fixed, modern);
    const sorted = asSortedSet(read(context, request.text(1)))?.value.ascending ?? [];
    const selected = select(sorted, selection, request.text(2), request.text(3));
    if (selection.withScores) return { kind: 'scored', items: selected };
    return selected.map(([member]) => member);
  };
}

function parseSelection(request: Request, fixed: Selection, modern: boolean): Selection {
  let { by, reverse, withScores } = fixed;
  let limit: Selection['limit'];
  for (let at = 4; at < request.length; at++) {
    const option = request.option(at);
    if (option === 'WITHSCORES') withScores = true;
    else if (option === 'LIMIT' && at + 2 < request.length) {
      limit = [parseInteger(request.text(at + 1)), parseInteger(request.text(at + 2))];
      at += 2;
    } else if (modern && option === 'REV') reverse = true;
    else if (modern && option === 'BYSCORE') by = 'score';
    else if (modern && option === 'BYLEX') by = 'lex';
    else throw errors.syntax();
  }
  if (limit !== undefined && by === 'rank') throw errors.limitNeedsRange();
  if (withScores && by === 'lex') throw errors.withScoresNotLex();
  return { by, reverse, withScores, ...(limit && { limit }) };
}

function select(
  sorted: readonly Scored[],
  { by, reverse, limit }: Selection,
  start: string,
  stop: string,
): readonly Scored[] {
  if (by === 'rank') {
    const [first, last] = resolveRange(parseInteger(start), parseInteger(stop), sorted.length);
    return (reverse ? sorted.toReversed() : sorted).slice(first, last + 1);
  }
  const [min, max] = reverse ? [stop, start] : [start, stop];
  const inRange = by === 'score' ? selectByScore(sorted, min, max) : selectByLex(sorted, min, max);
  const ordered = reverse ? inRange.toReversed() : inRange;
  if (limit === undefined) return ordered;
  const [offset, count] = limit;
  if (offset < 0) return [];
  return count < 0 ? ordered.slice(offset) : ordered.slice(offset, offset + count);
}
