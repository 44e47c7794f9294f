import { expect, it } from 'vitest';
import { Turns } from '../../src/cosmos/writer/turns.ts';

const source = () => ({ raised: false });

it('gives turns in the order in which operations come', () => {
  const turns = new Turns();
  const [a, b] = [source(), source()];
  const all = [turns.next(a, 10), turns.next(b, 20), turns.next(undefined, 30), turns.next(a, 40)];
  expect(all).toEqual([10, 20, 30, 40]);
});

it('lets sources take turns with what they hand over at once', () => {
  const turns = new Turns();
  const [a, b] = [source(), source()];
  expect([1, 2, 3].map(() => turns.next(a, 100))).toEqual([100, 101, 102]);
  expect([1, 2].map(() => turns.next(b, 101))).toEqual([101, 102]);
});

it('does not put off a source that was fast for hours behind one that joins', () => {
  const turns = new Turns();
  const [fast, joins] = [source(), source()];
  const given: number[] = [];
  for (let now = 0; now < 30_000; now += 1) for (let i = 0; i < 6; i += 1) given.push(turns.next(fast, now));
  expect(given.every((turn, i) => i === 0 || turn > (given[i - 1] as number))).toBe(true);
  expect(given.at(-1)).toBeLessThan(40_010);
  expect(turns.next(joins, 30_000)).toBe(30_000);
});
