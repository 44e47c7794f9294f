import { COMPARED } from './compare.ts';
import { formatMetric } from './format.ts';
import { aggregate, metricsOf } from './metrics.ts';
import type { RepeatedMetric, RunReport } from './run-report.ts';
import { formatTable } from './table.ts';

/** What a person is shown of the repeats; the report has what a comparison needs. */
const SHOWN: readonly (readonly [metric: string, aggregation: string])[] = [
  ['e2e_latency', 'p(50)'],
  ['e2e_latency', 'p(99)'],
  ['e2e_latency', 'max'],
  ['ingest_rate', 'avg'],
  ['ru', 'avg'],
  ['throttled', 'count'],
  ['lost_events', 'count'],
];

/**
 * One report of several runs of the same load: the run whose p99 is the median, with the spread of all of them beside it.
 * It is trusted only when every run is, its thresholds hold only when they held every time, and its verdict is the first
 * bad one.
 */
export function joinRepeats(reports: readonly RunReport[]): RunReport {
  const byLatency = reports.toSorted((a, b) => (a.endToEnd?.p99Ms ?? 0) - (b.endToEnd?.p99Ms ?? 0));
  const middle = byLatency[Math.floor((byLatency.length - 1) / 2)];
  if (middle === undefined) throw new RangeError('there is no run to report');
  if (reports.length === 1) return middle;
  const bad = reports.find((report) => report.verdict?.ok === false);
  return {
    ...middle,
    ...(bad?.verdict && { verdict: bad.verdict }),
    valid: reports.every(({ valid }) => valid),
    doubts: reports.flatMap(({ doubts }, index) => doubts.map((doubt) => `run ${index + 1}: ${doubt}`)),
    thresholds: middle.thresholds.map(
      (threshold, index) =>
        reports.map((report) => report.thresholds[index]).find((one) => one?.ok === false) ?? threshold,
    ),
    repeats: { runs: reports.map(({ run }) => run), metrics: spreads(reports) },
  };
}

function spreads(reports: readonly RunReport[]): RepeatedMetric[] {
  const all = reports.map(metricsOf);
  const known = new Map([...SHOWN, ...COMPARED].map((pair) => [pair.join(':'), pair]));
  return [...known.values()].flatMap(([metric, aggregation]) => {
    const values = all
      .flatMap((metrics) => {
        const found = metrics.get(metric);
        const value = found && aggregate(found, aggregation);
        return value === undefined ? [] : [value];
      })
      .sort((a, b) => a - b);
    if (values.length === 0) return [];
    const [min = 0] = values;
    const median = ((values[(values.length - 1) >> 1] ?? 0) + (values[values.length >> 1] ?? 0)) / 2;
    return [{ metric, aggregation, median, min, max: values.at(-1) ?? 0 }];
  });
}

export const REPEAT_HEADER = ['metric', 'median', 'range', 'noise'] as const;

/** The main figures over all runs, under {@link REPEAT_HEADER}; none where there was a single run. */
export function repeatRows(report: RunReport): string[][] {
  const { repeats } = report;
  if (repeats === undefined) return [];
  const metrics = metricsOf(report);
  const shown = new Set(SHOWN.map((pair) => pair.join(':')));
  const listed = repeats.metrics.filter(({ metric, aggregation }) => shown.has(`${metric}:${aggregation}`));
  return listed.map(({ metric, aggregation, median, min, max }) => {
    const unit = metrics.get(metric)?.unit ?? 'events';
    const show = (value: number): string => formatMetric(value, unit, aggregation);
    const noise = median === 0 ? '' : `+-${(((max - min) / 2 / median) * 100).toFixed(0)}%`;
    return [`${metric} ${aggregation}`, show(median), `${show(min)} to ${show(max)}`, noise];
  });
}

/** `e2e_latency p(99)   120ms   110ms to 150ms   +-17%`, one line per metric. */
export function repeatLines(report: RunReport): string[] {
  const rows = repeatRows(report);
  if (rows.length === 0) return [];
  return formatTable([REPEAT_HEADER.map((label) => label.toUpperCase()), ...rows], { indent: 4 });
}
