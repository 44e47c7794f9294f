import fc from 'fast-check';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { Histogram, mergeHistogramSummaries } from '../../src/metrics/histogram.ts';

const values = fc.array(
  fc.oneof(fc.nat(5_000), fc.nat(2 ** 31 - 1), fc.integer({ min: 2 ** 31, max: 2 ** 41 })),
  {
    minLength: 1,
    maxLength: 300,
  },
);

function histogramOf(samples: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const sample of samples) histogram.record(sample);
  return histogram;
}

function exactPercentile(samples: readonly number[], percentile: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[
    Math.max(1, Math.ceil((percentile * (1 - Number.EPSILON) * sorted.length) / 100)) - 1
  ] as number;
}

describe('Histogram', () => {
  it('gives every percentile at most 0.1 % above the exact one, never below', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 100, noNaN: true }), (samples, percentile) => {
        const exact = exactPercentile(samples, percentile);
        const measured = histogramOf(samples).percentile(percentile);
        expect(measured).toBeGreaterThanOrEqual(exact);
        expect(measured).toBeLessThanOrEqual(exact + exact / 1000);
      }),
    );
  });

  it('takes no event more for the rounding of a decimal percentile', () => {
    const histogram = histogramOf(Array.from({ length: 1_000 }, (_, index) => index + 1));
    const tenths = Array.from({ length: 1_000 }, (_, index) => index + 1);
    expect(tenths.filter((tenth) => histogram.percentile(tenth / 10) !== tenth)).toEqual([]);
  });

  it('merges to what one histogram of all values would be', () => {
    fc.assert(
      fc.property(values, values, (left, right) => {
        const merged = histogramOf(left);
        merged.add(histogramOf(right));
        expect(merged.summary()).toEqual(histogramOf([...left, ...right]).summary());
      }),
    );
  });

  it('is empty again after a reset, whatever was in it', () => {
    fc.assert(
      fc.property(values, values, (before, after) => {
        const histogram = histogramOf(before);
        histogram.reset();
        for (const value of after) histogram.record(value);
        expect(histogram.summary()).toEqual(histogramOf(after).summary());
      }),
    );
  });

  it('is read by HdrHistogram with the same percentiles', () => {
    fc.assert(
      fc.property(values, (samples) => {
        const histogram = histogramOf(samples);
        const hdr = decodeFromCompressedBase64(histogram.encode(), 64);
        expect(hdr.totalCount).toBe(samples.length);
        for (const percentile of [50, 90, 99]) {
          const ours = histogram.percentile(percentile);
          expect(Math.abs(hdr.getValueAtPercentile(percentile) - ours)).toBeLessThanOrEqual(ours / 1000 + 1);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keeps counts and percentiles through a report file', () => {
    fc.assert(
      fc.property(values, (samples) => {
        const histogram = histogramOf(samples);
        const decoded = Histogram.decode(histogram.encode());
        expect(decoded.count).toBe(histogram.count);
        expect([...decoded.values()]).toEqual([...histogram.values()]);
      }),
      { numRuns: 30 },
    );
  });

  it('adds the histograms of shards and keeps their exact extremes', () => {
    const merged = mergeHistogramSummaries([
      histogramOf([3_001, 5_003]).summary(),
      histogramOf([]).summary(),
      histogramOf([900_001]).summary(),
    ]);
    expect(merged).toMatchObject({ count: 3, minMs: 3.001, maxMs: 900.001 });
    expect(merged.p50Ms).toBeCloseTo(5.003, 2);
  });

  it('counts clock skew as zero and an empty histogram as all zero', () => {
    const histogram = histogramOf([-5]);
    expect(histogram.percentile(100)).toBe(0);
    expect(histogram.count).toBe(1);
    expect(new Histogram().summary()).toMatchObject({ count: 0, minMs: 0, p99Ms: 0, maxMs: 0 });
  });

  it('tells the share of values up to a limit', () => {
    const histogram = histogramOf([10, 20, 30, 40]);
    expect(histogram.shareUpTo(20)).toBe(0.5);
    expect(histogram.shareUpTo(5)).toBe(0);
    expect(histogram.shareUpTo(1e9)).toBe(1);
  });
});
