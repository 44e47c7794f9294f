import { type FigureName, figure, type Sheet } from './sheet.ts';
import { ASSUMED_LATENCY } from './simulation-model.ts';
import type { HubSize, StoreSize } from './sizing.ts';
import { type PipelineTarget, peakRate, ruPerEvent, wireBytes } from './target.ts';
import { amount, counted, gigabytes, percent, timespan } from './text.ts';

/** The key that carries the most. */
export interface HottestKey {
  /** Of all events. */
  readonly share: number;
  /** Request units a second of its events at the peak. */
  readonly ruPerSecond: number;
  /** Events a second of this key that one physical partition can take at most, however much is bought. */
  readonly maxOwnRatePerSecond: number;
  /** Events a second of all keys together at which this key has reached that. */
  readonly maxRatePerSecond: number;
}

export function hottestKeyOf(target: PipelineTarget, { load }: StoreSize, sheet: Sheet): HottestKey {
  const perEvent = ruPerEvent(target, sheet);
  const share = load.hottestKeyShare;
  const maxOwnRatePerSecond = figure(sheet, 'storePartitionRu') / perEvent;
  return {
    share,
    ruPerSecond: share * peakRate(target) * perEvent,
    maxOwnRatePerSecond,
    maxRatePerSecond: maxOwnRatePerSecond / share,
  };
}

/** What no money solves, and what is bought on other terms than the plan's. */
export function planWarnings(target: PipelineTarget, hub: HubSize, store: StoreSize, sheet: Sheet): string[] {
  return [
    ...keyWarnings(target, hub, store, sheet),
    ...storeWarnings(store, sheet),
    ...hubWarnings(target, hub, sheet),
    ...latencyWarnings(target),
  ];
}

function keyWarnings(target: PipelineTarget, hub: HubSize, store: StoreSize, sheet: Sheet): string[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const found: string[] = [];
  const key = hottestKeyOf(target, store, sheet);
  const rate = peakRate(target);
  const keyShare = `the hottest key is ${percent(key.share)} of the load`;
  const most = of('storePartitionRu');
  const each = store.ruPerSecond / store.physicalPartitions;
  if (key.ruPerSecond > most)
    found.push(
      `${keyShare} and needs ${amount(key.ruPerSecond)} RU/s; one partition has ${amount(most)} at most, so no throughput can save it: it takes up to ${amount(key.maxOwnRatePerSecond)} events/s, which is ${amount(key.maxRatePerSecond)} events/s of all keys. Split the key into ${Math.ceil(key.ruPerSecond / most) + 1} or more with a suffix, or use a hierarchical key`,
    );
  else if (!store.possible)
    found.push(
      `keys that share a physical partition need more than its ${amount(most)} RU/s, even in many times as many partitions: use more keys, or a more even one`,
    );
  else if (key.ruPerSecond > each / 2)
    found.push(`${keyShare}, ${amount(key.ruPerSecond)} RU/s of the ${amount(each)} of its partition`);
  const units = Math.max(
    (key.share * rate) / of('hubUnitIngressEvents'),
    (key.share * rate * wireBytes(target, sheet)) / of('hubUnitIngressBytes'),
  );
  if (units > 1 && hub.purchases.some(({ tier }) => tier === 'standard'))
    found.push(
      `the hottest key needs ${amount(units)} throughput units for itself, and a partition of Event Hubs Standard takes one: use a finer key, or send without one`,
    );
  const keyGb = key.share * store.storedGb;
  const mostGb = of('storeLogicalPartitionGb');
  if (!store.keyFits)
    found.push(
      `the hottest key will hold ${gigabytes(keyGb)}, a logical partition takes ${amount(mostGb)} GB and is full after ${timespan((target.retentionMs * mostGb) / keyGb)}: shorten the retention or use a hierarchical key`,
    );
  return found;
}

/** From here on it is worth saying what the headroom for keys that share a partition comes from. */
const MUCH_SKEW = 1.5;

function storeWarnings(
  { physicalPartitions, ruPerSecond, ruWithoutSkew, skew, storedGb }: StoreSize,
  sheet: Sheet,
): string[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const found: string[] = [];
  const byStorage = Math.ceil(storedGb / of('storePartitionGb'));
  const isStorage = physicalPartitions === byStorage && byStorage * of('storePartitionRu') > ruWithoutSkew;
  if (isStorage && skew >= MUCH_SKEW)
    found.push(
      `storage, not throughput, makes ${amount(byStorage)} partitions of ${amount(ruPerSecond / byStorage)} RU/s each: the busiest carries ${amount(skew)} times its share, and all have to have as much; a shorter retention helps more than more RU/s`,
    );
  if (ruPerSecond > of('storeMaxRu'))
    found.push(
      `${amount(ruPerSecond)} RU/s is above the ${amount(of('storeMaxRu'))} of a container: ask support to raise it`,
    );
  return found;
}

function hubWarnings(target: PipelineTarget, { purchases }: HubSize, sheet: Sheet): string[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const found: string[] = [];
  const tiers = purchases.map(({ tier }) => (tier === 'premium' ? 'Premium' : 'Dedicated'));
  if (purchases.length > 0 && !purchases.some(({ tier }) => tier === 'standard'))
    found.push(
      `Event Hubs Standard ends at ${counted(of('hubStandardMaxUnits'), 'throughput unit')} and ${counted(of('hubStandardMaxPartitions'), 'partition')}${tiers.includes('Premium') ? '' : `, Premium at ${amount(of('hubPremiumMaxUnits'))} processing units and ${counted(of('hubPremiumMaxPartitions'), 'partition')}`}: use ${tiers.join(' or ')}`,
    );
  if (wireBytes(target, sheet) > of('hubMaxEventBytes'))
    found.push(`an event is larger than the ${amount(of('hubMaxEventBytes'))} B that Event Hubs takes`);
  return found;
}

/** Time in queues can be bought away, time on the way cannot. */
function latencyWarnings({ maxLagMs, measured }: PipelineTarget): string[] {
  const { p50Ms, p99Ms } = measured?.latency?.feed ?? ASSUMED_LATENCY.feed;
  if (maxLagMs >= p99Ms) return [];
  return [
    `--max-lag is time in queues, and an event takes ${amount(p50Ms)} ms to the feed without any (${amount(p99Ms)} ms at p99): throughput cannot buy less than that`,
  ];
}
