import { expect, it } from 'vitest';
import { patienceAt } from '../../src/cosmos/bulk-writer.ts';

it('waits no longer than asked while there is time to spare, and longer when there is none', () => {
  expect([0, 0.5, 0.75].map((share) => patienceAt(share, false))).toEqual([1, 1, 1]);
  expect(patienceAt(0.85, false)).toBeCloseTo(3);
  expect([0.95, 1].map((share) => patienceAt(share, false))).toEqual([5, 5]);
});

it('waits much longer only for operations that are late anyway', () => {
  expect([0, 0.75].map((share) => patienceAt(share, true))).toEqual([1, 1]);
  expect(patienceAt(0.95, true)).toBeCloseTo(5);
  expect(patienceAt(1, true)).toBe(20);
});
