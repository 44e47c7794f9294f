/**
 * The smallest `limit` elements of each slot, whatever the order in which they come: examples are the same whether keys are
 * compared all at once or partition by partition.
 */
export class Smallest<T> {
  readonly #limit: number;
  readonly #compare: (a: T, b: T) => number;
  readonly #slots = new Map<string, T[]>();

  constructor(limit: number, compare: (a: T, b: T) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  add(slot: string, element: T): void {
    let kept = this.#slots.get(slot);
    if (kept === undefined) {
      kept = [];
      this.#slots.set(slot, kept);
    }
    let at = kept.length;
    while (at > 0 && this.#compare(element, kept[at - 1] as T) < 0) at -= 1;
    if (at >= this.#limit) return;
    kept.splice(at, 0, element);
    if (kept.length > this.#limit) kept.pop();
  }

  sorted(): T[] {
    return [...this.#slots.values()].flat().sort(this.#compare);
  }
}
