import { figure, type Sheet } from './sheet.ts';
import { amount } from './text.ts';

/** How Event Hubs is bought. */
export type HubPurchase =
  /** `capture`: paid by the throughput unit; in the other tiers it is included. */
  | { readonly tier: 'standard'; readonly throughputUnits: number; readonly capture?: boolean }
  | { readonly tier: 'premium'; readonly processingUnits: number }
  | { readonly tier: 'dedicated'; readonly capacityUnits: number };

/** How the throughput of the container is bought. */
export type StorePurchase =
  | { readonly mode: 'provisioned'; readonly ruPerSecond: number }
  /** `billedRuPerSecond`: mean over the hours of what each hour is billed for, its highest second. */
  | { readonly mode: 'autoscale'; readonly maxRuPerSecond: number; readonly billedRuPerSecond: number }
  | { readonly mode: 'serverless'; readonly ruPerHour: number };

export interface Usage {
  readonly hub: HubPurchase;
  readonly store: StorePurchase;
  readonly eventsPerHour: number;
  readonly eventBytes: number;
  /** Stored data with its index, gigabytes. */
  readonly storedGb: number;
  /** Regions that the account replicates to, each of which is paid for throughput and storage; one when absent. */
  readonly regions?: number;
}

export interface CostItem {
  readonly name: string;
  readonly perHour: number;
  readonly why: string;
}

/** What a pipeline costs by list prices. */
export interface Cost {
  readonly currency: string;
  /** Which prices. */
  readonly prices: string;
  readonly items: readonly CostItem[];
  readonly perHour: number;
  readonly perMillionEvents: number;
  readonly perMonth: number;
  /** For the duration of the run. */
  readonly run: number;
  /** What was priced, so that it can be priced again. */
  readonly usage?: Usage;
}

/** Microsoft's pricing pages count a month as 730 hours. */
const HOURS_PER_MONTH = 730;

/** Adds up a usage; `runMs` is the duration that {@link Cost.run} is for. */
export function costOf(usage: Usage, sheet: Sheet, runMs: number): Cost {
  const items = [...hubItems(usage, sheet), ...storeItems(usage, sheet)].filter(({ perHour }) => perHour > 0);
  const perHour = items.reduce((sum, item) => sum + item.perHour, 0);
  return {
    currency: sheet.currency,
    prices: sheet.name,
    items,
    perHour,
    perMillionEvents: usage.eventsPerHour === 0 ? 0 : (perHour * 1e6) / usage.eventsPerHour,
    perMonth: perHour * HOURS_PER_MONTH,
    run: (perHour * runMs) / 3_600_000,
    usage,
  };
}

function hubItems({ hub, eventsPerHour, eventBytes }: Usage, sheet: Sheet): CostItem[] {
  switch (hub.tier) {
    case 'standard': {
      const unit = figure(sheet, 'hubThroughputUnitHour');
      const million = figure(sheet, 'hubMillionEvents');
      const billed =
        eventsPerHour * Math.max(1, Math.ceil(eventBytes / figure(sheet, 'hubBilledEventBytes')));
      return [
        {
          name: 'Event Hubs throughput units',
          perHour: hub.throughputUnits * unit,
          why: `${amount(hub.throughputUnits)} x ${unit} an hour`,
        },
        {
          name: 'Event Hubs ingress events',
          perHour: (billed / 1e6) * million,
          why: `${amount(billed / 1e6)} million an hour x ${million}`,
        },
        ...(hub.capture === true ? [capture(hub.throughputUnits, sheet)] : []),
      ];
    }
    case 'premium': {
      const unit = figure(sheet, 'hubProcessingUnitHour');
      return [
        {
          name: 'Event Hubs processing units',
          perHour: hub.processingUnits * unit,
          why: `${amount(hub.processingUnits)} x ${unit} an hour`,
        },
      ];
    }
    case 'dedicated': {
      const unit = figure(sheet, 'hubCapacityUnitHour');
      return [
        {
          name: 'Event Hubs capacity units',
          perHour: hub.capacityUnits * unit,
          why: `${amount(hub.capacityUnits)} x ${unit} an hour`,
        },
      ];
    }
  }
}

function capture(throughputUnits: number, sheet: Sheet): CostItem {
  const unit = figure(sheet, 'hubCaptureUnitHour');
  return {
    name: 'Event Hubs Capture',
    perHour: throughputUnits * unit,
    why: `${amount(throughputUnits)} x ${unit} an hour; its storage account is not counted`,
  };
}

function storeItems({ store, storedGb, regions = 1 }: Usage, sheet: Sheet): CostItem[] {
  const perGb = figure(sheet, 'storageGbMonth');
  const times = regions === 1 ? '' : ` x ${regions} regions`;
  const storage = {
    name: 'Cosmos DB storage',
    perHour: (regions * storedGb * perGb) / HOURS_PER_MONTH,
    why: `${amount(storedGb)} GB x ${perGb} a month${times}`,
  };
  switch (store.mode) {
    case 'provisioned': {
      const price = figure(sheet, 'provisionedPer100RuHour');
      return [
        {
          name: 'Cosmos DB provisioned throughput',
          perHour: regions * (store.ruPerSecond / 100) * price,
          why: `${amount(store.ruPerSecond)} RU/s x ${price} per 100 an hour${times}`,
        },
        storage,
      ];
    }
    case 'autoscale': {
      const price = figure(sheet, 'autoscalePer100RuHour');
      return [
        {
          name: 'Cosmos DB autoscale throughput',
          perHour: regions * (store.billedRuPerSecond / 100) * price,
          why: `${amount(store.billedRuPerSecond)} RU/s billed in the mean hour x ${price} per 100${times}`,
        },
        storage,
      ];
    }
    case 'serverless': {
      const price = figure(sheet, 'serverlessMillionRu');
      return [
        {
          name: 'Cosmos DB serverless',
          perHour: (store.ruPerHour / 1e6) * price,
          why: `${amount(store.ruPerHour / 1e6)} million RU an hour x ${price}`,
        },
        storage,
      ];
    }
  }
}
