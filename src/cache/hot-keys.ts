export interface HotKey {
  readonly key: string;
  /** An upper bound of the true count. */
  readonly count: number;
  /** How much of `count` may belong to other keys. */
  readonly error: number;
}

interface Counter {
  key: string;
  count: number;
  error: number;
  /** Position in the heap. */
  at: number;
}

/**
 * The most frequent keys of a stream in fixed memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005). Every key with more
 * than 1/capacity of the stream is among the counters, and no count is too high by more than its `error`.
 */
export class SpaceSaving {
  readonly #capacity: number;
  readonly #counters = new Map<string, Counter>();
  /** Binary heap, the smallest count first. */
  readonly #heap: Counter[] = [];
  total = 0;

  constructor(capacity = 256) {
    this.#capacity = capacity;
  }

  add(key: string, count = 1): void {
    this.total += count;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      const smallest = this.#heap[0];
      if (smallest === undefined || this.#heap.length < this.#capacity) {
        counter = { key, count: 0, error: 0, at: this.#heap.length };
        this.#heap.push(counter);
        counter.count += count;
        this.#counters.set(key, counter);
        this.#rise(counter);
        return;
      }
      this.#counters.delete(smallest.key);
      smallest.key = key;
      smallest.error = smallest.count;
      this.#counters.set(key, smallest);
      counter = smallest;
    }
    counter.count += count;
    this.#sink(counter);
  }

  /** The most frequent keys, the hottest first. */
  top(count: number): readonly HotKey[] {
    return [...this.#heap]
      .sort((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1))
      .slice(0, count)
      .map(({ key, count: seen, error }) => ({ key, count: seen, error }));
  }

  #rise(counter: Counter): void {
    while (counter.at > 0) {
      const parent = this.#heap[(counter.at - 1) >> 1] as Counter;
      if (parent.count <= counter.count) return;
      this.#swap(counter, parent);
    }
  }

  #sink(counter: Counter): void {
    for (;;) {
      const left = this.#heap[counter.at * 2 + 1];
      const right = this.#heap[counter.at * 2 + 2];
      const child = right !== undefined && left !== undefined && right.count < left.count ? right : left;
      if (child === undefined || child.count >= counter.count) return;
      this.#swap(counter, child);
    }
  }

  #swap(a: Counter, b: Counter): void {
    [a.at, b.at] = [b.at, a.at];
    this.#heap[a.at] = a;
    this.#heap[b.at] = b;
  }
}

/** How unequal the counts are: 0 all alike, towards 1 few keys take everything (Gini coefficient). */
export function giniOf(counts: readonly number[]): number {
  const sorted = [...counts].sort((a, b) => a - b);
  const sum = sorted.reduce((total, count) => total + count, 0);
  if (sum === 0) return 0;
  const weighted = sorted.reduce((total, count, index) => total + (index + 1) * count, 0);
  return (2 * weighted) / (sorted.length * sum) - (sorted.length + 1) / sorted.length;
}
