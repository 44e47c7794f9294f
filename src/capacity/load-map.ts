import {
  effectivePartitionKey,
  findRange,
  partitionKeyRangesFor,
} from '../hashing/effective-partition-key.ts';
import { partitionForKey } from '../hashing/partition-for-key.ts';
import { type KeyDistribution, numberedKeys } from '../workload/keys.ts';

/** Lanes (partitions of a hub, physical partitions of a container) that carry about the same load, treated as one. */
export interface LaneGroup {
  readonly lanes: number;
  /** Part of all events that the lanes of the group carry together. */
  readonly share: number;
  /** For reports: the number of the lane, or that of the busiest and how many there are. */
  readonly name: string;
}

/** Where the events of a workload go. */
export interface LoadMap {
  readonly hub: readonly LaneGroup[];
  readonly store: readonly LaneGroup[];
  /** Part of all events by hub group (rows) and store group (columns). */
  readonly shares: Float64Array;
  /** Part of all events that have the most frequent key. */
  readonly hottestKeyShare: number;
  /** Part of all events that the busiest physical partition takes. */
  readonly hottestStoreShare: number;
  /** Part of all events that the busiest partition of the hub takes. */
  readonly hottestHubShare: number;
}

export interface LoadMapInput {
  readonly keys: number;
  readonly distribution: KeyDistribution;
  readonly hubPartitions: number;
  readonly physicalPartitions: number;
}

/** So many of the most frequent keys are hashed as the services do; what is beyond is spread evenly, as hashing does. */
const MAX_HASHED_KEYS = 100_000;
/** Groups bound the work of a simulated second: 32 x 64 pairs, however many partitions there are. */
const MAX_HUB_GROUPS = 32;
const MAX_STORE_GROUPS = 64;

/** Sends each key where both services' hash functions send it, and adds up what arrives in each lane. */
export function mapLoad(input: LoadMapInput): LoadMap {
  const { keys, hubPartitions, physicalPartitions } = input;
  const weights = keyWeights(input.distribution, keys);
  const hashed = Math.min(keys, MAX_HASHED_KEYS);
  const names = numberedKeys(hashed);
  const positions = storePositions(hashed);
  const bounds = partitionKeyRangesFor(physicalPartitions, 2).map(({ minInclusive }) => minInclusive);
  const hubOf = new Uint32Array(hashed);
  const storeOf = new Uint32Array(hashed);
  const hubLoad = new Float64Array(hubPartitions).fill(weights.tail / hubPartitions);
  const storeLoad = new Float64Array(physicalPartitions).fill(weights.tail / physicalPartitions);
  for (let key = 0; key < hashed; key += 1) {
    const name = names.name(key);
    const weight = weights.of(key);
    const hub = partitionForKey(name, hubPartitions);
    const store = findRange(bounds, positions[key] as string);
    hubOf[key] = hub;
    storeOf[key] = store;
    (hubLoad[hub] as number) += weight;
    (storeLoad[store] as number) += weight;
  }
  const hub = groupLanes(hubLoad, MAX_HUB_GROUPS);
  const store = groupLanes(storeLoad, MAX_STORE_GROUPS);
  const shares = new Float64Array(hub.groups.length * store.groups.length);
  for (const [row, { lanes: hubLanes }] of hub.groups.entries())
    for (const [column, { lanes: storeLanes }] of store.groups.entries())
      shares[row * store.groups.length + column] =
        (weights.tail * hubLanes * storeLanes) / (hubPartitions * physicalPartitions);
  for (let key = 0; key < hashed; key += 1) {
    const row = hub.groupOf[hubOf[key] as number] as number;
    const column = store.groupOf[storeOf[key] as number] as number;
    (shares[row * store.groups.length + column] as number) += weights.of(key);
  }
  return {
    hub: hub.groups,
    store: store.groups,
    shares,
    hottestKeyShare: weights.of(0),
    hottestHubShare: hubLoad.reduce((most, load) => Math.max(most, load), 0),
    hottestStoreShare: storeLoad.reduce((most, load) => Math.max(most, load), 0),
  };
}

/** Effective partition keys of the first numbered keys: they are the same in every map, and a plan makes dozens. */
const POSITIONS: string[] = [];

function storePositions(count: number): readonly string[] {
  const missing = numberedKeys(Math.max(0, count - POSITIONS.length), undefined, POSITIONS.length);
  for (let key = 0; POSITIONS.length < count; key += 1)
    POSITIONS.push(effectivePartitionKey([missing.name(key)], { version: 2, kind: 'Hash' }));
  return POSITIONS;
}

interface KeyWeights {
  /** Part of all events that have this key; key 0 has the most. */
  of(key: number): number;
  /** Part of all events whose keys are beyond those that are hashed. */
  readonly tail: number;
}

function keyWeights(distribution: KeyDistribution, keys: number): KeyWeights {
  const hashed = Math.min(keys, MAX_HASHED_KEYS);
  const tailOf = (of: (key: number) => number): number => {
    let head = 0;
    for (let key = 0; key < hashed; key += 1) head += of(key);
    return keys > hashed ? Math.max(0, 1 - head) : 0;
  };
  switch (distribution.kind) {
    case 'uniform':
    case 'sequential': {
      const of = (): number => 1 / keys;
      return { of, tail: tailOf(of) };
    }
    case 'zipf': {
      const { exponent } = distribution;
      const total = zipfTotal(exponent, keys);
      const of = (key: number): number => (key + 1) ** -exponent / total;
      return { of, tail: tailOf(of) };
    }
    case 'hotspot': {
      if (keys === 1) return { of: () => 1, tail: 0 };
      const { keyShare, loadShare } = distribution;
      const hot = Math.max(1, Math.min(keys - 1, Math.round(keys * keyShare)));
      const of = (key: number): number => (key < hot ? loadShare / hot : (1 - loadShare) / (keys - hot));
      return { of, tail: tailOf(of) };
    }
  }
}

/** The weights of all keys: those that are hashed one by one, the others as the area under their curve. */
function zipfTotal(exponent: number, keys: number): number {
  const single = Math.min(keys, MAX_HASHED_KEYS);
  let total = 0;
  for (let key = 1; key <= single; key += 1) total += key ** -exponent;
  const [from, to] = [single + 0.5, keys + 0.5];
  const area =
    exponent === 1 ? Math.log(to / from) : (to ** (1 - exponent) - from ** (1 - exponent)) / (1 - exponent);
  return total + area;
}

/** The busiest lanes alone, the others with those that carry about as much. */
function groupLanes(
  load: Float64Array,
  maxGroups: number,
): { readonly groups: LaneGroup[]; readonly groupOf: Uint16Array } {
  const order = Array.from(load.keys()).sort((a, b) => (load[b] as number) - (load[a] as number));
  const single = order.length <= maxGroups ? order.length : maxGroups >> 1;
  const groupOf = new Uint16Array(load.length);
  const groups: LaneGroup[] = [];
  const add = (members: readonly number[]): void => {
    for (const lane of members) groupOf[lane] = groups.length;
    const share = members.reduce((sum, lane) => sum + (load[lane] as number), 0);
    const [first] = members;
    groups.push({
      lanes: members.length,
      share,
      name: members.length === 1 ? String(first) : `${first} x${members.length}`,
    });
  };
  for (const lane of order.slice(0, single)) add([lane]);
  const rest = order.slice(single);
  const chunks = Math.min(rest.length, maxGroups - single);
  for (let chunk = 0; chunk < chunks; chunk += 1)
    add(
      rest.slice(
        Math.floor((chunk * rest.length) / chunks),
        Math.floor(((chunk + 1) * rest.length) / chunks),
      ),
    );
  return { groups, groupOf };
}
