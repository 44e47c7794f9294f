import type { WriteFence } from '../write-operation.ts';

/** Event Hubs lets 1,000 events a second into a throughput unit, and there is about a partition for each. */
const SPACING_MS = 1;
/** No source is put off for longer than this, however much faster than that it has been for hours when another one joins. */
const HORIZON_MS = 10_000;
/** Keeps the order of those beyond the horizon. */
const LEAST_SPACING_MS = 0.001;

/**
 * Whose turn it is when not everything can be written: what came first, except that what one source (a partition of the hub)
 * hands over at once counts as if it had come one by one. Otherwise a partition whose events were fetched a moment later would
 * stand still, and its checkpoint with it, until all that was fetched of another one is written.
 */
export class Turns {
  readonly #sources = new WeakMap<WriteFence, { last: number }>();
  readonly #others = { last: 0 };

  /** The turn of the next operation of a source that comes at `now`: lower ones go first, and those of a source ascend. */
  next(source: WriteFence | undefined, now: number): number {
    const turns = source === undefined ? this.#others : this.#of(source);
    const spacingMs = turns.last < now + HORIZON_MS ? SPACING_MS : LEAST_SPACING_MS;
    turns.last = Math.max(now, turns.last + spacingMs);
    return turns.last;
  }

  #of(source: WriteFence): { last: number } {
    let turns = this.#sources.get(source);
    if (turns === undefined) {
      turns = { last: 0 };
      this.#sources.set(source, turns);
    }
    return turns;
  }
}
