import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';
import type { PartitionKey } from '../write-operation.ts';
import { backOff, LONGEST_BACKOFF_MS, retryDelay } from './backoff.ts';
import { type HashKey, KeyDirectory, type RangeMap } from './key-directory.ts';
import { createRangeLane, type KeyLane, pushReady, type RangeLane, shiftReady } from './lanes.ts';
import type { BulkTransport, RangeBounds } from './wire.ts';

export interface RoutingOptions {
  readonly transport: BulkTransport;
  /** The ranges to start with, ascending. */
  readonly ranges: readonly RangeBounds[];
  readonly hash: HashKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal?: AbortSignal;
  readonly maxOperations: number;
  readonly maxRequestsPerRange: number;
  /** Whole budget; every range has an equal share, as the service divides what is provisioned. */
  readonly ruPerSecond?: number;
  readonly giveUpMs: number;
}

/** Which range a key belongs to, also after ranges were split or merged while operations wait in them. */
export class RangeRouting {
  readonly #options: RoutingOptions;
  readonly #keys: KeyDirectory;
  /** Told that the ranges were read; work may have moved between them. */
  readonly #changed: () => void;
  #known: readonly RangeBounds[];
  #ruPerSecond: number | undefined;
  #reading = false;

  constructor(options: RoutingOptions, changed: () => void) {
    this.#options = options;
    this.#changed = changed;
    this.#known = options.ranges;
    this.#ruPerSecond = options.ruPerSecond;
    this.#keys = new KeyDirectory(this.#mapOf(options.ranges, new Map()), options.hash);
  }

  /** The ranges as they are known now, ascending. */
  get ranges(): readonly RangeLane[] {
    return this.#keys.map.lanes;
  }

  laneOf(partitionKey: PartitionKey): KeyLane {
    return this.#keys.laneOf(partitionKey);
  }

  /** The lanes of all keys that operations wait for, some of them twice, and others. */
  lanes(): Iterable<KeyLane> {
    return this.#keys.lanes();
  }

  setBudget(ruPerSecond: number): void {
    this.#ruPerSecond = ruPerSecond;
    const { ranges } = this;
    for (const range of ranges)
      range.budget?.setShare(ruPerSecond / ranges.length, this.#options.clock.now());
  }

  /** Puts a key of a range that is gone, and that is not ready, where it belongs now. */
  move(lane: KeyLane): void {
    lane.range.pending -= lane.count;
    this.#keys.reroute(lane);
    lane.range.pending += lane.count;
  }

  /** The service said that this range is gone: reads the ranges anew, once for all who ask meanwhile. */
  refresh(range: RangeLane): void {
    if (range.gone) return; // a late answer; the new ranges are known
    range.stale = true;
    if (this.#reading) return;
    this.#reading = true;
    void this.#read().then(() => {
      this.#reading = false;
      this.#changed();
    });
  }

  async #read(): Promise<void> {
    const { clock, transport, signal, random, giveUpMs } = this.#options;
    const startedAt = clock.now();
    for (let attempt = 1; !signal?.aborted; attempt++) {
      try {
        this.#install(await transport.ranges());
        return;
      } catch (error) {
        // Sending to the ranges that are known brings up what is wrong, operation by operation.
        if (error instanceof PipeError || clock.now() - startedAt > giveUpMs) {
          this.#install(this.#known);
          return;
        }
        await clock.sleep(retryDelay(attempt, LONGEST_BACKOFF_MS, random));
      }
    }
  }

  #install(bounds: readonly RangeBounds[]): void {
    const before = this.ranges;
    const now = this.#options.clock.now();
    const map = this.#mapOf(bounds, new Map(before.map((range) => [range.id, range])));
    this.#known = bounds;
    const kept = new Set(map.lanes);
    this.#keys.replaceMap(map);
    for (const range of before) {
      if (kept.has(range)) {
        // Still listed although it answered 410: a split that is not finished, or a key that was hashed for another range.
        if (range.stale) backOff(range, now, this.#options.random);
        range.stale = false;
        continue;
      }
      range.gone = true;
      for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
        this.move(lane);
        pushReady(lane);
      }
    }
    if (this.#ruPerSecond !== undefined) this.setBudget(this.#ruPerSecond);
  }

  #mapOf(bounds: readonly RangeBounds[], known: ReadonlyMap<string, RangeLane>): RangeMap {
    const { clock, maxRequestsPerRange, maxOperations } = this.#options;
    const window = { maxRequests: maxRequestsPerRange, maxOperations };
    const share = this.#ruPerSecond === undefined ? undefined : this.#ruPerSecond / bounds.length;
    const now = clock.now();
    return {
      minInclusive: bounds.map((range) => range.minInclusive),
      lanes: bounds.map(({ id }) => known.get(id) ?? createRangeLane(id, window, share, now)),
    };
  }
}
