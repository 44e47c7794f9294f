import { throttled } from './errors.ts';

/**
 * What one physical partition may spend: Azure resets the number every second and admits a request while any is left. What
 * the last one spends beyond it is missing in the next second, so that the average is what was provisioned.
 */
export class Budget {
  /** Request units per second; Infinity switches throttling off. */
  limit: number;
  #second = Number.NEGATIVE_INFINITY;
  /** Spent in this second, and what earlier ones spent too much. */
  #used = 0;
  /** Spent in this second and in the one before. */
  #spent = 0;
  #spentBefore = 0;
  #total = 0;
  #throttled = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /**
   * Starts an operation at monotonic time `nowMs`. The last one admitted in a second may overdraw it.
   *
   * @throws WireError 429 with the time until the budget is above zero: the remainder of the second, and whole seconds that a
   *   large operation has used up in advance.
   */
  admit(nowMs: number): void {
    this.#roll(nowMs);
    if (this.#used < this.limit) return;
    this.#throttled++;
    const seconds = Math.floor(this.#used / this.limit);
    throw throttled(Math.max(1, Math.ceil((this.#second + seconds) * 1000 - nowMs)));
  }

  charge(requestUnits: number): void {
    this.#used += requestUnits;
    this.#spent += requestUnits;
    this.#total += requestUnits;
  }

  /** Counts a refusal that was injected. */
  refuse(): void {
    this.#throttled++;
  }

  usage(nowMs: number): { lastSecond: number; total: number; throttled: number } {
    this.#roll(nowMs);
    return { lastSecond: this.#spentBefore, total: this.#total, throttled: this.#throttled };
  }

  #roll(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second === this.#second) return;
    const elapsed = second - this.#second;
    this.#used = Math.max(0, this.#used - elapsed * this.limit);
    this.#spentBefore = elapsed === 1 ? this.#spent : 0;
    this.#spent = 0;
    this.#second = second;
  }
}

/** Throughput of a container, as its offer holds it. */
export interface Throughput {
  /** Request units per second: fixed, or the ceiling of autoscale. */
  readonly maximum: number;
  readonly autoscale: boolean;
}

const PARTITION_LIMIT = 10_000;
/** Azure plans for growth at creation: a fixed offer gets a partition per 6,000 RU/s, not per 10,000. */
const INITIAL_FIXED_SHARE = 6_000;

export const initialPartitions = ({ maximum, autoscale }: Throughput): number =>
  Math.ceil(maximum / (autoscale ? PARTITION_LIMIT : INITIAL_FIXED_SHARE));

export const requiredPartitions = ({ maximum }: Throughput): number => Math.ceil(maximum / PARTITION_LIMIT);
