import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileIndexingPolicy } from '../../../src/local/cosmos/indexing.ts';
import { JsonCursor } from '../../../src/local/cosmos/json-cursor.ts';
import {
  createCharge,
  patchCharge,
  queryCharge,
  readCharge,
  replaceCharge,
} from '../../../src/local/cosmos/request-charge.ts';

const policy = (included: string[], excluded: string[]) =>
  compileIndexingPolicy({
    includedPaths: included.map((path) => ({ path })),
    excludedPaths: excluded.map((path) => ({ path })),
  });

describe('request charges', () => {
  it('meets the worked examples of Microsoft within 3 %', () => {
    const near = (charge: number, published: number): void =>
      expect(Math.abs(charge - published) / published).toBeLessThan(0.03);
    near(createCharge(1024, 10), 7);
    near(replaceCharge(1024, 1024, 4), 10.8);
    near(patchCharge(replaceCharge(1024, 1024, 4), 2), 11.6);
    near(readCharge(1024), 1);
    near(queryCharge(true, 0, 60_951 * 6730), 4059.95);
  });

  it('never gets cheaper with size', () => {
    fc.assert(
      fc.property(fc.nat(4_000_000), fc.nat(4_000_000), (a, b) => {
        const [small, large] = a < b ? [a, b] : [b, a];
        expect(readCharge(small)).toBeLessThanOrEqual(readCharge(large));
        expect(createCharge(small, 0)).toBeLessThanOrEqual(createCharge(large, 0));
      }),
    );
  });

  it('charges a query the same however it is paged, up to rounding', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 10 }), (pages) => {
        const total = pages.reduce((sum, bytes) => sum + bytes, 0);
        const paged = pages.reduce((sum, bytes, index) => sum + queryCharge(index === 0, bytes, bytes), 0);
        expect(paged).toBeCloseTo(queryCharge(true, total, total), 0);
      }),
    );
  });
});

describe('indexing policy', () => {
  const document = { id: 'a', tags: ['x', 'y'], geo: { lat: 1, lon: { deg: 2 } }, _etag: 'e' };

  it.each([
    ['everything', ['/*'], ['/"_etag"/?'], 5],
    ['nothing', [], ['/*'], 0],
    ['one value', ['/id/?'], ['/*'], 1],
    ['elements of an array', ['/tags/[]/?'], ['/*'], 2],
    ['a subtree', ['/geo/*'], ['/*'], 2],
    ['a subtree less a part of it', ['/geo/*'], ['/*', '/geo/lon/*'], 1],
    ['everything less a value', ['/*'], ['/geo/lat/?'], 5],
  ])('counts the terms of %s', (_, included, excluded, terms) => {
    expect(policy(included, excluded).changed({}, document)).toBe(terms);
    const cursor = new JsonCursor(Buffer.from(JSON.stringify(document)));
    expect(policy(included, excluded).scan(cursor)).toEqual({ terms, tooDeep: false });
  });

  it('counts what a replace removes and adds', () => {
    const { changed } = policy(['/*'], ['/skip/*']);
    expect(changed({ a: 1, b: 2, skip: 1 }, { a: 1, b: 3, skip: 2 })).toBe(2);
    expect(changed({ a: [1, 2, 3] }, { a: [1, 2] })).toBe(1);
    expect(changed({ a: { x: 1 } }, { a: 5, b: null })).toBe(3);
  });

  it('finds no difference between equal documents', () => {
    const { changed } = policy(['/*'], []);
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(changed({ value }, structuredClone({ value }))).toBe(0);
      }),
    );
  });
});
