import type { KeyLane } from './lanes.ts';

/** Binary heap of keys that wait with operations, the key whose first operation has the earliest turn in front. */
export class ReadyKeys {
  readonly #heap: KeyLane[] = [];

  get first(): KeyLane | undefined {
    return this.#heap[0];
  }

  /** The key must have an operation, and keep its first one while it is here. */
  push(lane: KeyLane): void {
    const heap = this.#heap;
    const turn = turnOf(lane);
    let at = heap.push(lane) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (turnOf(heap[parent] as KeyLane) <= turn) break;
      heap[at] = heap[parent] as KeyLane;
      at = parent;
    }
    heap[at] = lane;
  }

  shift(): KeyLane | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    const turn = turnOf(last);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && turnOf(heap[child + 1] as KeyLane) < turnOf(heap[child] as KeyLane))
        child++;
      if (turn <= turnOf(heap[child] as KeyLane)) break;
      heap[at] = heap[child] as KeyLane;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** The turn of the first operation of a key; never for a key that is not there. */
export function turnOf(lane: KeyLane | undefined): number {
  return lane?.head?.turn ?? Number.POSITIVE_INFINITY;
}
