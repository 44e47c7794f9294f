import { isDeepStrictEqual } from 'node:util';
import type { MetricUnit } from './metric-catalog.ts';
import { aggregate, type Metric, metricsOf } from './metrics.ts';
import type { RunReport } from './run-report.ts';

/** What is compared: metric and aggregation, where both reports have them. */
export const COMPARED: readonly (readonly [metric: string, aggregation: string])[] = [
  ['max_rate', 'max'],
  ['e2e_latency', 'p(50)'],
  ['e2e_latency', 'p(99)'],
  ['e2e_latency', 'max'],
  ['produce_latency', 'p(99)'],
  ['ingest_latency', 'p(99)'],
  ['feed_latency', 'p(99)'],
  ['cache_latency', 'p(99)'],
  ['sent_rate', 'avg'],
  ['ingest_rate', 'avg'],
  ['ru', 'avg'],
  ['throttled', 'rate'],
  ['lost_events', 'count'],
  ['duplicated_events', 'count'],
  ['out_of_order_events', 'count'],
  ['corrupted_events', 'count'],
  ['late_events', 'count'],
  ['dropped_events', 'count'],
];

/** `worse`: a regression beyond the limit; `same`: within the noise of repeated runs or the limit. */
export type ComparisonVerdict = 'better' | 'same' | 'worse';

export interface ComparedMetric {
  readonly metric: string;
  readonly aggregation: string;
  readonly unit: MetricUnit;
  /** Medians of each side; of what was lost, duplicated, reordered or corrupted the most of any run. */
  readonly baseline: number;
  readonly current: number;
  /** Relative change, absent where the baseline is 0. */
  readonly change?: number;
  /** Half the spread of the side that differs most among itself, relative to the baseline; 0 with one run each. */
  readonly noise: number;
  readonly verdict: ComparisonVerdict;
}

export interface Comparison {
  readonly ok: boolean;
  readonly maxRegression: number;
  readonly metrics: readonly ComparedMetric[];
  /** Why the comparison should not be trusted, though it was made. */
  readonly doubts: readonly string[];
  /** False with a single run of each side: then a change cannot be told from noise. */
  readonly knowsNoise: boolean;
}

/** A single slowest event is shown and decides nothing: it differs by more than any limit from run to run. */
const SHOWN_ONLY = 'max';
/** The most of any run counts: a median of three would excuse the one that lost something. */
const NEVER_EXCUSED: ReadonlySet<string> = new Set([
  'lost_events',
  'duplicated_events',
  'out_of_order_events',
  'corrupted_events',
]);
/** Of all requests: so few refusals are nothing, even where there were none before. */
const FEW_THROTTLED = 0.001;

/**
 * Holds reports against baselines of the same scenario, median against median. A metric is worse when it moved in its bad
 * direction by more than `maxRegression` (0.1 = 10 %) and by more than the runs of one side differ among themselves, be
 * they reports of their own or repeats within one; anything lost, duplicated, reordered or corrupted that the baseline did
 * not have is always worse.
 */
export function compareReports(
  baselines: readonly RunReport[],
  currents: readonly RunReport[],
  maxRegression: number,
): Comparison {
  const before = baselines.map(figuresOf);
  const after = currents.map(figuresOf);
  const metrics: ComparedMetric[] = [];
  const missing: string[] = [];
  for (const [name, aggregation] of COMPARED) {
    const old = sideOf(before, name, aggregation);
    const side = sideOf(after, name, aggregation);
    if (old !== undefined && side === undefined) missing.push(`${name}:${aggregation}`);
    if (old === undefined || side === undefined) continue;
    const { metric } = side;
    const [baseline, current] = NEVER_EXCUSED.has(name)
      ? [old.greatest, side.greatest]
      : [old.median, side.median];
    const noise = baseline === 0 ? 0 : Math.max(old.spread, side.spread) / 2 / baseline;
    const badness = isShownOnly(name, aggregation)
      ? 0
      : metric.better === 'lower'
        ? current - baseline
        : baseline - current;
    const allowed = Math.max(maxRegression, noise) * baseline;
    const limit =
      name === 'throttled' ? Math.max(allowed, FEW_THROTTLED) : metric.unit === 'events' ? 0 : allowed;
    metrics.push({
      metric: name,
      aggregation,
      unit: metric.unit,
      baseline,
      current,
      ...(baseline !== 0 && { change: (current - baseline) / baseline }),
      noise,
      verdict: badness > limit ? 'worse' : badness < -limit ? 'better' : 'same',
    });
  }
  const runs = [...baselines, ...currents];
  return {
    ok: metrics.every(({ verdict }) => verdict !== 'worse'),
    maxRegression,
    metrics,
    doubts: doubtsAbout(baselines, currents, missing),
    knowsNoise: runs.length > 2 || runs.some(({ repeats }) => repeats !== undefined),
  };
}

function isShownOnly(name: string, aggregation: string): boolean {
  return name === 'e2e_latency' && aggregation === SHOWN_ONLY;
}

function doubtsAbout(
  baselines: readonly RunReport[],
  currents: readonly RunReport[],
  missing: readonly string[],
): string[] {
  const reports = [...baselines, ...currents];
  const doubts: string[] = [];
  if (currents.some(({ valid }) => !valid)) doubts.push('a current report says that it is not trustworthy');
  if (baselines.some(({ valid }) => !valid)) doubts.push('a baseline says that it is not trustworthy');
  if (currents.some((report) => baselines.some((baseline) => isDeepStrictEqual(report, baseline))))
    doubts.push('a current report is a baseline as well');
  const differs = (of: (report: RunReport) => string): boolean => new Set(reports.map(of)).size > 1;
  const settings = differingSettings(reports);
  // A pipeline of fewer stages says by itself why their figures are not there.
  if (missing.length > 0 && !differs(stagesOf))
    doubts.push(`only the baseline has ${missing.join(', ')}: what was not measured cannot be worse`);
  if (settings.length > 0) doubts.push(`the loads differ and do not compare: ${settings.join('; ')}`);
  else if (differs(({ title }) => title)) doubts.push('the reports are of different loads');
  if (differs(({ environment }) => `${environment.cpuModel} x${environment.cpuCount}`))
    doubts.push('the reports are of different machines');
  if (differs(({ environment }) => environment.node))
    doubts.push('the reports are of different versions of Node');
  return doubts;
}

/** `size 1KB and 2KB`: what was asked of the runs in different ways. */
function differingSettings(reports: readonly RunReport[]): string[] {
  const all = reports.map(settingsOf);
  const known = [...new Set(all.flatMap((settings) => [...settings.keys()]))];
  // A prediction has settings of its own, none of which a measured run could have.
  const isOneKind = new Set(reports.map(({ kind }) => kind)).size === 1;
  const names = isOneKind ? known : known.filter((name) => all.every((settings) => settings.has(name)));
  return names.flatMap((name) => {
    const values = [...new Set(all.map((settings) => settings.get(name) ?? 'none'))];
    return values.length > 1 ? [`${name} ${values.join(' and ')}`] : [];
  });
}

function stagesOf({ stages }: Pick<RunReport, 'stages'>): string {
  return stages.map(({ name }) => name).join(' -> ');
}

function settingsOf({ config, kind, ru, stages }: RunReport): ReadonlyMap<string, string> {
  const settings = new Map<string, string>([
    ['kind', kind],
    ['pipeline', stagesOf({ stages })],
  ]);
  const add = (name: string, value: unknown): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [key, inner] of Object.entries(value)) add(`${name} ${key}`, inner);
    else settings.set(name, Array.isArray(value) ? value.join(' ') : String(value));
  };
  for (const [name, value] of Object.entries(config)) add(name, value);
  const { provisionedPerSecond } = ru ?? {};
  if (provisionedPerSecond !== undefined) add('throughput', provisionedPerSecond);
  return settings;
}

interface Figures {
  readonly report: RunReport;
  readonly metrics: ReadonlyMap<string, Metric>;
}

function figuresOf(report: RunReport): Figures {
  return { report, metrics: metricsOf(report) };
}

interface Side {
  readonly metric: Metric;
  readonly median: number;
  readonly greatest: number;
  readonly spread: number;
}

/** One figure of one side; `undefined` when none of its reports has it. */
function sideOf(figures: readonly Figures[], name: string, aggregation: string): Side | undefined {
  const middles: number[] = [];
  const all: number[] = [];
  let found: Metric | undefined;
  for (const { metrics, report } of figures) {
    const metric = metrics.get(name);
    const value = metric && aggregate(metric, aggregation);
    if (value === undefined) continue;
    found ??= metric;
    const repeated = report.repeats?.metrics.find(
      (one) => one.metric === name && one.aggregation === aggregation,
    );
    middles.push(repeated?.median ?? value);
    all.push(repeated?.min ?? value, repeated?.max ?? value);
  }
  if (found === undefined) return undefined;
  const greatest = Math.max(...all);
  return { metric: found, median: median(middles), greatest, spread: greatest - Math.min(...all) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
