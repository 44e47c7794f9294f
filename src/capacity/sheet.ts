/** A number with where it is from. */
export interface SourcedFigure {
  readonly value: number;
  readonly source: string;
}

const DOCS = 'learn.microsoft.com/azure';
const HUB_QUOTAS = `${DOCS}/event-hubs/event-hubs-quotas`;
const HUB_SCALE = `${DOCS}/event-hubs/event-hubs-scalability`;
const COSMOS_LIMITS = `${DOCS}/cosmos-db/concepts-limits`;
const COSMOS_SCALING = `${DOCS}/cosmos-db/scaling-provisioned-throughput-best-practices`;
const COSMOS_RU = `${DOCS}/cosmos-db/understand-request-unit-consumption`;
const LIST_PRICE =
  'list price, US dollars, from secondary sources in November 2026: check against your region';
const ASSUMED = 'assumption';

/**
 * Limits and prices that a plan rests on. Prices differ by region and agreement, and change: a file given with
 * --prices replaces any of them, and what it says is shown as the source.
 */
const FIGURES = {
  hubUnitIngressEvents: { value: 1_000, source: HUB_SCALE },
  hubUnitIngressBytes: { value: 1_000_000, source: HUB_SCALE },
  hubUnitEgressEvents: { value: 4_096, source: HUB_SCALE },
  hubUnitEgressBytes: { value: 2_000_000, source: HUB_SCALE },
  hubStandardMaxUnits: { value: 40, source: HUB_QUOTAS },
  hubStandardMaxPartitions: { value: 32, source: HUB_QUOTAS },
  hubPremiumMaxUnits: { value: 16, source: HUB_QUOTAS },
  hubPremiumMaxPartitions: { value: 100, source: HUB_QUOTAS },
  hubDedicatedMaxPartitions: { value: 1_024, source: HUB_QUOTAS },
  hubMaxEventBytes: { value: 1_048_576, source: HUB_QUOTAS },
  hubBilledEventBytes: { value: 65_536, source: `${DOCS}/event-hubs/event-hubs-faq` },
  hubProcessingUnitBytes: { value: 7_500_000, source: `${HUB_SCALE} (5 to 10 MB/s per processing unit)` },
  hubProcessingUnitEgressBytes: {
    value: 15_000_000,
    source: `${HUB_SCALE} (10 to 20 MB/s per processing unit)`,
  },
  hubCapacityUnitBytes: {
    value: 100_000_000,
    source: `${ASSUMED}: 100 MB/s per capacity unit; test your own load`,
  },
  hubCapacityUnitEgressBytes: {
    value: 200_000_000,
    source: `${ASSUMED}: 200 MB/s per capacity unit; test your own load`,
  },
  hubOverheadBytes: {
    value: 180,
    source: 'measured: AMQP sections, partition key and four properties around a body',
  },
  storePartitionRu: { value: 10_000, source: COSMOS_LIMITS },
  storePartitionGb: { value: 50, source: COSMOS_LIMITS },
  storeLogicalPartitionGb: { value: 20, source: COSMOS_LIMITS },
  storeInitialPartitionRu: { value: 6_000, source: COSMOS_SCALING },
  storeMaxRu: { value: 1_000_000, source: `${COSMOS_LIMITS} (raised on request)` },
  storeMinRu: { value: 400, source: COSMOS_LIMITS },
  storeMinRuPerGb: { value: 1, source: COSMOS_LIMITS },
  storeRuStep: { value: 100, source: COSMOS_LIMITS },
  autoscaleMinRu: { value: 1_000, source: COSMOS_LIMITS },
  autoscaleStep: { value: 1_000, source: COSMOS_LIMITS },
  autoscaleMinRuPerGb: { value: 10, source: COSMOS_LIMITS },
  autoscaleFloorShare: { value: 0.1, source: COSMOS_LIMITS },
  serverlessMaxRu: {
    value: 5_000,
    source: `${DOCS}/cosmos-db/serverless-performance (a new container; one that holds more than 50 GB has more)`,
  },
  serverlessMaxGb: { value: 1_000, source: COSMOS_LIMITS },
  ruPerIndexedTerm: { value: 0.2, source: COSMOS_RU },
  indexOverheadShare: {
    value: 0.15,
    source: `${ASSUMED}: 15 % of the data; see the index metrics of your container`,
  },
  envelopeBytes: { value: 256, source: 'measured: what ingest adds to a body of the telemetry event' },
  hubThroughputUnitHour: { value: 0.03, source: LIST_PRICE },
  hubMillionEvents: { value: 0.028, source: LIST_PRICE },
  hubCaptureUnitHour: { value: 0.1, source: LIST_PRICE },
  hubProcessingUnitHour: { value: 1.2, source: LIST_PRICE },
  hubCapacityUnitHour: { value: 6.849, source: LIST_PRICE },
  provisionedPer100RuHour: { value: 0.008, source: LIST_PRICE },
  autoscalePer100RuHour: { value: 0.012, source: LIST_PRICE },
  serverlessMillionRu: { value: 0.25, source: LIST_PRICE },
  storageGbMonth: { value: 0.25, source: LIST_PRICE },
} as const satisfies Readonly<Record<string, SourcedFigure>>;

export type FigureName = keyof typeof FIGURES;

export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[];

/** What is in a currency. */
export const PRICE_NAMES: readonly FigureName[] = FIGURE_NAMES.filter(
  (name) => FIGURES[name].source === LIST_PRICE,
);

/** Figures of which there may be none; of all others something is divided by, or nothing could be bought. */
export const MAY_BE_NOTHING: ReadonlySet<FigureName> = new Set([
  ...PRICE_NAMES,
  'hubOverheadBytes',
  'storeMinRu',
  'storeMinRuPerGb',
  'autoscaleMinRu',
  'autoscaleMinRuPerGb',
  'autoscaleFloorShare',
  'serverlessMaxRu',
  'serverlessMaxGb',
  'hubStandardMaxUnits',
  'hubPremiumMaxUnits',
  'ruPerIndexedTerm',
  'indexOverheadShare',
  'envelopeBytes',
]);

export interface Sheet {
  /** What the prices are, for whoever reads a cost. */
  readonly name: string;
  readonly currency: string;
  readonly figures: Readonly<Record<FigureName, SourcedFigure>>;
}

export const DEFAULT_SHEET: Sheet = {
  name: 'built-in list prices (US dollars, November 2026)',
  currency: 'USD',
  figures: FIGURES,
};

export function figure(sheet: Sheet, name: FigureName): number {
  return sheet.figures[name].value;
}
