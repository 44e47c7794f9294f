import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cachedEffectivePartitionKey,
  effectivePartitionKey,
  findRange,
  midpointOf,
  type PartitionKeyHashing,
  partitionKeyRangesFor,
} from '../../src/hashing/effective-partition-key.ts';

const V1: PartitionKeyHashing = { kind: 'Hash', version: 1 };
const V2: PartitionKeyHashing = { kind: 'Hash', version: 2 };
const HIERARCHICAL: PartitionKeyHashing = { kind: 'MultiHash', version: 2 };

type Components = readonly (string | number | boolean | null | undefined)[];

/** The SDK's own function, which decides to which range it sends a bulk operation. Not exported, hence the path. */
const { hashPartitionKey } = createRequire(import.meta.url)(
  fileURLToPath(
    new URL('../../node_modules/@azure/cosmos/dist/commonjs/utils/hashing/hash.js', import.meta.url),
  ),
) as { hashPartitionKey: (components: Components, definition: object) => string };

const scalar = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constantFrom(null, undefined, '', 0, -0),
);

describe('effectivePartitionKey', () => {
  it.each([
    ['redmond', '22E342F38A486A088463DFF7838A5963'],
    ['partitionKey', '013AEFCF77FA271571CF665A58C933F1'],
  ])('hashes %s as Azure does', (key, epk) => {
    expect(effectivePartitionKey([key], V2)).toBe(epk);
  });

  it.each([
    ['version 2', V2, { paths: ['/pk'], version: 2 }],
    ['version 1', V1, { paths: ['/pk'], version: 1 }],
  ])('agrees with the SDK for single keys of %s', (_, ours, theirs) => {
    fc.assert(
      fc.property(scalar, (key) => {
        expect(effectivePartitionKey([key], ours)).toBe(hashPartitionKey([key], theirs));
      }),
      { numRuns: 1500 },
    );
  });

  it('agrees with the SDK for hierarchical keys', () => {
    fc.assert(
      fc.property(fc.array(scalar, { minLength: 1, maxLength: 3 }), (keys) => {
        const paths = ['/a', '/b', '/c'];
        expect(effectivePartitionKey(keys, HIERARCHICAL)).toBe(
          hashPartitionKey(keys, { paths, version: 2, kind: 'MultiHash' }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with the SDK on keys longer than a hash block and than 100 characters', () => {
    for (let length = 0; length < 300; length++) {
      const key = 'x'.repeat(length);
      expect(effectivePartitionKey([key], V2)).toBe(hashPartitionKey([key], { paths: ['/a'], version: 2 }));
      expect(effectivePartitionKey([key], V1)).toBe(hashPartitionKey([key], { paths: ['/a'], version: 1 }));
    }
  });

  it('puts a prefix of a hierarchical key before every key below it', () => {
    fc.assert(
      fc.property(scalar, scalar, (a, b) => {
        const prefix = effectivePartitionKey([a], HIERARCHICAL);
        const full = effectivePartitionKey([a, b], HIERARCHICAL);
        expect(full >= prefix && full < `${prefix}FF`).toBe(true);
      }),
    );
  });

  it('gives the same key from the cache, also after it turned over', () => {
    const lookup = cachedEffectivePartitionKey(V2, 8);
    for (let i = 0; i < 50; i++) {
      const key = `device-${i % 13}`;
      expect(lookup(key)).toBe(effectivePartitionKey([key], V2));
    }
  });
});

describe('partitionKeyRangesFor', () => {
  it('has the boundaries that Azure gives to four partitions', () => {
    expect(partitionKeyRangesFor(4, 2).map((range) => range.minInclusive.slice(0, 4))).toEqual([
      '',
      '1000',
      '2000',
      '3000',
    ]);
    expect(partitionKeyRangesFor(4, 1).map((range) => range.minInclusive)).toEqual([
      '',
      '05C1CFFFFFFFF8',
      '05C1DFFFFFFFFC',
      '05C1E7FFFFFFFE',
    ]);
  });

  it.each([V1, V2])('covers every key with exactly one of any number of ranges: %o', (definition) => {
    fc.assert(
      fc.property(scalar, fc.integer({ min: 1, max: 170 }), (key, count) => {
        const epk = effectivePartitionKey([key], definition);
        const ranges = partitionKeyRangesFor(count, definition.version);
        const holding = ranges.filter((range) => epk >= range.minInclusive && epk < range.maxExclusive);
        const found =
          ranges[
            findRange(
              ranges.map((range) => range.minInclusive),
              epk,
            )
          ];
        expect(holding).toEqual([found]);
      }),
    );
  });

  it.each([1, 2] as const)('splits in the middle, again and again, version %i', (version) => {
    let [range] = partitionKeyRangesFor(3, version) as [{ minInclusive: string; maxExclusive: string }];
    for (let depth = 0; depth < 20; depth++) {
      const middle = midpointOf(range, version) as string;
      expect(middle > range.minInclusive && middle < range.maxExclusive).toBe(true);
      range = depth % 2 === 0 ? { ...range, minInclusive: middle } : { ...range, maxExclusive: middle };
    }
  });

  it('halves the whole space where two partitions meet', () => {
    const [whole] = partitionKeyRangesFor(1, 2) as [{ minInclusive: string; maxExclusive: string }];
    expect(midpointOf(whole, 2)).toBe(partitionKeyRangesFor(2, 2)[1]?.minInclusive);
  });
});
