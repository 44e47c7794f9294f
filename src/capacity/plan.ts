import { type Cost, costOf, type HubPurchase } from './cost.ts';
import { type HottestKey, hottestKeyOf, planWarnings } from './plan-warnings.ts';
import { type FigureName, figure, type Sheet } from './sheet.ts';
import { ASSUMED_LATENCY } from './simulation-model.ts';
import {
  consumersFor,
  type HubSize,
  madeWithRu,
  physicalPartitionsFor,
  type StoreSize,
  sizeHub,
  sizeStore,
  TIERS_BY_BYTES,
  unitsByBytes,
  unitsWhy,
} from './sizing.ts';
import { type StoreOption, storeOptions } from './store-options.ts';
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
import { amount, charge, counted, gigabytes, percent, timespan } from './text.ts';

/** One number of a plan. */
export interface PlannedFigure {
  readonly section: 'event hubs' | 'cosmos db' | 'ingest';
  readonly name: string;
  readonly value: string;
  readonly why: string;
  readonly sources: readonly string[];
}

/** What the load needs, in numbers: {@link PlannedFigure} without its words. At the peak rate. */
export interface Needs {
  readonly ratePerSecond: number;
  readonly eventBytes: number;
  readonly throughputUnits: number;
  readonly hubPartitions: number;
  readonly consumers: number;
  readonly itemBytes: number;
  readonly ruPerWrite: number;
  readonly ruPerChange: number;
  /** Writes, the feed and reads together. */
  readonly ruPerSecondWithoutHeadroom: number;
  /** What has to be provisioned so that the busiest physical partition has enough. */
  readonly ruPerSecond: number;
  /** What the busiest physical partition carries against a fair share: 1 is even. */
  readonly skew: number;
  readonly physicalPartitions: number;
  /** Whether the busiest partition and the largest key fit into what can be bought. */
  readonly possible: boolean;
  readonly storedGb: number;
  readonly hottestKey: HottestKey;
}

/** The document of `plan --json`; docs/capacity.md explains the members. */
export interface Plan {
  readonly target: PipelineTarget;
  readonly needs: Needs;
  readonly figures: readonly PlannedFigure[];
  readonly options: readonly StoreOption[];
  /** Of every price in the plan. */
  readonly currency: string;
  /** The cheapest that keeps the lag, with the cheapest tier of Event Hubs. Absent when nothing does. */
  readonly choice?: { readonly hub: HubPurchase; readonly store: StoreOption; readonly cost: Cost };
  readonly warnings: readonly string[];
}

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
    needs: needsOf(target, hub, store, sheet),
    figures: figures(target, hub, store, choice?.hub, sheet),
    options,
    currency: sheet.currency,
    ...(choice && { choice }),
    warnings: planWarnings(target, hub, store, sheet),
  };
}

function needsOf(target: PipelineTarget, hub: HubSize, store: StoreSize, sheet: Sheet): Needs {
  const rate = peakRate(target);
  return {
    ratePerSecond: rate,
    eventBytes: wireBytes(target, sheet),
    throughputUnits: hub.throughputUnits,
    hubPartitions: hub.partitions,
    consumers: consumersFor(target, rate),
    itemBytes: itemBytes(target, sheet).value,
    ruPerWrite: ruPerWrite(target, sheet).value,
    ruPerChange: ruPerChange(target, sheet).value,
    ruPerSecondWithoutHeadroom: store.ruWithoutSkew,
    ruPerSecond: store.ruPerSecond,
    skew: store.skew,
    physicalPartitions: store.physicalPartitions,
    possible: store.possible && store.keyFits,
    storedGb: store.storedGb,
    hottestKey: hottestKeyOf(target, store, sheet),
  };
}

function figures(
  target: PipelineTarget,
  hub: HubSize,
  store: StoreSize,
  bought: HubPurchase | undefined,
  sheet: Sheet,
): PlannedFigure[] {
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
  const latency = { ...ASSUMED_LATENCY, ...target.measured?.latency };
  return [
    {
      section: 'event hubs',
      name: 'ingress',
      value: `${amount(rate)} events/s, ${gigabytes((rate * bytes) / 1e9)}/s`,
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
    ...unitsFigure(target, bought, sources, sheet),
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
      sources: ['--consumer-rate, else the rate of a saturated run given with --from, else an assumption'],
    },
    {
      section: 'ingest',
      name: 'latency',
      value: `${amount(latency.ingest.p50Ms)} ms to the container, ${amount(latency.feed.p50Ms)} ms to the feed`,
      why: `median while nothing queues; p99 ${amount(latency.ingest.p99Ms)} and ${amount(latency.feed.p99Ms)} ms`,
      sources: [
        target.measured?.latency?.feed === undefined
          ? 'assumption for services of one region: measure it, and give the report with --from'
          : `measured in ${target.measured.origin}`,
      ],
    },
    {
      section: 'cosmos db',
      name: 'a write',
      value: `${charge(write.value)} RU`,
      why: write.why,
      sources:
        target.measured?.ruPerWrite === undefined
          ? sources('ruPerIndexedTerm', 'envelopeBytes')
          : ['request units of its writes, by their number'],
    },
    {
      section: 'cosmos db',
      name: 'request units',
      value: `${amount(store.ruWithoutSkew)} RU/s`,
      why: `${amount(rate)}/s x ${charge(write.value)} RU, ${counted(target.feedReaders, 'feed reader')} x ${charge(change.value)} RU, ${amount(target.readsPerSecond)} reads/s`,
      sources: [
        target.measured?.ruPerChange === undefined
          ? 'the feed charges what point reads of the items would'
          : `request units of the feed by its changes, in ${target.measured.origin}`,
      ],
    },
    {
      section: 'cosmos db',
      name: 'with skew headroom',
      value: store.possible ? `${amount(store.ruPerSecond)} RU/s` : 'not enough at any price',
      why: headroomWhy(target, store, sheet),
      sources: sources('storePartitionRu', 'storeRuStep', 'storeMinRuPerGb'),
    },
    {
      section: 'cosmos db',
      name: 'storage',
      value: gigabytes(store.storedGb),
      why: `${amount(meanRate(target))} items/s x ${amount(item.value)} B and ${percent(figure(sheet, 'indexOverheadShare'))} index, for ${timespan(target.retentionMs)}`,
      sources: sources('indexOverheadShare'),
    },
    {
      section: 'cosmos db',
      name: 'physical partitions',
      value: amount(store.physicalPartitions),
      why: `${amount(byStorage)} by storage, ${amount(physicalPartitionsFor(store.ruPerSecond, store.raised ? 'raised' : 'provisioned', sheet))} by throughput; each gets ${amount(store.ruPerSecond / store.physicalPartitions)} RU/s${store.raised && store.possible ? `: make the container with ${amount(madeWithRu(store, sheet))} RU/s and raise it then` : ''}`,
      sources: sources('storePartitionGb', 'storeInitialPartitionRu', 'storePartitionRu'),
    },
  ];
}

/** The units of a tier that is not sold by throughput units. */
function unitsFigure(
  target: PipelineTarget,
  bought: HubPurchase | undefined,
  sources: (...names: FigureName[]) => string[],
  sheet: Sheet,
): PlannedFigure[] {
  if (bought === undefined || bought.tier === 'standard') return [];
  const { consumerGroups } = target;
  const flow = { ratePerSecond: peakRate(target), eventBytes: wireBytes(target, sheet), consumerGroups };
  const needs = unitsByBytes(flow, bought.tier, sheet);
  const isPremium = bought.tier === 'premium';
  return [
    {
      section: 'event hubs',
      name: isPremium ? 'processing units' : 'capacity units',
      value: amount(isPremium ? bought.processingUnits : bought.capacityUnits),
      why: `${unitsWhy(needs)}${isPremium ? '; sold in 1, 2, 4, 6, 8, 10, 12 and 16' : ''}`,
      sources: sources(...TIERS_BY_BYTES[bought.tier]),
    },
  ];
}

function headroomWhy(
  { keys, readsPerSecond }: PipelineTarget,
  { leastRu, physicalPartitions, ruPerSecond, skew, storedGb }: StoreSize,
  sheet: Sheet,
): string {
  if (ruPerSecond - figure(sheet, 'storeRuStep') < leastRu)
    return leastRu > figure(sheet, 'storeMinRu')
      ? `a container of ${gigabytes(storedGb)} has at least ${amount(leastRu)} RU/s`
      : `a container has at least ${amount(leastRu)} RU/s`;
  if (physicalPartitions === 1) return 'one partition carries everything';
  return `the busiest partition carries ${amount(skew)} times its share of ${counted(keys, 'key')}${readsPerSecond > 0 ? '; reads are even' : ''}`;
}

function choose(
  target: PipelineTarget,
  hub: HubSize,
  store: StoreOption,
  { storedGb }: StoreSize,
  sheet: Sheet,
): Plan['choice'] {
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
        ...(target.regions !== undefined && { regions: target.regions }),
      },
      sheet,
      DAY_MS,
    ),
  }));
  return priced.reduce<Plan['choice']>(
    (best, next) => (best === undefined || next.cost.perHour < best.cost.perHour ? next : best),
    undefined,
  );
}
