import { findRange } from '../../hashing/effective-partition-key.ts';
import type { PartitionKey, PartitionKeyComponent } from '../write-operation.ts';
import type { KeyLane, RangeLane } from './lanes.ts';
import { encodePartitionKey, upsertPrefix } from './wire.ts';

export type HashKey = (components: readonly PartitionKeyComponent[]) => string;

/** The partition key ranges in ascending order, searchable by effective partition key. */
export interface RangeMap {
  readonly minInclusive: readonly string[];
  readonly lanes: readonly RangeLane[];
}

function locate(map: RangeMap, effectivePartitionKey: string): RangeLane {
  return map.lanes[findRange(map.minInclusive, effectivePartitionKey)] as RangeLane;
}

/**
 * Finds the lane of a partition key: hash, range and request prefix are computed once per key and remembered in two
 * generations. When the young one is full, lanes of the old one that hold no work are forgotten; those that do are kept, so
 * a key never has two lanes at once.
 */
export class KeyDirectory {
  #young = new Map<unknown, KeyLane>();
  #old = new Map<unknown, KeyLane>();
  readonly #hash: HashKey;
  readonly #generationSize: number;
  #map: RangeMap;

  constructor(map: RangeMap, hash: HashKey, generationSize = 50_000) {
    this.#map = map;
    this.#hash = hash;
    this.#generationSize = generationSize;
  }

  get map(): RangeMap {
    return this.#map;
  }

  /** New ranges; lanes of ranges that are gone find their new one at the next {@link reroute} or look-up. */
  replaceMap(map: RangeMap): void {
    this.#map = map;
  }

  reroute(lane: KeyLane): void {
    lane.range = locate(this.#map, lane.effectivePartitionKey);
  }

  laneOf(partitionKey: PartitionKey): KeyLane {
    const name = cacheName(partitionKey);
    let lane = this.#young.get(name);
    if (lane === undefined) {
      lane = this.#old.get(name) ?? this.#create(partitionKey);
      if (this.#young.size >= this.#generationSize) this.#age();
      this.#young.set(name, lane);
    }
    if (lane.range.gone && lane.state === 'idle') this.reroute(lane);
    return lane;
  }

  /** All lanes with work, some of them twice, and others. */
  *lanes(): Generator<KeyLane> {
    yield* this.#old.values();
    yield* this.#young.values();
  }

  #create(partitionKey: PartitionKey): KeyLane {
    const components = componentsOf(partitionKey);
    const effectivePartitionKey = this.#hash(components);
    const encodedPartitionKey = encodePartitionKey(components);
    return {
      encodedPartitionKey,
      upsertPrefix: upsertPrefix(encodedPartitionKey),
      effectivePartitionKey,
      range: locate(this.#map, effectivePartitionKey),
      state: 'idle',
      restUntil: 0,
      count: 0,
      head: undefined,
      tail: undefined,
    };
  }

  #age(): void {
    const kept = new Map<unknown, KeyLane>();
    for (const [name, lane] of this.#old) if (lane.state !== 'idle') kept.set(name, lane);
    this.#old = this.#young;
    this.#young = kept;
  }
}

/**
 * A string is its own name; anything else, and the odd string that starts with NUL, is known by NUL and its encoded form. So
 * `"1"`, `1` and `["1", 1]` are three keys, and `"a"` and `["a"]` are one.
 */
function cacheName(partitionKey: PartitionKey): string {
  const key = Array.isArray(partitionKey) && partitionKey.length === 1 ? partitionKey[0] : partitionKey;
  if (typeof key === 'string' && key.charCodeAt(0) !== 0) return key;
  return `\u0000${encodePartitionKey(componentsOf(key))}`;
}

function componentsOf(partitionKey: PartitionKey): readonly PartitionKeyComponent[] {
  const components = Array.isArray(partitionKey) ? partitionKey : [partitionKey as PartitionKeyComponent];
  // JSON has no negative zero: the service would hash the 0 that it reads.
  return components.map((component) => (component === 0 ? 0 : component));
}
