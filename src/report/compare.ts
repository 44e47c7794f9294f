import { formatMetric, formatShare } from './format.ts';
import { aggregate, metricsOf } from './metrics.ts';
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
  /** Median of the baselines. */
  readonly baseline: number;
  readonly current: number;
  /** Relative change, absent where the baseline is 0. */
  readonly change?: number;
  /** Half the spread of the baselines relative to their median; 0 with a single one. */
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

/**
 * Holds a report against one or several baselines of the same scenario. A metric is worse when it moved in its bad
 * direction by more than `maxRegression` (0.1 = 10 %) and by more than the baselines differ among themselves; anything
 * lost, duplicated, reordered or corrupted that the baseline did not have is always worse.
 */
export function compareReports(
  baselines: readonly RunReport[],
  current: RunReport,
  maxRegression: number,
): Comparison {
  const before = baselines.map(metricsOf);
  const after = metricsOf(current);
  const metrics: ComparedMetric[] = [];
  for (const [name, aggregation] of COMPARED) {
    const metric = after.get(name);
    const value = metric && aggregate(metric, aggregation);
    const values = before.flatMap((report) => {
      const old = report.get(name);
      const oldValue = old && aggregate(old, aggregation);
      return oldValue === undefined ? [] : [oldValue];
    });
    if (metric === undefined || value === undefined || values.length === 0) continue;
    const baseline = median(values);
    const noise = baseline === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / baseline;
    const change = baseline === 0 ? undefined : (value - baseline) / baseline;
    const badness = metric.better === 'lower' ? value - baseline : baseline - value;
    const limit = metric.unit === 'events' ? 0 : Math.max(maxRegression, noise) * baseline;
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
    doubts: doubtsAbout(baselines, current),
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
    verdict === 'worse' ? `${marks[verdict]}, limit ${formatShare(maxRegression)}` : marks[verdict],
  ]);
  return [
    ...doubts.map((doubt) => `  ! ${doubt}`),
    ...formatTable([['', names[0] ?? 'baseline', names[1] ?? 'current', 'CHANGE', 'NOISE', ''], ...rows], {
      indent: 2,
      left: [0, 5],
    }),
  ].join('\n');
}

function doubtsAbout(baselines: readonly RunReport[], current: RunReport): string[] {
  const doubts: string[] = [];
  if (!current.valid) doubts.push('the current report says that it is not trustworthy');
  if (baselines.some(({ valid }) => !valid)) doubts.push('a baseline says that it is not trustworthy');
  if (baselines.some(({ title }) => title !== current.title))
    doubts.push('the reports are of different loads');
  const machine = ({ environment }: RunReport): string => `${environment.cpuModel} x${environment.cpuCount}`;
  if (baselines.some((baseline) => machine(baseline) !== machine(current)))
    doubts.push('the reports are of different machines');
  return doubts;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
