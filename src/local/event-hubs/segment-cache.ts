import type { Segment } from './segment.ts';

/** Something that can give up its segment because it is on disk too. */
export interface Evictable {
  segment: Segment | undefined;
}

/** Sealed segments of durable logs that stay in memory: least recently used go first. */
export class SegmentCache {
  readonly #maxBytes: number;
  readonly #held = new Map<Evictable, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#bytes;
  }

  keep(entry: Evictable): void {
    const size = entry.segment?.bytes.length ?? 0;
    this.forget(entry);
    this.#held.set(entry, size);
    this.#bytes += size;
    for (const [oldest, bytes] of this.#held) {
      if (this.#bytes <= this.#maxBytes || oldest === entry) return;
      this.#held.delete(oldest);
      this.#bytes -= bytes;
      oldest.segment = undefined;
    }
  }

  forget(entry: Evictable): void {
    this.#bytes -= this.#held.get(entry) ?? 0;
    this.#held.delete(entry);
  }
}
