/** Inclusive range of whole numbers. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** A set of whole numbers held as disjoint, non-adjacent, ascending intervals: small when the numbers are contiguous. */
export class IntervalSet {
  /** from, to, from, to, ... */
  #bounds: number[] = [];
  #size = 0;

  static of(bounds: readonly number[]): IntervalSet {
    const set = new IntervalSet();
    for (let index = 0; index + 1 < bounds.length; index += 2) {
      set.add(bounds[index] as number, bounds[index + 1] as number);
    }
    return set;
  }

  /** How many numbers are in the set. */
  get size(): number {
    return this.#size;
  }

  get intervalCount(): number {
    return this.#bounds.length / 2;
  }

  /** Largest member, -Infinity when empty. */
  get last(): number {
    return this.#bounds.at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  /** Adds `from` to `to` (inclusive) and returns how many of them are new. */
  add(from: number, to: number = from): number {
    const bounds = this.#bounds;
    const last = bounds.length - 1;
    if (last < 0 || from > (bounds[last] as number) + 1) {
      // Most sets have one interval: a literal takes two slots, a first push would take seventeen.
      if (last < 0) this.#bounds = [from, to];
      else bounds.push(from, to);
      this.#size += to - from + 1;
      return to - from + 1;
    }
    if (from === (bounds[last] as number) + 1) {
      bounds[last] = to;
      this.#size += to - from + 1;
      return to - from + 1;
    }
    const first = this.#firstEndingAtOrAfter(from - 1);
    let next = first;
    let covered = 0;
    let mergedFrom = from;
    let mergedTo = to;
    while (next < bounds.length && (bounds[next] as number) <= to + 1) {
      const start = bounds[next] as number;
      const end = bounds[next + 1] as number;
      covered += Math.max(0, Math.min(end, to) - Math.max(start, from) + 1);
      mergedFrom = Math.min(mergedFrom, start);
      mergedTo = Math.max(mergedTo, end);
      next += 2;
    }
    bounds.splice(first, next - first, mergedFrom, mergedTo);
    const added = to - from + 1 - covered;
    this.#size += added;
    return added;
  }

  has(value: number): boolean {
    const index = this.#firstEndingAtOrAfter(value);
    return index < this.#bounds.length && (this.#bounds[index] as number) <= value;
  }

  *[Symbol.iterator](): Generator<Interval> {
    for (let index = 0; index < this.#bounds.length; index += 2) {
      yield { from: this.#bounds[index] as number, to: this.#bounds[index + 1] as number };
    }
  }

  /** The members of this set that are not in `other`, lowest first. */
  *without(other: IntervalSet): Generator<Interval> {
    for (const { from, to } of this) {
      let start = from;
      for (let at = other.#firstEndingAtOrAfter(start); start <= to; at += 2) {
        const nextFrom = other.#bounds[at] ?? Number.POSITIVE_INFINITY;
        if (nextFrom > to) {
          yield { from: start, to };
          break;
        }
        if (nextFrom > start) yield { from: start, to: nextFrom - 1 };
        start = (other.#bounds[at + 1] as number) + 1;
      }
    }
  }

  /** `[from, to, from, to, ...]`, the form of the ledger file. */
  toJSON(): readonly number[] {
    return this.#bounds;
  }

  /** Index into the bounds of the first interval whose end is `value` or later. */
  #firstEndingAtOrAfter(value: number): number {
    let low = 0;
    let high = this.#bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#bounds[middle * 2 + 1] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low * 2;
  }
}
