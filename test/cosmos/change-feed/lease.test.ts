import fc from 'fast-check';
import { expect, it } from 'vitest';
import { leasePrefix, newLease, positionOf, uncovered } from '../../../src/cosmos/change-feed/lease.ts';
import type { FeedRange } from '../../../src/cosmos/change-feed/types.ts';

it('is stored under the field names of the .NET and Java processors', () => {
  const prefix = leasePrefix('orders/eu', 'AbC=');
  const lease = newLease(prefix, { min: '', max: '1FFF', continuation: '"63"' }, 'host-1', 0);
  expect(lease).toEqual({
    id: 'orders-eu.AbC=..-1FFF',
    LeaseToken: '-1FFF',
    FeedRange: { Range: { min: '', max: '1FFF' } },
    Owner: 'host-1',
    ContinuationToken: '"63"',
    properties: {},
    timestamp: '1970-01-01T00:00:00.000Z',
  });
  expect(positionOf(lease)).toEqual({ min: '', max: '1FFF', continuation: '"63"' });
});

it('finds exactly what no lease covers', () => {
  const points = Array.from({ length: 16 }, (_, index) => index.toString(16).toUpperCase());
  const range = fc
    .tuple(fc.nat(15), fc.nat(15))
    .filter(([a, b]) => a !== b)
    .map(([a, b]): FeedRange => ({ min: points[Math.min(a, b)] ?? '', max: points[Math.max(a, b)] ?? '' }));
  const covers = (ranges: readonly FeedRange[], point: string): boolean =>
    ranges.some(({ min, max }) => min <= point && point < max);
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 6 }), (whole, leases) => {
      const gaps = uncovered([whole], leases);
      for (const point of points) {
        expect(covers(gaps, point)).toBe(covers([whole], point) && !covers(leases, point));
      }
    }),
  );
});
