import { expect, it } from 'vitest';
import { patienceAt } from '../../src/cosmos/bulk-writer.ts';

it('waits no longer than asked while there is time to spare, and much longer only when there is none', () => {
  expect([0, 0.5, 0.75].map(patienceAt)).toEqual([1, 1, 1]);
  expect(patienceAt(0.85)).toBeCloseTo(3);
  expect(patienceAt(0.95)).toBeCloseTo(5);
  expect(patienceAt(1)).toBe(20);
});
