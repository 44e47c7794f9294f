import { usageError } from '../util/errors.ts';
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
import { amount, units as roundedUp } from './text.ts';

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
    why: unitsWhy(needs),
    partitions,
    partitionsWhy: `one per throughput unit (${amount(throughputUnits)}), and one per consumer (${amount(consumers)})${partitions < wanted ? `; a hub has ${amount(partitions)} at most` : ''}`,
    purchases,
  };
}

/** `events in 5, bytes in 5.9`: what a number of units rests on. */
export function unitsWhy(needs: readonly UnitsNeeded[]): string {
  return needs.map(({ what, units }) => `${what} ${roundedUp(units)}`).join(', ');
}

/** Units that one of the limits of a unit asks for. */
export interface UnitsNeeded {
  readonly what: string;
  readonly units: number;
}

/** What goes through a hub. */
export interface HubFlow {
  readonly ratePerSecond: number;
  readonly eventBytes: number;
  /** Each of which reads every event. */
  readonly consumerGroups: number;
}

function unitsFor({ ratePerSecond, eventBytes, consumerGroups }: HubFlow, sheet: Sheet): UnitsNeeded[] {
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
  const unitsOf = (tier: ByBytes): number =>
    Math.max(1, ...unitsByBytes(flow, tier, sheet).map(({ units }) => Math.ceil(units)));
  if (flow.eventBytes > of('hubMaxEventBytes')) return [];
  const throughputUnits = throughputUnitsFor(flow, sheet);
  const premium = unitsOf('premium');
  const purchases: HubPurchase[] = [];
  if (throughputUnits <= of('hubStandardMaxUnits') && partitions <= of('hubStandardMaxPartitions'))
    purchases.push({ tier: 'standard', throughputUnits });
  if (premium <= of('hubPremiumMaxUnits') && partitions <= of('hubPremiumMaxPartitions'))
    purchases.push({ tier: 'premium', processingUnits: premiumStep(premium) });
  return [...purchases, { tier: 'dedicated', capacityUnits: unitsOf('dedicated') }];
}

/** Tiers whose units are sized by bytes alone, with what a unit takes in and out. */
export const TIERS_BY_BYTES = {
  premium: ['hubProcessingUnitBytes', 'hubProcessingUnitEgressBytes'],
  dedicated: ['hubCapacityUnitBytes', 'hubCapacityUnitEgressBytes'],
} as const satisfies Readonly<Record<string, readonly [FigureName, FigureName]>>;

type ByBytes = keyof typeof TIERS_BY_BYTES;

export function unitsByBytes(
  { ratePerSecond, eventBytes, consumerGroups }: HubFlow,
  tier: ByBytes,
  sheet: Sheet,
): UnitsNeeded[] {
  const [inName, outName] = TIERS_BY_BYTES[tier];
  const bytesIn = ratePerSecond * eventBytes;
  return [
    { what: 'bytes in', units: bytesIn / figure(sheet, inName) },
    { what: 'bytes out', units: (bytesIn * consumerGroups) / figure(sheet, outName) },
  ];
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
  /** False when the items of a key outgrow a logical partition, which no throughput changes. */
  readonly keyFits: boolean;
  /** What a container of this size has at least, whatever its load. */
  readonly leastRu: number;
  /** Whether the container has to be made with less throughput and raised, to have so few partitions. */
  readonly raised: boolean;
  readonly storedGb: number;
  readonly load: LoadMap;
}

/** `raised`: provisioned throughput of a container that is made with less and raised then, which gives it fewer partitions. */
export type StoreMode = 'provisioned' | 'raised' | 'autoscale';

/** Beyond this the ranges of one container are more than a plan can lay keys into, and more than anybody is given. */
const MAX_PHYSICAL_PARTITIONS = 100_000;
const MAX_ROUNDS = 40;
/** By how much the partitions grow at most in a round that looks for a number that tells hot keys apart. */
const MORE_PARTITIONS = 0.2;
/** Nobody pays more than so many times the sum for keys that happen to share a partition. */
const MAX_HEADROOM = 8;

/**
 * RU/s for a rate. Throughput is divided evenly among the physical partitions and their number depends on the throughput,
 * so it grows until the busiest partition has enough, and no step further. A key that needs more than what each partition
 * of a new container has is only given it by a container that is {@link StoreSize.raised}. Throws PipeError E_USAGE for a load
 * of more physical partitions than one container has.
 */
export function sizeStore(target: PipelineTarget, rate: number, mode: StoreMode, sheet: Sheet): StoreSize {
  const of = (name: FigureName): number => figure(sheet, name);
  const skewed = rate * ruPerEvent(target, sheet);
  const even = readRuPerSecond(target, sheet);
  const storedGb = storedGigabytes(target, sheet);
  const byStorage = Math.max(1, Math.ceil(storedGb / of('storePartitionGb')));
  const perPartition = of('storePartitionRu');
  const share = shareOf(mode, sheet);
  const madeWith = mode === 'autoscale' ? share : of('storeInitialPartitionRu');
  const step = mode === 'autoscale' ? of('autoscaleStep') : of('storeRuStep');
  const least =
    mode === 'autoscale'
      ? Math.max(of('autoscaleMinRu'), storedGb * of('autoscaleMinRuPerGb'))
      : Math.max(of('storeMinRu'), storedGb * of('storeMinRuPerGb'));
  const roundUp = (ru: number): number => Math.ceil((ru - 1e-6) / step) * step;
  const first = roundUp(Math.max(least, skewed + even));
  const partitionsOf = (ru: number): number => Math.max(byStorage, Math.ceil(ru / share));
  // What a container is made with that has so many partitions.
  const leastWith = (partitions: number): number =>
    partitions > byStorage ? roundUp((partitions - 1) * madeWith + 1) : 0;
  let ruPerSecond = first;
  let physicalPartitions = 0;
  let load: LoadMap | undefined;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const wanted = partitionsOf(ruPerSecond);
    if (load === undefined || wanted !== physicalPartitions) load = mapOf(target, 1, wanted);
    physicalPartitions = wanted;
    const busiest = load.hottestStoreShare * skewed + even / physicalPartitions;
    const alone = load.hottestKeyShare * skewed + even / physicalPartitions;
    const needed = roundUp(Math.max(least, busiest * physicalPartitions));
    const fits = busiest <= perPartition && needed <= ruPerSecond;
    // Keys that share a partition are told apart by more partitions, a single key is not.
    const next =
      busiest <= perPartition
        ? needed
        : roundUp(morePartitions(physicalPartitions, busiest / perPartition) * share);
    const tooMuch = busiest > share && next > first * MAX_HEADROOM;
    const isLast = round === MAX_ROUNDS - 1 || partitionsOf(next) > MAX_PHYSICAL_PARTITIONS;
    if (fits || alone > perPartition || tooMuch || isLast) {
      const size = {
        ruWithoutSkew: skewed + even,
        ruPerSecond: fits ? Math.max(needed, leastWith(physicalPartitions)) : ruPerSecond,
        physicalPartitions,
        skew: load.hottestStoreShare * physicalPartitions,
        possible: fits,
        keyFits: load.hottestKeyShare * storedGb <= of('storeLogicalPartitionGb'),
        leastRu: least,
        raised: mode === 'raised' && physicalPartitions * madeWith < ruPerSecond,
        storedGb,
        load,
      };
      return fits || mode !== 'provisioned' ? size : sizeStore(target, rate, 'raised', sheet);
    }
    ruPerSecond = next;
  }
  throw new RangeError('a size takes at least one round');
}

/** As many as the excess of the busiest asks for if it is spread, but no great step at once: another number may do by chance. */
function morePartitions(count: number, excess: number): number {
  return Math.min(Math.ceil(count * excess), count + Math.ceil(count * MORE_PARTITIONS));
}

/** Physical partitions that this throughput makes. */
export function physicalPartitionsFor(ruPerSecond: number, mode: StoreMode, sheet: Sheet): number {
  return Math.max(1, Math.ceil(ruPerSecond / shareOf(mode, sheet)));
}

/** RU/s of a physical partition, above which there is one more. */
function shareOf(mode: StoreMode, sheet: Sheet): number {
  return figure(sheet, mode === 'provisioned' ? 'storeInitialPartitionRu' : 'storePartitionRu');
}

/** What a container is made with that is raised then. */
export function madeWithRu({ physicalPartitions }: StoreSize, sheet: Sheet): number {
  return physicalPartitions * figure(sheet, 'storeInitialPartitionRu');
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
  if (physicalPartitions > MAX_PHYSICAL_PARTITIONS)
    throw usageError(
      `the container would have ${amount(physicalPartitions)} physical partitions, more than the ${amount(MAX_PHYSICAL_PARTITIONS)} that a plan takes`,
      'use several containers: pass a part of --rate, --size, --reads or --throughput, or a shorter --retention',
    );
  return mapLoad({ keys, distribution, hubPartitions, physicalPartitions });
}
