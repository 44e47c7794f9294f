import fc from 'fast-check';
import { expect, it } from 'vitest';
import { IntervalSet } from '../../../src/pipeline/verify/interval-set.ts';

const intervals = fc.array(
  fc.tuple(fc.nat(60), fc.nat(8)).map(([from, length]) => ({ from, to: from + length })),
  {
    maxLength: 40,
  },
);

function members(set: Iterable<{ from: number; to: number }>): number[] {
  return [...set].flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index),
  );
}

function filled(ranges: readonly { from: number; to: number }[]): { set: IntervalSet; model: Set<number> } {
  const set = new IntervalSet();
  const model = new Set<number>();
  for (const { from, to } of ranges) {
    const before = model.size;
    for (let value = from; value <= to; value += 1) model.add(value);
    expect(set.add(from, to)).toBe(model.size - before);
  }
  return { set, model };
}

it('is the set of everything added, in as few ascending intervals as possible', () => {
  fc.assert(
    fc.property(intervals, (ranges) => {
      const { set, model } = filled(ranges);
      const sorted = [...model].sort((a, b) => a - b);
      expect(members(set)).toEqual(sorted);
      expect(set.size).toBe(model.size);
      expect(set.last).toBe(sorted.at(-1) ?? Number.NEGATIVE_INFINITY);
      const bounds = [...set];
      for (const [index, { from }] of bounds.entries()) {
        if (index > 0) expect(from).toBeGreaterThan((bounds[index - 1]?.to ?? 0) + 1);
      }
      for (let value = 0; value < 75; value += 1) expect(set.has(value)).toBe(model.has(value));
    }),
  );
});

it('subtracts like a set', () => {
  fc.assert(
    fc.property(intervals, intervals, (left, right) => {
      const a = filled(left);
      const b = filled(right);
      const expected = [...a.model].filter((value) => !b.model.has(value)).sort((x, y) => x - y);
      expect(members(a.set.without(b.set))).toEqual(expected);
    }),
  );
});

it('survives JSON', () => {
  fc.assert(
    fc.property(intervals, (ranges) => {
      const { set } = filled(ranges);
      expect([...IntervalSet.of(JSON.parse(JSON.stringify(set)) as number[])]).toEqual([...set]);
    }),
  );
});
