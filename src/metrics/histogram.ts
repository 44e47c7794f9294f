import { createRequire } from 'node:module';

/** Loaded when a histogram is first written down: every command imports this file, and `--help` should load no package. */
const hdrHistogram = (): typeof import('hdr-histogram-js') =>
  createRequire(import.meta.url)('hdr-histogram-js');

/** Sub-buckets of half a bucket at three significant digits: 2 x 10^3 rounded up to a power of two, halved. */
const HALF_COUNT = 1024;
const HALF_BITS = 10;
/** Values from here on lose the unit resolution. */
const FULL_COUNT = 2 * HALF_COUNT;
/** Larger values are recorded as this one: 51 days in microseconds. */
const MAX_VALUE = 2 ** 42;

/** Distribution of a histogram in milliseconds, with the histogram itself so that reports of shards can be added. */
export interface HistogramSummary {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** HdrHistogram V2, compressed, base64; recorded in microseconds with three significant digits. */
  readonly histogramMicros: string;
}

/**
 * Counts of values in the bucket layout of HdrHistogram (three significant digits from 1 upwards), growing with the
 * largest value seen. Recording is a shift and an increment; a percentile is at most 0.1 % above the true value.
 */
export class Histogram {
  #counts = new Float64Array(FULL_COUNT);
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Records a non-negative whole number; negative values (clock skew between hosts) count as 0. */
  record(value: number, count = 1): void {
    const bounded = value <= 0 ? 0 : value >= MAX_VALUE ? MAX_VALUE : Math.floor(value);
    const index = indexOf(bounded);
    if (index >= this.#counts.length) this.#grow(index);
    (this.#counts[index] as number) += count;
    this.#count += count;
    this.#sum += bounded * count;
    if (bounded < this.#min) this.#min = bounded;
    if (bounded > this.#max) this.#max = bounded;
  }

  add(other: Histogram): void {
    if (other.#count === 0) return;
    const last = indexOf(other.#max);
    if (last >= this.#counts.length) this.#grow(last);
    for (let index = indexOf(other.#min); index <= last; index += 1) {
      (this.#counts[index] as number) += other.#counts[index] as number;
    }
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  reset(): void {
    if (this.#count > 0) this.#counts.fill(0, indexOf(this.#min), indexOf(this.#max) + 1);
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }

  /** Smallest recorded value that at least `percentile` (0 to 100) of all values do not exceed, 0 when empty. */
  percentile(percentile: number): number {
    if (this.#count === 0) return 0;
    // One ulp less, as HdrHistogram takes it: 99.9 % of 1,000 is a little more than 999 in floating point.
    const wanted = Math.max(1, Math.ceil((percentile * (1 - Number.EPSILON) * this.#count) / 100));
    let seen = 0;
    for (let index = indexOf(this.#min); index < this.#counts.length; index += 1) {
      seen += this.#counts[index] as number;
      if (seen >= wanted) return Math.min(highestOf(index), this.#max);
    }
    return this.#max;
  }

  /** Share of the values at or below `value`, 0 to 1. */
  shareUpTo(value: number): number {
    if (this.#count === 0) return 1;
    const last = Math.min(indexOf(Math.max(0, Math.floor(value))), this.#counts.length - 1);
    let seen = 0;
    for (let index = indexOf(this.#min); index <= last; index += 1) seen += this.#counts[index] as number;
    return seen / this.#count;
  }

  /** The recorded values, lowest first, each the middle of its bucket. */
  *values(): Generator<{ readonly value: number; readonly count: number }> {
    for (let index = 0; index < this.#counts.length; index += 1) {
      const count = this.#counts[index] as number;
      if (count > 0) yield { value: (lowestOf(index) + highestOf(index)) / 2, count };
    }
  }

  /** Reads this histogram as microseconds. */
  summary(): HistogramSummary {
    const ms = (micros: number): number => Math.round(micros) / 1000;
    return {
      count: this.#count,
      minMs: ms(this.min),
      meanMs: ms(this.mean),
      p50Ms: ms(this.percentile(50)),
      p90Ms: ms(this.percentile(90)),
      p95Ms: ms(this.percentile(95)),
      p99Ms: ms(this.percentile(99)),
      p999Ms: ms(this.percentile(99.9)),
      maxMs: ms(this.#max),
      histogramMicros: this.encode(),
    };
  }

  /** HdrHistogram V2, compressed, base64: what every HdrHistogram implementation and plotter reads. */
  encode(): string {
    const { build, encodeIntoCompressedBase64 } = hdrHistogram();
    const hdr = build({ bitBucketSize: 64, highestTrackableValue: MAX_VALUE });
    for (const [index, count] of this.#counts.entries()) {
      if (count > 0) hdr.recordValueWithCount(lowestOf(index), count);
    }
    return encodeIntoCompressedBase64(hdr);
  }

  /** The inverse of {@link encode}; minimum, maximum and mean come back with the precision of a bucket. */
  static decode(encoded: string): Histogram {
    const { decodeFromCompressedBase64, JsHistogram } = hdrHistogram();
    const hdr = decodeFromCompressedBase64(encoded, 64);
    if (!(hdr instanceof JsHistogram)) throw new TypeError('expected a plain HdrHistogram');
    const histogram = new Histogram();
    for (let index = 0; index < hdr.countsArrayLength; index += 1) {
      const count = hdr.getCountAtIndex(index);
      if (count > 0) histogram.record(hdr.medianEquivalentValue(hdr.valueFromIndex(index)), count);
    }
    return histogram;
  }

  #grow(index: number): void {
    const counts = new Float64Array(Math.ceil((index + 1) / HALF_COUNT) * HALF_COUNT);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}

/** Percentiles of several encoded histograms together: counts are added, percentiles never averaged. */
export function mergeHistogramSummaries(summaries: readonly HistogramSummary[]): HistogramSummary {
  const merged = new Histogram();
  for (const summary of summaries) merged.add(Histogram.decode(summary.histogramMicros));
  const nonEmpty = summaries.filter((summary) => summary.count > 0);
  return {
    ...merged.summary(),
    minMs: nonEmpty.length === 0 ? 0 : Math.min(...nonEmpty.map((summary) => summary.minMs)),
    maxMs: Math.max(0, ...nonEmpty.map((summary) => summary.maxMs)),
  };
}

/** HdrHistogram's index: bucket k holds the values of 2^(k+10) to 2^(k+11) in 1024 steps of 2^k. */
function indexOf(value: number): number {
  if (value < FULL_COUNT) return value;
  if (value < 2 ** 31) {
    const bucket = 31 - Math.clz32(value) - HALF_BITS;
    return (bucket << HALF_BITS) + (value >>> bucket);
  }
  const bucket = 51 - Math.clz32(Math.floor(value / 2 ** 20)) - HALF_BITS;
  return bucket * HALF_COUNT + Math.floor(value / 2 ** bucket);
}

function lowestOf(index: number): number {
  if (index < FULL_COUNT) return index;
  const bucket = (index >> HALF_BITS) - 1;
  return (HALF_COUNT + (index & (HALF_COUNT - 1))) * 2 ** bucket;
}

function highestOf(index: number): number {
  return index < FULL_COUNT ? index : lowestOf(index) + 2 ** ((index >> HALF_BITS) - 1) - 1;
}
