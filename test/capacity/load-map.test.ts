import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mapLoad } from '../../src/capacity/load-map.ts';
import {
  effectivePartitionKey,
  findRange,
  partitionKeyRangesFor,
} from '../../src/hashing/effective-partition-key.ts';
import { partitionForKey } from '../../src/hashing/partition-for-key.ts';
import { numberedKeys } from '../../src/workload/keys.ts';

const total = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);

describe('the map of a load', () => {
  it('accounts for every event, whatever the keys and partitions', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3_000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 200 }),
        fc.constantFrom(
          { kind: 'uniform' } as const,
          { kind: 'zipf', exponent: 1.1 } as const,
          { kind: 'hotspot', keyShare: 0.1, loadShare: 0.9 } as const,
        ),
        (keys, hubPartitions, physicalPartitions, distribution) => {
          const map = mapLoad({ keys, distribution, hubPartitions, physicalPartitions });
          expect(total(map.hub.map(({ share }) => share))).toBeCloseTo(1, 9);
          expect(total(map.store.map(({ share }) => share))).toBeCloseTo(1, 9);
          expect(total(map.shares)).toBeCloseTo(1, 9);
          expect(total(map.hub.map(({ lanes }) => lanes))).toBe(hubPartitions);
          expect(total(map.store.map(({ lanes }) => lanes))).toBe(physicalPartitions);
          expect(map.hub.length).toBeLessThanOrEqual(32);
          expect(map.store.length).toBeLessThanOrEqual(64);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('sends a single key where the services send it', () => {
    const map = mapLoad({
      keys: 1,
      distribution: { kind: 'uniform' },
      hubPartitions: 7,
      physicalPartitions: 5,
    });
    const name = numberedKeys(1).name(0);
    const bounds = partitionKeyRangesFor(5, 2).map(({ minInclusive }) => minInclusive);
    expect(map.hub[0]?.name).toBe(String(partitionForKey(name, 7)));
    expect(map.store[0]?.name).toBe(
      String(findRange(bounds, effectivePartitionKey([name], { kind: 'Hash', version: 2 }))),
    );
    expect(map).toMatchObject({ hottestKeyShare: 1, hottestHubShare: 1, hottestStoreShare: 1 });
  });

  it('knows the share of the hottest key of a zipf distribution', () => {
    const { hottestKeyShare } = mapLoad({
      keys: 3,
      distribution: { kind: 'zipf', exponent: 1 },
      hubPartitions: 1,
      physicalPartitions: 1,
    });
    expect(hottestKeyShare).toBeCloseTo(1 / (1 + 1 / 2 + 1 / 3), 12);
  });

  it('spreads millions of keys about evenly without hashing them all', () => {
    const map = mapLoad({
      keys: 5_000_000,
      distribution: { kind: 'uniform' },
      hubPartitions: 32,
      physicalPartitions: 100,
    });
    expect(map.hottestStoreShare * 100).toBeLessThan(1.05);
  });

  it('knows the shares of a billion keys of which few are frequent', () => {
    const share = (exponent: number, keys: number): number =>
      mapLoad({
        keys,
        distribution: { kind: 'zipf', exponent },
        hubPartitions: 1,
        physicalPartitions: 1,
      }).hottestKeyShare;
    // The harmonic number of 1e9 is ln 1e9 + 0.5772, the sum of all squares pi^2 / 6.
    expect(1 / share(1, 1e9)).toBeCloseTo(Math.log(1e9) + 0.577216, 4);
    expect(1 / share(2, 1e9)).toBeCloseTo(Math.PI ** 2 / 6, 6);
  });
});
