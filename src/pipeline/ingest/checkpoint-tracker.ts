/** The last event of a partition up to which everything received is durable. */
export interface DurablePosition {
  readonly sequenceNumber: number;
  readonly offset: string;
  /** When Event Hubs accepted that event, milliseconds since the Unix epoch. */
  readonly enqueuedMs: number;
}

const INITIAL_CAPACITY = 1024;

/**
 * Finds the highest contiguous durable event of one partition while writes finish in any order.
 *
 * Events enter in the order in which they were received and get a ticket; the position moves over the settled ones at the
 * front. It never passes an event that is not settled, and never moves backwards when a broken link delivers again.
 */
export class CheckpointTracker {
  // A ring in struct-of-arrays form: four slots per event instead of an object that lives until the page is durable.
  #sequenceNumbers = new Float64Array(INITIAL_CAPACITY);
  #enqueuedMs = new Float64Array(INITIAL_CAPACITY);
  #settled = new Uint8Array(INITIAL_CAPACITY);
  #offsets: string[] = new Array(INITIAL_CAPACITY).fill('');
  #head = 0;
  #next = 0;
  #durable: DurablePosition | undefined;

  /** Events received whose position was not passed yet. */
  get size(): number {
    return this.#next - this.#head;
  }

  /** `undefined` until the first event is durable. */
  get durable(): DurablePosition | undefined {
    return this.#durable;
  }

  /** Takes an event in and returns its ticket. */
  add(sequenceNumber: number, offset: string, enqueuedMs: number): number {
    if (this.size === this.#settled.length) this.#grow();
    const slot = this.#next & (this.#settled.length - 1);
    this.#sequenceNumbers[slot] = sequenceNumber;
    this.#enqueuedMs[slot] = enqueuedMs;
    this.#offsets[slot] = offset;
    this.#settled[slot] = 0;
    return this.#next++;
  }

  /** The event of this ticket is durable. Returns how many events the position has now moved over. */
  settle(ticket: number): number {
    const mask = this.#settled.length - 1;
    this.#settled[ticket & mask] = 1;
    const start = this.#head;
    let highest = this.#durable?.sequenceNumber ?? Number.NEGATIVE_INFINITY;
    let highestSlot = -1;
    for (; this.#head < this.#next && this.#settled[this.#head & mask] === 1; this.#head++) {
      const slot = this.#head & mask;
      const sequenceNumber = this.#sequenceNumbers[slot] as number;
      if (sequenceNumber <= highest) continue;
      highest = sequenceNumber;
      highestSlot = slot;
    }
    if (highestSlot >= 0) {
      const offset = this.#offsets[highestSlot] as string;
      const enqueuedMs = this.#enqueuedMs[highestSlot] as number;
      this.#durable = { sequenceNumber: highest, offset, enqueuedMs };
    }
    return this.#head - start;
  }

  #grow(): void {
    const old = this.#settled.length;
    const sequenceNumbers = new Float64Array(old * 2);
    const enqueuedMs = new Float64Array(old * 2);
    const settled = new Uint8Array(old * 2);
    const offsets: string[] = new Array(old * 2).fill('');
    for (let ticket = this.#head; ticket < this.#next; ticket++) {
      const from = ticket & (old - 1);
      const to = ticket & (old * 2 - 1);
      sequenceNumbers[to] = this.#sequenceNumbers[from] as number;
      enqueuedMs[to] = this.#enqueuedMs[from] as number;
      settled[to] = this.#settled[from] as number;
      offsets[to] = this.#offsets[from] as string;
    }
    this.#sequenceNumbers = sequenceNumbers;
    this.#enqueuedMs = enqueuedMs;
    this.#settled = settled;
    this.#offsets = offsets;
  }
}
