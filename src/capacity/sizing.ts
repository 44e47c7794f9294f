import type { HubPurchase } from './cost.ts';
import { type LoadMap, mapLoad } from './load-map.ts';
import { type FigureName, figure, type Sheet } from './sheet.ts';
import {
  itemBytes,
  meanRate,
  type PipelineTarget,
  readRuPerSecond,
  ruPerEvent,
  wireBytes,
} from './target.ts';
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
  const flow = { ratePerSecond: rate, eventBytes: bytes, consumerGroups: target.consumerGroups };
  const needs = unitsFor(flow, sheet);
  const throughputUnits = throughputUnitsFor(flow, sheet);
  const consumers = consumersFor(target, rate);
  const wanted = Math.max(throughputUnits, consumers);
  const partitions = Math.min(wanted, of('hubDedicatedMaxPartitions'));
  const purchases = hubPurchases(flow, wanted, sheet).map((purchase) =>
    purchase.tier === 'standard' && target.capture === true ? { ...purchase, capture: true } : purchase,
  );
  return {
    throughputUnits,
    why: `${needs.map(({ what, units }) => `${what} ${amount(units)}`).join(', ')}`,
    partitions,
    partitionsWhy: `one per throughput unit (${amount(throughputUnits)}), and one per consumer (${amount(consumers)})${partitions < wanted ? `; a hub has ${amount(partitions)} at most` : ''}`,
    purchases,
  };
}

/** What goes through a hub. */
export interface HubFlow {
  readonly ratePerSecond: number;
  readonly eventBytes: number;
  /** Each of which reads every event. */
  readonly consumerGroups: number;
}

function unitsFor(
  { ratePerSecond, eventBytes, consumerGroups }: HubFlow,
  sheet: Sheet,
): { readonly what: string; readonly units: number }[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const out = ratePerSecond * consumerGroups;
  return [
    { what: 'events in', units: ratePerSecond / of('hubUnitIngressEvents') },
    { what: 'bytes in', units: (ratePerSecond * eventBytes) / of('hubUnitIngressBytes') },
    { what: 'events out', units: out / of('hubUnitEgressEvents') },
    { what: 'bytes out', units: (out * eventBytes) / of('hubUnitEgressBytes') },
  ];
}

export function throughputUnitsFor(flow: HubFlow, sheet: Sheet): number {
  return Math.max(1, ...unitsFor(flow, sheet).map(({ units }) => Math.ceil(units)));
}

/** What carries a flow through a hub of so many partitions, in the order of the tiers. Dedicated always does, unless an event is too large. */
export function hubPurchases(flow: HubFlow, partitions: number, sheet: Sheet): HubPurchase[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const bytesIn = flow.ratePerSecond * flow.eventBytes;
  const bytesOut = bytesIn * flow.consumerGroups;
  const units = (inName: FigureName, outName: FigureName): number =>
    Math.max(1, Math.ceil(bytesIn / of(inName)), Math.ceil(bytesOut / of(outName)));
  if (flow.eventBytes > of('hubMaxEventBytes')) return [];
  const throughputUnits = throughputUnitsFor(flow, sheet);
  const premium = units('hubProcessingUnitBytes', 'hubProcessingUnitEgressBytes');
  const purchases: HubPurchase[] = [];
  if (throughputUnits <= of('hubStandardMaxUnits') && partitions <= of('hubStandardMaxPartitions'))
    purchases.push({ tier: 'standard', throughputUnits });
  if (premium <= of('hubPremiumMaxUnits') && partitions <= of('hubPremiumMaxPartitions'))
    purchases.push({ tier: 'premium', processingUnits: premiumStep(premium) });
  const capacityUnits = units('hubCapacityUnitBytes', 'hubCapacityUnitEgressBytes');
  return [...purchases, { tier: 'dedicated', capacityUnits }];
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
  /** Whether the container has to be made with less throughput and raised, to have so few partitions. */
  readonly raised: boolean;
  readonly storedGb: number;
  readonly load: LoadMap;
}

export type StoreMode = 'provisioned' | 'autoscale';

const MAX_ROUNDS = 20;
/** By how much the partitions grow in a round that looks for a number that tells hot keys apart. */
const MORE_PARTITIONS = 0.2;
/** Nobody pays more than so many times the sum for keys that happen to share a partition. */
const MAX_HEADROOM = 8;

/**
 * RU/s for a rate. Throughput is divided evenly among the physical partitions and their number depends on the throughput,
 * so it is raised until the busiest partition has enough. A key that needs more than what each partition of a new container
 * has is given it by a container that is made with less and raised to the {@link StoreSize.ruPerSecond} afterwards.
 */
export function sizeStore(target: PipelineTarget, rate: number, mode: StoreMode, sheet: Sheet): StoreSize {
  const of = (name: FigureName): number => figure(sheet, name);
  const skewed = rate * ruPerEvent(target, sheet);
  const even = readRuPerSecond(target, sheet);
  const storedGb = storedGigabytes(target, sheet);
  const byStorage = Math.max(1, Math.ceil(storedGb / of('storePartitionGb')));
  const perPartition = of('storePartitionRu');
  const step = mode === 'autoscale' ? of('autoscaleStep') : of('storeRuStep');
  const least =
    mode === 'autoscale'
      ? Math.max(of('autoscaleMinRu'), storedGb * of('autoscaleMinRuPerGb'))
      : Math.max(of('storeMinRu'), storedGb * of('storeMinRuPerGb'));
  const roundUp = (ru: number): number => Math.ceil((ru - 1e-6) / step) * step;
  const first = roundUp(Math.max(least, skewed + even));
  const sized = (share: number): StoreSize => {
    let ruPerSecond = first;
    let physicalPartitions = 0;
    let load: LoadMap | undefined;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const wanted = Math.max(byStorage, Math.ceil(ruPerSecond / share));
      if (load === undefined || wanted !== physicalPartitions) load = mapOf(target, 1, wanted);
      physicalPartitions = wanted;
      const busiest = load.hottestStoreShare * skewed + even / physicalPartitions;
      const alone = load.hottestKeyShare * skewed + even / physicalPartitions;
      const needed = roundUp(Math.max(least, busiest * physicalPartitions));
      const fits = busiest <= perPartition && needed <= ruPerSecond;
      // Keys that share a partition are told apart by more partitions, a single key is not.
      const next = busiest <= perPartition ? needed : roundUp(morePartitions(physicalPartitions) * share);
      if (fits || alone > perPartition || next > first * MAX_HEADROOM || round === MAX_ROUNDS - 1)
        return {
          ruWithoutSkew: skewed + even,
          ruPerSecond,
          physicalPartitions,
          skew: load.hottestStoreShare * physicalPartitions,
          possible: fits,
          raised: mode === 'provisioned' && physicalPartitions * initialShare(mode, sheet) < ruPerSecond,
          storedGb,
          load,
        };
      ruPerSecond = next;
    }
    throw new RangeError('a size takes at least one round');
  };
  const asMade = sized(initialShare(mode, sheet));
  return asMade.possible || mode === 'autoscale' ? asMade : sized(perPartition);
}

function morePartitions(count: number): number {
  return count + Math.ceil(count * MORE_PARTITIONS);
}

/** Physical partitions that a container made with this throughput has. */
export function physicalPartitionsFor(ruPerSecond: number, mode: StoreMode, sheet: Sheet): number {
  return Math.max(1, Math.ceil(ruPerSecond / initialShare(mode, sheet)));
}

/** RU/s of a physical partition of a container that is made with them. */
function initialShare(mode: StoreMode, sheet: Sheet): number {
  return figure(sheet, mode === 'autoscale' ? 'storePartitionRu' : 'storeInitialPartitionRu');
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
