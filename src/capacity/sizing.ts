import { readCharge } from './charges.ts';
import type { HubPurchase } from './cost.ts';
import { type LoadMap, mapLoad } from './load-map.ts';
import { type FigureName, figure, type Sheet } from './sheet.ts';
import { itemBytes, meanRate, type PipelineTarget, ruPerChange, ruPerWrite, wireBytes } from './target.ts';
import { amount } from './text.ts';

export interface HubSize {
  readonly throughputUnits: number;
  readonly why: string;
  readonly partitions: number;
  readonly partitionsWhy: string;
  /** What can be bought that carries the rate, cheapest tier first. */
  readonly purchases: readonly HubPurchase[];
}

/** Throughput units and partitions for a rate. */
export function sizeHub(target: PipelineTarget, rate: number, sheet: Sheet): HubSize {
  const bytes = wireBytes(target, sheet);
  const of = (name: FigureName): number => figure(sheet, name);
  const needs = [
    { what: 'events in', units: rate / of('hubUnitIngressEvents') },
    { what: 'bytes in', units: (rate * bytes) / of('hubUnitIngressBytes') },
    { what: 'events out', units: (rate * target.consumerGroups) / of('hubUnitEgressEvents') },
    { what: 'bytes out', units: (rate * bytes * target.consumerGroups) / of('hubUnitEgressBytes') },
  ];
  const most = needs.reduce((worst, need) => (need.units > worst.units ? need : worst));
  const throughputUnits = Math.max(1, Math.ceil(most.units));
  const consumers = consumersFor(target, rate);
  const partitions = Math.max(throughputUnits, consumers);
  const perSecond = rate * bytes;
  const premium = Math.max(1, Math.ceil(perSecond / of('hubProcessingUnitBytes')));
  const dedicated = Math.max(1, Math.ceil(perSecond / of('hubCapacityUnitBytes')));
  const purchases: HubPurchase[] = [];
  if (throughputUnits <= of('hubStandardMaxUnits') && partitions <= of('hubStandardMaxPartitions'))
    purchases.push({ tier: 'standard', throughputUnits });
  if (premium <= of('hubPremiumMaxUnits') && consumers <= of('hubPremiumMaxPartitions'))
    purchases.push({ tier: 'premium', processingUnits: premiumStep(premium) });
  purchases.push({ tier: 'dedicated', capacityUnits: dedicated });
  return {
    throughputUnits,
    why: `${needs.map(({ what, units }) => `${what} ${amount(units)}`).join(', ')}`,
    partitions: Math.min(partitions, of('hubDedicatedMaxPartitions')),
    partitionsWhy: `one per throughput unit (${throughputUnits}), and one per consumer (${consumers})`,
    purchases,
  };
}

export function consumersFor({ consumerPerSecond }: PipelineTarget, rate: number): number {
  return Math.max(1, Math.ceil(rate / consumerPerSecond));
}

/** Premium is sold in 1, 2, 4, 6, 8, 10, 12 and 16 units. */
function premiumStep(units: number): number {
  return [1, 2, 4, 6, 8, 10, 12, 16].find((step) => step >= units) ?? units;
}

export interface StoreSize {
  /** Of writes, the change feed and reads together, without headroom. */
  readonly ruWithoutSkew: number;
  /** With headroom, so that the busiest physical partition has enough; a multiple of what can be bought. */
  readonly ruPerSecond: number;
  readonly physicalPartitions: number;
  /** What the busiest partition carries against a fair share: 1 is even. */
  readonly skew: number;
  /** False when a single partition would need more than it can ever have. */
  readonly possible: boolean;
  readonly storedGb: number;
  readonly load: LoadMap;
}

export type StoreMode = 'provisioned' | 'autoscale';

const MAX_ROUNDS = 40;

/**
 * RU/s for a rate. Throughput is divided evenly among the physical partitions and their number depends on the throughput,
 * so it is raised until the busiest partition has enough.
 */
export function sizeStore(target: PipelineTarget, rate: number, mode: StoreMode, sheet: Sheet): StoreSize {
  const of = (name: FigureName): number => figure(sheet, name);
  const item = itemBytes(target, sheet).value;
  const skewed =
    rate * (ruPerWrite(target, sheet).value + target.feedReaders * ruPerChange(target, sheet).value);
  const even = target.readsPerSecond * readCharge(item);
  const storedGb = storedGigabytes(target, sheet);
  const byStorage = Math.max(1, Math.ceil(storedGb / of('storePartitionGb')));
  const perPartition = of('storePartitionRu');
  const step = mode === 'autoscale' ? of('autoscaleStep') : of('storeRuStep');
  const least =
    mode === 'autoscale'
      ? Math.max(of('autoscaleMinRu'), storedGb * of('autoscaleMinRuPerGb'))
      : Math.max(of('storeMinRu'), storedGb * of('storeMinRuPerGb'));
  const roundUp = (ru: number): number => Math.ceil((ru - 1e-6) / step) * step;
  let ruPerSecond = roundUp(Math.max(least, skewed + even));
  let physicalPartitions = byStorage;
  let load: LoadMap | undefined;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const wanted = Math.max(byStorage, physicalPartitionsFor(ruPerSecond, mode, sheet));
    if (load === undefined || wanted !== physicalPartitions) load = mapOf(target, 1, wanted);
    physicalPartitions = wanted;
    const busiest = load.hottestStoreShare * skewed + even / physicalPartitions;
    const needed = roundUp(Math.max(least, busiest * physicalPartitions));
    if (needed <= ruPerSecond || busiest > perPartition) break;
    ruPerSecond = needed;
  }
  load ??= mapOf(target, 1, physicalPartitions);
  return {
    ruWithoutSkew: skewed + even,
    ruPerSecond,
    physicalPartitions,
    skew: load.hottestStoreShare * physicalPartitions,
    possible: load.hottestStoreShare * skewed + even / physicalPartitions <= perPartition,
    storedGb,
    load,
  };
}

/** Physical partitions that a container made with this throughput has. */
export function physicalPartitionsFor(ruPerSecond: number, mode: StoreMode, sheet: Sheet): number {
  const share = figure(sheet, mode === 'autoscale' ? 'storePartitionRu' : 'storeInitialPartitionRu');
  return Math.max(1, Math.ceil(ruPerSecond / share));
}

/** Data and index after the retention. */
export function storedGigabytes(target: PipelineTarget, sheet: Sheet): number {
  const seconds = target.retentionMs / 1000;
  const perItem = itemBytes(target, sheet).value * (1 + figure(sheet, 'indexOverheadShare'));
  return (meanRate(target) * seconds * perItem) / 1e9;
}

export function mapOf(
  { keys, distribution }: PipelineTarget,
  hubPartitions: number,
  physicalPartitions: number,
): LoadMap {
  return mapLoad({ keys, distribution, hubPartitions, physicalPartitions });
}
