import { drawUnit, Stream } from './draw.ts';
import type { RateSegment, Shape } from './shape.ts';

/** When events are due. Walked once, in order; the same walk gives the same times everywhere. */
export interface Arrivals {
  /** Moves to the next arrival; false when there is none left. */
  next(): boolean;
  /** Intended time of the current arrival, milliseconds after the start. */
  readonly offsetMs: number;
  /** Index of the key that the schedule itself chose (per-key intervals), -1 when keys are drawn per event. */
  readonly keyIndex: number;
}

export type Spacing = 'even' | 'poisson';

/**
 * Arrivals of a rate that follows `shape`. The expected number of arrivals up to t is the area A(t) under the rate;
 * evenly spaced, arrival i is at the t with A(t) = i; as a Poisson process, at the t with A(t) = the sum of i + 1
 * exponential gaps (time change of a unit-rate process, Cinlar 1975), so any shape can be random.
 */
export function shapedArrivals(shape: Shape, spacing: Spacing, seed: number): Arrivals {
  return new ShapedArrivals(shape, spacing, seed);
}

class ShapedArrivals implements Arrivals {
  readonly keyIndex = -1;
  offsetMs = 0;
  readonly #segments: Iterator<RateSegment>;
  readonly #poisson: boolean;
  readonly #seed: number;
  #segment: RateSegment | undefined;
  /** Time and area at the start of the current segment. */
  #startMs = 0;
  #startArea = 0;
  #segmentArea = 0;
  #index = 0;
  /** Area of the next arrival. */
  #target = 0;

  constructor(shape: Shape, spacing: Spacing, seed: number) {
    this.#segments = shape()[Symbol.iterator]();
    this.#poisson = spacing === 'poisson';
    this.#seed = seed;
  }

  next(): boolean {
    this.#target = this.#poisson ? this.#target + this.#gap() : this.#index;
    this.#index += 1;
    while (this.#segment === undefined || this.#target >= this.#startArea + this.#segmentArea) {
      if (!this.#enterNextSegment()) return false;
    }
    const offsetMs = this.#startMs + timeInSegment(this.#segment, this.#target - this.#startArea);
    // Where segments meet, rounding can put an arrival before the one that precedes it.
    this.offsetMs = Math.max(this.offsetMs, offsetMs);
    return true;
  }

  #gap(): number {
    return -Math.log(1 - drawUnit(this.#seed, this.#index, Stream.arrival));
  }

  #enterNextSegment(): boolean {
    if (this.#segment) {
      this.#startMs += this.#segment.durationMs;
      this.#startArea += this.#segmentArea;
    }
    const { value, done } = this.#segments.next();
    if (done) return false;
    this.#segment = value;
    this.#segmentArea = areaOf(value);
    return true;
  }
}

/** Expected number of arrivals in a segment. */
export function areaOf({ durationMs, fromPerSecond, toPerSecond }: RateSegment): number {
  return (durationMs * (fromPerSecond + toPerSecond)) / 2000;
}

/** Milliseconds into the segment at which the area under the rate reaches `area`. */
function timeInSegment({ durationMs, fromPerSecond, toPerSecond }: RateSegment, area: number): number {
  if (area === 0) return 0;
  if (fromPerSecond === toPerSecond) return Math.min(durationMs, (area * 1000) / fromPerSecond);
  const slopePerMs = (toPerSecond - fromPerSecond) / durationMs;
  // The root of slope/2 t^2 + from t = 1000 area, in the form that does not cancel when the slope is small.
  const root = Math.sqrt(Math.max(0, fromPerSecond * fromPerSecond + 2000 * slopePerMs * area));
  return Math.min(durationMs, (2000 * area) / (fromPerSecond + root));
}

/** As many events as the reader takes, all due at once: the closed model. */
export function immediateArrivals(): Arrivals {
  return { next: () => true, offsetMs: 0, keyIndex: -1 };
}

/** At most `count` arrivals, none at or after `durationMs`. */
export function limitArrivals(arrivals: Arrivals, count: number, durationMs: number): Arrivals {
  let left = count;
  return {
    next() {
      if (left <= 0) return false;
      left -= 1;
      return arrivals.next() && arrivals.offsetMs < durationMs;
    },
    get offsetMs() {
      return arrivals.offsetMs;
    },
    get keyIndex() {
      return arrivals.keyIndex;
    },
  };
}

/**
 * Every key sends at its own interval, as devices do; keys start spread over their first interval. Intervals repeat
 * over the keys. A binary heap of the keys' next times; ties go to the lower key, so the order is always the same.
 */
export function intervalArrivals(keyCount: number, intervalsMs: readonly number[], seed: number): Arrivals {
  return new IntervalArrivals(keyCount, intervalsMs, seed);
}

class IntervalArrivals implements Arrivals {
  offsetMs = 0;
  keyIndex = -1;
  readonly #intervalsMs: readonly number[];
  readonly #heap: Int32Array;
  readonly #dueMs: Float64Array;

  constructor(keyCount: number, intervalsMs: readonly number[], seed: number) {
    this.#intervalsMs = intervalsMs;
    this.#heap = Int32Array.from({ length: keyCount }, (_, key) => key);
    this.#dueMs = Float64Array.from(
      { length: keyCount },
      (_, key) => drawUnit(seed, key, Stream.phase) * this.#intervalOf(key),
    );
    for (let at = (keyCount >> 1) - 1; at >= 0; at -= 1) this.#sink(at);
  }

  next(): boolean {
    const key = this.#heap[0] as number;
    this.keyIndex = key;
    this.offsetMs = this.#dueMs[key] as number;
    this.#dueMs[key] = this.offsetMs + this.#intervalOf(key);
    this.#sink(0);
    return true;
  }

  #intervalOf(key: number): number {
    return this.#intervalsMs[key % this.#intervalsMs.length] as number;
  }

  #before(a: number, b: number): boolean {
    const dueA = this.#dueMs[a] as number;
    const dueB = this.#dueMs[b] as number;
    return dueA < dueB || (dueA === dueB && a < b);
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const key = heap[start] as number;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1] as number, heap[child] as number))
        child += 1;
      if (!this.#before(heap[child] as number, key)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = key;
  }
}
