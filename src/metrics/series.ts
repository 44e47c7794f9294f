/** How two neighbouring values become one when a series halves its resolution. */
export type Fold = 'sum' | 'max';

/** Evenly spaced values since the start of a run; memory is bounded because the interval doubles when it is full. */
export class Series {
  readonly #fold: Fold;
  readonly #values: number[] = [];

  constructor(fold: Fold) {
    this.#fold = fold;
  }

  /** Folds `value` into the slot; slots in between are 0. */
  record(slot: number, value: number): void {
    const values = this.#values;
    while (values.length <= slot) values.push(0);
    values[slot] =
      this.#fold === 'sum' ? (values[slot] as number) + value : Math.max(values[slot] as number, value);
  }

  halve(): void {
    const values = this.#values;
    for (let slot = 0; slot * 2 < values.length; slot += 1) {
      const left = values[slot * 2] as number;
      const right = values[slot * 2 + 1] ?? 0;
      values[slot] = this.#fold === 'sum' ? left + right : Math.max(left, right);
    }
    values.length = Math.ceil(values.length / 2);
  }

  /** Exactly `length` values. */
  toArray(length: number): number[] {
    return Array.from({ length }, (_, slot) => this.#values[slot] ?? 0);
  }
}

/** Maps the time since `startMs` to slots of one second, of two when `maxSlots` are used up, of four after that, ... */
export class SlotClock {
  readonly #startMs: number;
  readonly #maxSlots: number;
  readonly #halve: () => void;
  intervalMs = 1_000;

  constructor(startMs: number, maxSlots: number, halve: () => void) {
    this.#startMs = startMs;
    this.#maxSlots = maxSlots;
    this.#halve = halve;
  }

  slotAt(nowMs: number): number {
    let slot = Math.floor((nowMs - this.#startMs) / this.intervalMs);
    while (slot >= this.#maxSlots) {
      this.#halve();
      this.intervalMs *= 2;
      slot = Math.floor((nowMs - this.#startMs) / this.intervalMs);
    }
    return Math.max(0, slot);
  }
}
