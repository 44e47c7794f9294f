import { formatDurationMs } from '../util/duration.ts';
import { buildModel, type Provision, scheduleOf } from './build-model.ts';
import { costOf, type HubPurchase, type StorePurchase } from './cost.ts';
import { figure, type Sheet } from './sheet.ts';
import { type Queues, simulateQueues } from './simulate.ts';
import {
  consumersFor,
  type HubSize,
  madeWithRu,
  physicalPartitionsFor,
  type StoreSize,
  sizeStore,
} from './sizing.ts';
import { meanRate, type PipelineTarget, peakRate, readRuPerSecond, ruPerEvent } from './target.ts';
import { amount, gigabytes } from './text.ts';

/** A way to buy the throughput of the container. */
export interface StoreOption {
  readonly name: string;
  readonly purchase: StorePurchase;
  readonly physicalPartitions: number;
  readonly perMonth: number;
  /** Longest wait of an event on a day like the target's, simulated; absent when it grows from day to day. */
  readonly maxLagMs?: number;
  readonly meets: boolean;
  /** What is particular about it, or why it does not meet the target. */
  readonly note: string;
}

/** A plan asks for the lag of whole days, a dozen times. A divisor of an hour: autoscale is billed by the hour. */
const PLAN_STEP_MS = 60_000;
/** A container that is made with less and raised is worth the trouble where it needs no more than this part. */
const WORTH_RAISING = 0.95;

/** Every way to buy the throughput, the cheapest first. `peak` is the size for the peak rate. */
export function storeOptions(
  target: PipelineTarget,
  hub: HubSize,
  peak: StoreSize,
  sheet: Sheet,
): StoreOption[] {
  const provisioned = (name: string, size: StoreSize, note: string): StoreOption => {
    const day = simulateDay(target, hub, size, sheet);
    const purchase = { mode: 'provisioned', ruPerSecond: size.ruPerSecond } as const;
    return option(name, target, size, purchase, day, sheet, note);
  };
  const options = [provisioned('provisioned for the peak', peak, 'never behind')];
  const raised = sizeStore(target, peakRate(target), 'raised', sheet);
  if (raised.raised && raised.possible && raised.ruPerSecond < peak.ruPerSecond * WORTH_RAISING)
    options.push(
      provisioned(
        'provisioned, then raised',
        raised,
        `make it with ${amount(madeWithRu(raised, sheet))} RU/s, raise it then`,
      ),
    );
  const smaller = target.peak && smallestWithinLag(target, hub, peak, sheet);
  if (smaller !== undefined && smaller.ruPerSecond < peak.ruPerSecond)
    options.push(provisioned('provisioned for the lag', smaller, 'the hub holds the peak meanwhile'));
  options.push(...autoscaleOptions(target, hub, sheet), ...serverlessOptions(target, peak, sheet));
  return options.sort((a, b) => a.perMonth - b.perMonth);
}

function option(
  name: string,
  target: PipelineTarget,
  size: StoreSize,
  purchase: StorePurchase,
  { drained, maxQueuedMs }: Pick<Queues, 'drained' | 'maxQueuedMs'>,
  sheet: Sheet,
  note: string,
): StoreOption {
  const grows = !drained || !carriesMean(target, size, sheet);
  const obstacle = !size.keyFits
    ? 'a key outgrows its logical partition'
    : grows
      ? 'falls further behind every day'
      : maxQueuedMs > target.maxLagMs
        ? `misses the lag of ${formatDurationMs(target.maxLagMs)}`
        : size.possible
          ? undefined
          : 'not enough for the busiest partition';
  return {
    name,
    purchase,
    physicalPartitions: size.physicalPartitions,
    perMonth: storeCost(target, purchase, size.storedGb, sheet),
    ...(!grows && { maxLagMs: maxQueuedMs }),
    meets: obstacle === undefined,
    note: obstacle ?? note,
  };
}

/** Whether the busiest partition has what it needs in the mean of a day; else its backlog never ends. */
function carriesMean(target: PipelineTarget, size: StoreSize, sheet: Sheet): boolean {
  if (size.possible) return true;
  const { load, physicalPartitions, ruPerSecond } = size;
  const skewed = meanRate(target) * ruPerEvent(target, sheet) * load.hottestStoreShare;
  return skewed + readRuPerSecond(target, sheet) / physicalPartitions <= ruPerSecond / physicalPartitions;
}

function autoscaleOptions(target: PipelineTarget, hub: HubSize, sheet: Sheet): StoreOption[] {
  const size = sizeStore(target, peakRate(target), 'autoscale', sheet);
  const day = simulateDay(target, hub, size, sheet);
  const priced = (name: string, billedRuPerSecond: number, note: string): StoreOption => {
    const purchase = { mode: 'autoscale', maxRuPerSecond: size.ruPerSecond, billedRuPerSecond } as const;
    return option(name, target, size, purchase, day, sheet, note);
  };
  const { byPartition, byBusiest } = billedByAutoscale(day.hourPeaksRu, size, target, sheet);
  const dynamic = priced('autoscale', byPartition, 'each partition by itself');
  if (byBusiest < byPartition * 1.01) return [dynamic];
  return [dynamic, priced('autoscale, not dynamic', byBusiest, 'older accounts: all as the busiest')];
}

/** The two rules of autoscale: RU/s billed in the mean hour, each hour for its busiest second and at least the floor. */
export function billedByAutoscale(
  hourPeaksRu: readonly number[],
  { load, physicalPartitions, ruPerSecond }: Pick<StoreSize, 'load' | 'physicalPartitions' | 'ruPerSecond'>,
  target: PipelineTarget,
  sheet: Sheet,
): { readonly byPartition: number; readonly byBusiest: number } {
  const most = ruPerSecond / physicalPartitions;
  const least = most * figure(sheet, 'autoscaleFloorShare');
  const reads = readRuPerSecond(target, sheet) / physicalPartitions;
  const billed = (ru: number): number => Math.min(most, Math.max(least, ru + reads));
  let byPartition = 0;
  let byBusiest = 0;
  for (const peak of hourPeaksRu) {
    for (const { lanes, share } of load.store) byPartition += lanes * billed((peak * share) / lanes);
    byBusiest += physicalPartitions * billed(peak * load.hottestStoreShare);
  }
  return { byPartition: byPartition / hourPeaksRu.length, byBusiest: byBusiest / hourPeaksRu.length };
}

/** A serverless container has one partition to begin with, in one region. */
function serverlessOptions(target: PipelineTarget, peak: StoreSize, sheet: Sheet): StoreOption[] {
  const most = figure(sheet, 'serverlessMaxRu');
  const mostGb = figure(sheet, 'serverlessMaxGb');
  if (peak.ruWithoutSkew > most || peak.storedGb > mostGb || (target.regions ?? 1) > 1) return [];
  const ruPerHour = 3_600 * (meanRate(target) * ruPerEvent(target, sheet) + readRuPerSecond(target, sheet));
  const note = `to ${amount(most)} RU/s and ${gigabytes(mostGb)}, latency not guaranteed`;
  const neverBehind = { drained: true, maxQueuedMs: 0 };
  return [option('serverless', target, peak, { mode: 'serverless', ruPerHour }, neverBehind, sheet, note)];
}

/** The least throughput with which a day's backlog never gets older than the target allows. */
function smallestWithinLag(target: PipelineTarget, hub: HubSize, peak: StoreSize, sheet: Sheet): StoreSize {
  const step = figure(sheet, 'storeRuStep');
  const sized = (ruPerSecond: number): StoreSize => ({
    ...peak,
    ruPerSecond,
    physicalPartitions: Math.max(
      Math.ceil(peak.storedGb / figure(sheet, 'storePartitionGb')),
      physicalPartitionsFor(ruPerSecond, peak.raised ? 'raised' : 'provisioned', sheet),
    ),
  });
  const keeps = (size: StoreSize): boolean => {
    const day = simulateDay(target, hub, size, sheet);
    return day.drained && day.maxQueuedMs <= target.maxLagMs;
  };
  const mean = sizeStore(target, meanRate(target), 'provisioned', sheet).ruPerSecond;
  let low = Math.floor(mean / step) - 1;
  let high = Math.ceil(peak.ruPerSecond / step);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (keeps(sized(middle * step))) high = middle;
    else low = middle;
  }
  return sized(high * step);
}

function simulateDay(target: PipelineTarget, hub: HubSize, size: StoreSize, sheet: Sheet): Queues {
  const provision: Provision = {
    throughputUnits: hub.throughputUnits,
    hubPartitions: hub.partitions,
    consumers: consumersFor(target, peakRate(target)),
    ruPerSecond: size.ruPerSecond,
    physicalPartitions: size.physicalPartitions,
    withFeed: target.feedReaders > 0,
    withCache: false,
  };
  return simulateQueues(buildModel(target, provision, scheduleOf(target), sheet), PLAN_STEP_MS);
}

function storeCost(
  { regions = 1 }: PipelineTarget,
  store: StorePurchase,
  storedGb: number,
  sheet: Sheet,
): number {
  const hub: HubPurchase = { tier: 'standard', throughputUnits: 0 };
  return costOf({ hub, store, eventsPerHour: 0, eventBytes: 0, storedGb, regions }, sheet, 0).perMonth;
}
