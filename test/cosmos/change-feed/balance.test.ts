import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type LeaseState, planBalance } from '../../../src/cosmos/change-feed/balance.ts';

const lease = (id: number, owner?: string): LeaseState => ({
  id: `lease-${id}`,
  owner,
  requestedBy: undefined,
});

it('takes every free lease when alone', () => {
  const leases = [lease(1), lease(2), lease(3)];
  expect(planBalance(leases, 'a')).toEqual({ take: ['lease-1', 'lease-2', 'lease-3'], request: [] });
});

it('asks the process that holds most, and not twice for the same lease', () => {
  const leases = [lease(1, 'a'), lease(2, 'b'), lease(3, 'b'), lease(4, 'b')];
  const { request } = planBalance(leases, 'c');
  expect(request).toEqual(['lease-2']);
  const asked = leases.map((one) => (one.id === 'lease-2' ? { ...one, requestedBy: 'c' } : one));
  expect(planBalance(asked, 'c')).toEqual({ take: [], request: [] });
});

it('leaves shares alone that differ by one', () => {
  const leases = [lease(1, 'a'), lease(2, 'a'), lease(3, 'b')];
  expect(planBalance(leases, 'b')).toEqual({ take: [], request: [] });
});

it('reaches even shares from any distribution, with nothing left free', () => {
  const start = fc.record({
    owners: fc.array(fc.option(fc.nat(5), { nil: undefined }), { minLength: 1, maxLength: 40 }),
    processes: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(start, ({ owners, processes }) => {
      const names = Array.from({ length: processes }, (_, index) => `p${index}`);
      let leases = owners.map((owner, id) =>
        lease(id, owner === undefined || owner >= processes ? undefined : names[owner]),
      );
      for (let round = 0; round < 60; round++) {
        for (const me of names) {
          const plan = planBalance(leases, me);
          leases = leases.map((one) => {
            if (plan.take.includes(one.id)) return { ...one, owner: me };
            return plan.request.includes(one.id) ? { ...one, requestedBy: me } : one;
          });
          // The owner hands over at once.
          leases = leases.map((one) =>
            one.requestedBy === undefined ? one : { ...one, owner: one.requestedBy, requestedBy: undefined },
          );
        }
      }
      const shares = names.map((name) => leases.filter(({ owner }) => owner === name).length);
      expect(leases.every(({ owner }) => owner !== undefined)).toBe(true);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }),
  );
});
