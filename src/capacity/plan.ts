import { buildModel, type Provision, scheduleOf } from './build-model.ts';
import { type Cost, costOf, type HubPurchase, type StorePurchase } from './cost.ts';
import { type FigureName, figure, type Sheet } from './sheet.ts';
import { simulate } from './simulate.ts';
import {
  consumersFor,
  type HubSize,
  physicalPartitionsFor,
  type StoreMode,
  type StoreSize,
  sizeHub,
  sizeStore,
} from './sizing.ts';
import {
  DAY_MS,
  itemBytes,
  meanRate,
  type PipelineTarget,
  peakRate,
  ruPerChange,
  ruPerWrite,
  wireBytes,
} from './target.ts';
import { amount, gigabytes, percent } from './text.ts';

/** One number of a plan. */
export interface PlannedFigure {
  readonly section: 'event hubs' | 'cosmos db' | 'ingest';
  readonly name: string;
  readonly value: string;
  readonly why: string;
  readonly sources: readonly string[];
}

/** A way to buy the throughput of the container. */
export interface StoreOption {
  readonly name: string;
  readonly purchase: StorePurchase;
  readonly physicalPartitions: number;
  readonly perMonth: number;
  /** Longest wait of an event on a day like the target's, simulated. */
  readonly maxLagMs: number;
  readonly meets: boolean;
  readonly note: string;
}

export interface Plan {
  readonly target: PipelineTarget;
  readonly figures: readonly PlannedFigure[];
  readonly options: readonly StoreOption[];
  /** Of every price in the plan. */
  readonly currency: string;
  /** The cheapest that keeps the lag, with the cheapest tier of Event Hubs. Absent when nothing does. */
  readonly choice?: { readonly hub: HubPurchase; readonly store: StoreOption; readonly cost: Cost };
  readonly warnings: readonly string[];
}

/** A plan asks for the lag of whole days, a dozen times. */
const PLAN_STEP_MS = 64_000;

/** Sizes a pipeline, explains each number, and finds the cheapest way to buy it. */
export function plan(target: PipelineTarget, sheet: Sheet): Plan {
  const rate = peakRate(target);
  const hub = sizeHub(target, rate, sheet);
  const store = sizeStore(target, rate, 'provisioned', sheet);
  const options = storeOptions(target, hub, store, sheet);
  const cheapest = options
    .filter(({ meets }) => meets)
    .reduce<StoreOption | undefined>(
      (best, option) => (best === undefined || option.perMonth < best.perMonth ? option : best),
      undefined,
    );
  const choice = cheapest && choose(target, hub, cheapest, store, sheet);
  return {
    target,
    figures: figures(target, hub, store, sheet),
    options,
    currency: sheet.currency,
    ...(choice && { choice }),
    warnings: warnings(target, hub, store, sheet),
  };
}

function figures(target: PipelineTarget, hub: HubSize, store: StoreSize, sheet: Sheet): PlannedFigure[] {
  const rate = peakRate(target);
  const write = ruPerWrite(target, sheet);
  const change = ruPerChange(target, sheet);
  const item = itemBytes(target, sheet);
  const sources = (...names: FigureName[]): string[] => [
    ...new Set(
      names.map((name) => `${name} = ${amount(figure(sheet, name))}: ${sheet.figures[name].source}`),
    ),
  ];
  const byStorage = Math.ceil(store.storedGb / figure(sheet, 'storePartitionGb'));
  const bytes = wireBytes(target, sheet);
  return [
    {
      section: 'event hubs',
      name: 'ingress',
      value: `${amount(rate)} events/s, ${amount((rate * bytes) / 1e6)} MB/s`,
      why: `${amount(bytes)} B on the wire each`,
      sources: sources('hubOverheadBytes'),
    },
    {
      section: 'event hubs',
      name: 'throughput units',
      value: amount(hub.throughputUnits),
      why: hub.why,
      sources: sources(
        'hubUnitIngressEvents',
        'hubUnitIngressBytes',
        'hubUnitEgressEvents',
        'hubUnitEgressBytes',
      ),
    },
    {
      section: 'event hubs',
      name: 'partitions',
      value: `at least ${amount(hub.partitions)}`,
      why: hub.partitionsWhy,
      sources: sources('hubStandardMaxPartitions', 'hubPremiumMaxPartitions'),
    },
    {
      section: 'ingest',
      name: 'consumers',
      value: amount(consumersFor(target, rate)),
      why: `${amount(target.consumerPerSecond)} events/s each`,
      sources: ['--consumer-rate, or the rate of a saturated run given with --from'],
    },
    {
      section: 'cosmos db',
      name: 'a write',
      value: `${amount(write.value)} RU`,
      why: write.why,
      sources: sources('ruPerIndexedTerm', 'envelopeBytes'),
    },
    {
      section: 'cosmos db',
      name: 'request units',
      value: `${amount(store.ruWithoutSkew)} RU/s`,
      why: `${amount(rate)}/s x ${amount(write.value)} RU, ${amount(target.feedReaders)} feed reader(s) x ${amount(change.value)} RU, ${amount(target.readsPerSecond)} reads/s`,
      sources: ['the feed charges what point reads of the items would'],
    },
    {
      section: 'cosmos db',
      name: 'with skew headroom',
      value: store.possible ? `${amount(store.ruPerSecond)} RU/s` : 'not enough at any price',
      why: `the busiest partition carries ${amount(store.skew)} times its share of ${amount(target.keys)} keys`,
      sources: sources('storePartitionRu', 'storeRuStep', 'storeMinRuPerGb'),
    },
    {
      section: 'cosmos db',
      name: 'storage',
      value: gigabytes(store.storedGb),
      why: `${amount(Math.round(meanRate(target)))} items/s x ${amount(item.value)} B and ${percent(figure(sheet, 'indexOverheadShare'))} index, for ${amount(target.retentionMs / DAY_MS)} days`,
      sources: sources('indexOverheadShare'),
    },
    {
      section: 'cosmos db',
      name: 'physical partitions',
      value: amount(store.physicalPartitions),
      why: `${amount(byStorage)} by storage, ${amount(physicalPartitionsFor(store.ruPerSecond, 'provisioned', sheet))} by throughput; each gets ${amount(store.ruPerSecond / store.physicalPartitions)} RU/s`,
      sources: sources('storePartitionGb', 'storeInitialPartitionRu'),
    },
  ];
}

function storeOptions(target: PipelineTarget, hub: HubSize, peak: StoreSize, sheet: Sheet): StoreOption[] {
  const options = [
    option('provisioned for the peak', target, hub, peak, 'provisioned', sheet, 'never behind'),
  ];
  const smaller = target.peak && smallestWithinLag(target, hub, peak, sheet);
  if (smaller !== undefined && smaller.ruPerSecond < peak.ruPerSecond)
    options.push(
      option(
        'provisioned for the lag',
        target,
        hub,
        smaller,
        'provisioned',
        sheet,
        'the hub holds the peak meanwhile',
      ),
    );
  const autoscale = sizeStore(target, peakRate(target), 'autoscale', sheet);
  options.push(option('autoscale', target, hub, autoscale, 'autoscale', sheet, 'follows the load'));
  const most = figure(sheet, 'serverlessMaxRu');
  if (peak.ruPerSecond <= most) {
    const ruPerHour = (peak.ruWithoutSkew * 3_600 * meanRate(target)) / peakRate(target);
    const purchase: StorePurchase = { mode: 'serverless', ruPerHour };
    options.push({
      name: 'serverless',
      purchase,
      physicalPartitions: peak.physicalPartitions,
      perMonth: storeCost(purchase, peak.storedGb, sheet),
      maxLagMs: 0,
      meets: peak.possible,
      note: `up to ${amount(most)} RU/s, no guarantee of latency`,
    });
  }
  return options.sort((a, b) => a.perMonth - b.perMonth);
}

function option(
  name: string,
  target: PipelineTarget,
  hub: HubSize,
  size: StoreSize,
  mode: StoreMode,
  sheet: Sheet,
  note: string,
): StoreOption {
  const day = simulateDay(target, hub, size, sheet);
  const purchase: StorePurchase =
    mode === 'provisioned'
      ? { mode, ruPerSecond: size.ruPerSecond }
      : {
          mode,
          maxRuPerSecond: size.ruPerSecond,
          // Without dynamic scaling the busiest partition decides what all of them are billed.
          billedRuPerSecond: Math.max(
            Math.min(size.ruPerSecond, day.hourlyPeakRu * size.skew),
            figure(sheet, 'autoscaleFloorShare') * size.ruPerSecond,
          ),
        };
  return {
    name,
    purchase,
    physicalPartitions: size.physicalPartitions,
    perMonth: storeCost(purchase, size.storedGb, sheet),
    maxLagMs: day.maxQueuedMs,
    meets:
      day.drained && day.maxQueuedMs <= target.maxLagMs && size.ruPerSecond <= figure(sheet, 'storeMaxRu'),
    note,
  };
}

/** The least throughput with which a day's backlog never gets older than the target allows. */
function smallestWithinLag(
  target: PipelineTarget,
  hub: HubSize,
  peak: StoreSize,
  sheet: Sheet,
): StoreSize | undefined {
  const step = figure(sheet, 'storeRuStep');
  const sized = (ruPerSecond: number): StoreSize => ({
    ...peak,
    ruPerSecond,
    physicalPartitions: Math.max(
      Math.ceil(peak.storedGb / figure(sheet, 'storePartitionGb')),
      physicalPartitionsFor(ruPerSecond, 'provisioned', sheet),
    ),
  });
  const keeps = (size: StoreSize): boolean => {
    const day = simulateDay(target, hub, size, sheet);
    return day.drained && day.maxQueuedMs <= target.maxLagMs;
  };
  const mean = sizeStore(target, meanRate(target), 'provisioned', sheet).ruPerSecond;
  let low = Math.floor(mean / step);
  let high = Math.ceil(peak.ruPerSecond / step);
  while (high - low > Math.max(1, high * 0.01)) {
    const middle = Math.floor((low + high) / 2);
    if (keeps(sized(middle * step))) high = middle;
    else low = middle;
  }
  return sized(high * step);
}

function simulateDay(
  target: PipelineTarget,
  hub: HubSize,
  size: StoreSize,
  sheet: Sheet,
): ReturnType<typeof simulate> {
  const provision: Provision = {
    throughputUnits: hub.throughputUnits,
    hubPartitions: hub.partitions,
    consumers: consumersFor(target, peakRate(target)),
    ruPerSecond: size.ruPerSecond,
    physicalPartitions: size.physicalPartitions,
    withFeed: target.feedReaders > 0,
    withCache: false,
  };
  return simulate(
    { ...buildModel(target, provision, scheduleOf(target), sheet), maxDrainMs: DAY_MS },
    0,
    PLAN_STEP_MS,
  );
}

function storeCost(store: StorePurchase, storedGb: number, sheet: Sheet): number {
  const nothing: HubPurchase = { tier: 'standard', throughputUnits: 0 };
  return costOf({ hub: nothing, store, eventsPerHour: 0, eventBytes: 0, storedGb }, sheet, 0).perMonth;
}

function choose(
  target: PipelineTarget,
  hub: HubSize,
  store: StoreOption,
  { storedGb }: StoreSize,
  sheet: Sheet,
): NonNullable<Plan['choice']> {
  const priced = hub.purchases.map((purchase) => ({
    hub: purchase,
    store,
    cost: costOf(
      {
        hub: purchase,
        store: store.purchase,
        eventsPerHour: meanRate(target) * 3_600,
        eventBytes: wireBytes(target, sheet),
        storedGb,
      },
      sheet,
      DAY_MS,
    ),
  }));
  return priced.reduce((best, next) => (next.cost.perHour < best.cost.perHour ? next : best));
}

function warnings(target: PipelineTarget, hub: HubSize, store: StoreSize, sheet: Sheet): string[] {
  const of = (name: FigureName): number => figure(sheet, name);
  const rate = peakRate(target);
  const found: string[] = [];
  const keyRu =
    store.load.hottestKeyShare *
    rate *
    (ruPerWrite(target, sheet).value + target.feedReaders * ruPerChange(target, sheet).value);
  const keyShare = `the hottest key is ${percent(store.load.hottestKeyShare)} of the load`;
  if (keyRu > of('storePartitionRu'))
    found.push(
      `${keyShare} and needs ${amount(keyRu)} RU/s; one partition has ${amount(of('storePartitionRu'))} at most, so no throughput can save it: split the key into ${Math.ceil(keyRu / of('storePartitionRu')) + 1} or more with a suffix, or use a hierarchical key`,
    );
  else if (!store.possible)
    found.push(
      `the busiest physical partition needs more than ${amount(of('storePartitionRu'))} RU/s whatever is bought: use more keys, or a more even one`,
    );
  else if (keyRu > store.ruPerSecond / store.physicalPartitions / 2)
    found.push(
      `${keyShare}, ${amount(keyRu)} RU/s of the ${amount(store.ruPerSecond / store.physicalPartitions)} of its partition`,
    );
  const keyGb = store.load.hottestKeyShare * store.storedGb;
  if (keyGb > of('storeLogicalPartitionGb'))
    found.push(
      `the hottest key will hold ${gigabytes(keyGb)}, a logical partition takes ${amount(of('storeLogicalPartitionGb'))} GB: shorten the retention or use a hierarchical key`,
    );
  const byStorage = Math.ceil(store.storedGb / of('storePartitionGb'));
  if (byStorage > Math.ceil(store.ruPerSecond / of('storePartitionRu')) * 2)
    found.push(
      `storage, not throughput, makes ${amount(byStorage)} partitions of ${amount(store.ruPerSecond / byStorage)} RU/s each: a key hotter than that throttles; a shorter retention helps more than more RU/s`,
    );
  if (store.ruPerSecond > of('storeMaxRu'))
    found.push(
      `${amount(store.ruPerSecond)} RU/s is above the ${amount(of('storeMaxRu'))} of a container: ask support to raise it`,
    );
  if (!hub.purchases.some(({ tier }) => tier === 'standard'))
    found.push(
      `Event Hubs Standard ends at ${of('hubStandardMaxUnits')} throughput units and ${of('hubStandardMaxPartitions')} partitions: use Premium or Dedicated`,
    );
  if (wireBytes(target, sheet) > of('hubMaxEventBytes'))
    found.push(`an event is larger than the ${amount(of('hubMaxEventBytes'))} B that Event Hubs takes`);
  return found;
}
