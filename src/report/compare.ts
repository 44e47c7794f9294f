import { formatMetric, formatShare } from './format.ts';
import { aggregate, type Metric, metricsOf } from './metrics.ts';
import type { RunReport } from './run-report.ts';
import { formatTable } from './table.ts';

/** What is compared: metric and aggregation, where both reports have them. */
const COMPARED: readonly (readonly [metric: string, aggregation: string])[] = [
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
  ['dropped_events', 'count'],
];

/** `worse`: a regression beyond the limit; `same`: within the noise of repeated baselines or the limit. */
type ComparisonVerdict = 'better' | 'same' | 'worse';

interface ComparedMetric {
  readonly metric: string;
  readonly aggregation: string;
  readonly unit: string;
  /** Medians of each side. */
  readonly baseline: number;
  readonly current: number;
  /** Relative change, absent where the baseline is 0. */
  readonly change?: number;
  /** Half the spread of the side that differs most among itself, relative to the baseline; 0 with one report each. */
  readonly noise: number;
  readonly verdict: ComparisonVerdict;
}

export interface Comparison {
  readonly ok: boolean;
  readonly maxRegression: number;
  readonly metrics: readonly ComparedMetric[];
  /** Why the comparison should not be trusted, though it was made. */
  readonly doubts: readonly string[];
}

/** A single slowest event is shown and decides nothing: it differs by more than any limit from run to run. */
const SHOWN_ONLY = 'max';
/** Of all requests: so few refusals are nothing, even where there were none before. */
const FEW_THROTTLED = 0.001;

/**
 * Holds reports against baselines of the same scenario, median against median. A metric is worse when it moved in its bad
 * direction by more than `maxRegression` (0.1 = 10 %) and by more than the reports of one side differ among themselves;
 * anything lost, duplicated, reordered or corrupted that the baseline did not have is always worse.
 */
export function compareReports(
  baselines: readonly RunReport[],
  currents: readonly RunReport[],
  maxRegression: number,
): Comparison {
  const before = baselines.map(metricsOf);
  const after = currents.map(metricsOf);
  const metrics: ComparedMetric[] = [];
  for (const [name, aggregation] of COMPARED) {
    const metric = after[0]?.get(name);
    const old = valuesOf(before, name, aggregation);
    const values = valuesOf(after, name, aggregation);
    if (metric === undefined || values.length === 0 || old.length === 0) continue;
    const baseline = median(old);
    const value = median(values);
    const noise = baseline === 0 ? 0 : Math.max(spread(old), spread(values)) / 2 / baseline;
    const change = baseline === 0 ? undefined : (value - baseline) / baseline;
    const badness =
      aggregation === SHOWN_ONLY ? 0 : metric.better === 'lower' ? value - baseline : baseline - value;
    const allowed = Math.max(maxRegression, noise) * baseline;
    const limit =
      name === 'throttled' ? Math.max(allowed, FEW_THROTTLED) : metric.unit === 'events' ? 0 : allowed;
    metrics.push({
      metric: name,
      aggregation,
      unit: metric.unit,
      baseline,
      current: value,
      ...(change !== undefined && { change }),
      noise,
      verdict: badness > limit ? 'worse' : badness < -limit ? 'better' : 'same',
    });
  }
  return {
    ok: metrics.every(({ verdict }) => verdict !== 'worse'),
    maxRegression,
    metrics,
    doubts: doubtsAbout(baselines, currents),
  };
}

export function renderComparison(comparison: Comparison, names: readonly string[]): string {
  const { doubts, maxRegression, metrics } = comparison;
  const marks: Readonly<Record<ComparisonVerdict, string>> = {
    better: '✓ better',
    same: '',
    worse: '✗ worse',
  };
  const rows = metrics.map(({ aggregation, baseline, change, current, metric, noise, unit, verdict }) => [
    `${metric}:${aggregation}`,
    formatMetric(baseline, unit as never, aggregation),
    formatMetric(current, unit as never, aggregation),
    change === undefined ? '' : `${change >= 0 ? '+' : ''}${formatShare(change)}`,
    noise === 0 ? '' : `± ${formatShare(noise)}`,
    verdict === 'worse'
      ? `${marks[verdict]}, limit ${formatShare(Math.max(maxRegression, noise))}`
      : marks[verdict],
  ]);
  return [
    ...doubts.map((doubt) => `  ! ${doubt}`),
    ...formatTable([['', names[0] ?? 'baseline', names[1] ?? 'current', 'CHANGE', 'NOISE', ''], ...rows], {
      indent: 2,
      left: [0, 5],
    }),
  ].join('\n');
}

function doubtsAbout(baselines: readonly RunReport[], currents: readonly RunReport[]): string[] {
  const doubts: string[] = [];
  if (currents.some(({ valid }) => !valid)) doubts.push('a current report says that it is not trustworthy');
  if (baselines.some(({ valid }) => !valid)) doubts.push('a baseline says that it is not trustworthy');
  const differs = (of: (report: RunReport) => string): boolean =>
    new Set([...baselines, ...currents].map(of)).size > 1;
  if (differs(({ title }) => title)) doubts.push('the reports are of different loads');
  if (differs(({ environment }) => `${environment.cpuModel} x${environment.cpuCount}`))
    doubts.push('the reports are of different machines');
  return doubts;
}

function valuesOf(
  reports: readonly ReadonlyMap<string, Metric>[],
  name: string,
  aggregation: string,
): number[] {
  return reports.flatMap((report) => {
    const metric = report.get(name);
    const value = metric && aggregate(metric, aggregation);
    return value === undefined ? [] : [value];
  });
}

function spread(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
