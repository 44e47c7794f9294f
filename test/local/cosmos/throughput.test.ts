import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/local/cosmos/errors.ts';
import { Budget } from '../../../src/local/cosmos/throughput.ts';

/** Milliseconds that a refused operation is told to wait; 0 when it is admitted. */
function waitOf(budget: Budget, nowMs: number): number {
  try {
    budget.admit(nowMs);
    return 0;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return error.retryAfterMs as number;
  }
}

describe('the budget of a physical partition', () => {
  it('gives at sustained overload what was provisioned, within 2 % over five seconds', () => {
    const limits = fc.integer({ min: 400, max: 10_000 });
    fc.assert(
      fc.property(limits, fc.double({ min: 1, max: 39, noNaN: true }), (limit, charge) => {
        const budget = new Budget(limit);
        let consumed = 0;
        for (let nowMs = 0; nowMs < 5000; nowMs += 12.5)
          while (waitOf(budget, nowMs) === 0) {
            budget.charge(charge);
            consumed += charge;
          }
        expect(Math.abs(consumed / 5 / limit - 1)).toBeLessThan(0.02);
      }),
      { numRuns: 30 },
    );
  });

  it('admits one large operation while anything is left, and takes what it overdrew from the seconds after', () => {
    const budget = new Budget(400);
    expect(waitOf(budget, 100)).toBe(0);
    budget.charge(399);
    expect(waitOf(budget, 200)).toBe(0);
    budget.charge(1000);
    expect(waitOf(budget, 250)).toBe(2750);
    expect(waitOf(budget, 2999)).toBe(1);
    expect(waitOf(budget, 3000)).toBe(0);
    expect(budget.usage(3000)).toMatchObject({ total: 1399, throttled: 2 });
  });

  it('tells to wait for the rest of the second, and keeps nothing of an idle one', () => {
    const budget = new Budget(1000);
    waitOf(budget, 0);
    budget.charge(1000);
    expect(waitOf(budget, 400.5)).toBe(600);
    waitOf(budget, 10_000);
    budget.charge(1000);
    expect(waitOf(budget, 10_000)).toBe(1000);
    expect(budget.usage(11_000).lastSecond).toBe(1000);
  });
});
