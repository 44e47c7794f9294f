import { describe, expect, it } from 'vitest';
import { draw } from '../../src/workload/draw.ts';
import {
  type KeyDistribution,
  KeyTable,
  keyPicker,
  numberedKeys,
  parseKeyDistribution,
} from '../../src/workload/keys.ts';

const DRAWS = 100_000;

/** Pearson's statistic, standardised: about normal(0, 1) when the counts follow the shares. */
function deviation(counts: readonly number[], shares: readonly number[]): number {
  const chiSquare = counts.reduce((sum, count, key) => {
    const expected = (shares[key] as number) * DRAWS;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
  const degrees = counts.length - 1;
  return (chiSquare - degrees) / Math.sqrt(2 * degrees);
}

function countsOf(distribution: KeyDistribution, keys: number, seed = 1): number[] {
  const pick = keyPicker(distribution, keys, seed);
  const counts = new Array<number>(keys).fill(0);
  for (let index = 0; index < DRAWS; index += 1) (counts[pick(index)] as number) += 1;
  return counts;
}

function zipfShares(exponent: number, keys: number): number[] {
  const weights = Array.from({ length: keys }, (_, key) => (key + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

describe('key distributions', () => {
  it.each([1, 2, 3])('uniform passes a chi-square test (seed %i)', (seed) => {
    const counts = countsOf({ kind: 'uniform' }, 100, seed);
    expect(Math.abs(deviation(counts, new Array<number>(100).fill(0.01)))).toBeLessThan(4);
  });

  it.each([0.5, 1, 1.5])('zipf %f passes a chi-square test', (exponent) => {
    const counts = countsOf({ kind: 'zipf', exponent }, 100);
    expect(Math.abs(deviation(counts, zipfShares(exponent, 100)))).toBeLessThan(4);
  });

  it('hotspot 20/80 gives 80 % of the load to 20 % of the keys, evenly within each part', () => {
    const shares = Array.from({ length: 100 }, (_, key) => (key < 20 ? 0.8 / 20 : 0.2 / 80));
    const counts = countsOf({ kind: 'hotspot', keyShare: 0.2, loadShare: 0.8 }, 100);
    expect(Math.abs(deviation(counts, shares))).toBeLessThan(4);
  });

  it('a chi-square test notices a wrong exponent', () => {
    expect(deviation(countsOf({ kind: 'zipf', exponent: 1 }, 100), zipfShares(1.1, 100))).toBeGreaterThan(10);
  });

  it('sequential takes the keys in turn', () => {
    const pick = keyPicker({ kind: 'sequential' }, 3, 1);
    expect([0, 1, 2, 3, 4].map(pick)).toEqual([0, 1, 2, 0, 1]);
  });

  it('reads its notation', () => {
    expect(parseKeyDistribution('zipf(1.2)')).toEqual({ kind: 'zipf', exponent: 1.2 });
    expect(parseKeyDistribution('hotspot')).toEqual({ kind: 'hotspot', keyShare: 0.2, loadShare: 0.8 });
    expect(parseKeyDistribution('hotspot(5/95)')).toEqual({
      kind: 'hotspot',
      keyShare: 0.05,
      loadShare: 0.95,
    });
    expect(() => parseKeyDistribution('pareto')).toThrow(/expected uniform/);
  });
});

describe('draw', () => {
  it('never repeats within a stream', () => {
    expect(new Set(Array.from({ length: DRAWS }, (_, index) => draw(1, index, 4))).size).toBe(DRAWS);
  });

  it('differs beyond 2^32', () => {
    expect(draw(1, 2 ** 32 + 5, 4)).not.toBe(draw(1, 5, 4));
  });
});

describe('key table', () => {
  it('names numbered keys as the telemetry simulator does', () => {
    const keys = numberedKeys(200);
    expect(keys.name(154)).toBe('contoso-device-id-000154');
    expect(numberedKeys(2, 'sim', 1).name(1)).toBe('sim000002');
  });

  it('keeps keys of the data, of any length and alphabet, in order of appearance', () => {
    const keys = new KeyTable();
    const names = Array.from({ length: 1_000 }, (_, index) => `${'\u00e4'.repeat(index % 60)}${index}`);
    for (const name of names) keys.intern(name);
    expect(keys.intern(names[500] as string)).toBe(500);
    expect(Array.from({ length: keys.count }, (_, index) => keys.name(index))).toEqual(names);
  });
});
