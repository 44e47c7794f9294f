import { type Gate, gate } from './gate.ts';
import type { Pending } from './lanes.ts';

/** Beside its body an operation costs memory too: its object, its closure, its place in the lists. */
const OPERATION_OVERHEAD_BYTES = 200;
/** A little below the bound, so that a waiting writer wakes to room for more than one operation. */
const ROOM_SHARE = 0.9;

/** What was accepted and is not settled: how much it is, and who waits for it to become less. */
export class Backlog {
  operations = 0;
  sizeBytes = 0;
  readonly #maxBytes: number;
  #room: Gate | undefined;
  #empty: Gate | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add({ bodyBytes }: Pending): void {
    this.operations++;
    this.sizeBytes += bodyBytes + OPERATION_OVERHEAD_BYTES;
  }

  remove({ bodyBytes }: Pending): void {
    this.operations--;
    this.sizeBytes -= bodyBytes + OPERATION_OVERHEAD_BYTES;
  }

  /** `undefined` while there is room; else resolves when there is. */
  untilRoom(): Promise<void> | undefined {
    if (this.sizeBytes < this.#maxBytes) return undefined;
    this.#room ??= gate();
    return this.#room.promise;
  }

  /** Resolves when nothing is left; there must be something now. */
  untilEmpty(): Promise<void> {
    this.#empty ??= gate();
    return this.#empty.promise;
  }

  /** Lets those go on whose wait is over. */
  openGates(): void {
    if (this.#room !== undefined && this.sizeBytes < this.#maxBytes * ROOM_SHARE) {
      this.#room.open();
      this.#room = undefined;
    }
    if (this.#empty !== undefined && this.operations === 0) {
      this.#empty.open();
      this.#empty = undefined;
    }
  }
}
