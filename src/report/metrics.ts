import { Histogram, type HistogramSummary } from '../metrics/histogram.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import { backlogSummary } from './backlog.ts';
import { hottestRange, throttledMs } from './ranges.ts';
import type { RunReport } from './run-report.ts';

export type MetricUnit = 'ms' | 'events/s' | 'events' | 'RU' | 'RU/s' | 'share' | 'money';

/** A figure of a report, by the name that thresholds, comparisons and exports use for it. */
export interface Metric {
  readonly unit: MetricUnit;
  /** A metric with a distribution answers any percentile; the others only the aggregations listed. */
  readonly histogram?: HistogramSummary;
  readonly values: Readonly<Record<string, number>>;
  /** Which direction is a regression. */
  readonly better: 'lower' | 'higher';
}

/** What metrics are taken from: a report, or the figures of a run that has not ended. */
type Measured = Pick<RunReport, 'stages'> &
  Partial<Pick<RunReport, 'cost' | 'durationMs' | 'endToEnd' | 'load' | 'ru' | 'verdict' | 'process'>>;

/** Every metric of a report that can be gated on, by name. */
export function metricsOf(report: Measured): ReadonlyMap<string, Metric> {
  const metrics = new Map<string, Metric>();
  if (report.endToEnd !== undefined) metrics.set('e2e_latency', distribution(report.endToEnd));
  for (const stage of report.stages) addStage(metrics, stage);
  const { cost, load, ru, verdict, process } = report;
  const backlog = backlogSummary(report);
  if (backlog !== undefined)
    metrics.set('backlog', { unit: 'events', values: { max: backlog.maxEvents }, better: 'lower' });
  if (backlog?.drainMs !== undefined)
    metrics.set('drain_time', { unit: 'ms', values: { max: backlog.drainMs }, better: 'lower' });
  if (load !== undefined) {
    metrics.set('dropped_events', counter(load.dropped, load.dropped + load.sent));
    metrics.set('sent_rate', { unit: 'events/s', values: { avg: load.achievedPerSecond }, better: 'higher' });
    if (load.hottestKey !== undefined) metrics.set('hottest_key', counter(load.hottestKey.events, load.sent));
  }
  if (ru !== undefined) {
    const operations = Object.values(ru.operations).reduce((sum, { count }) => sum + count, 0);
    metrics.set('throttled', counter(ru.throttled, operations + ru.throttled));
    metrics.set('ru', {
      unit: 'RU',
      values: { sum: ru.requestCharge, ...(ru.perWrite !== undefined && { avg: ru.perWrite }) },
      better: 'lower',
    });
    metrics.set('ru_rate', {
      unit: 'RU/s',
      values: { avg: ru.perSecond, max: ru.busiestPerSecond },
      better: 'lower',
    });
    metrics.set('throttled_time', { unit: 'ms', values: { sum: throttledMs(ru) }, better: 'lower' });
    const hottest = hottestRange(ru);
    if (hottest !== undefined)
      metrics.set('hottest_range', { unit: 'share', values: { rate: hottest.share }, better: 'lower' });
  }
  if (cost !== undefined)
    metrics.set('cost', {
      unit: 'money',
      values: { run: cost.run, hour: cost.perHour, month: cost.perMonth, million: cost.perMillionEvents },
      better: 'lower',
    });
  if (verdict !== undefined) {
    const { totals, acknowledged } = verdict;
    metrics.set('lost_events', counter(totals.lost, acknowledged));
    metrics.set('duplicated_events', counter(totals.duplicated, acknowledged));
    metrics.set('out_of_order_events', counter(totals.outOfOrder, acknowledged));
    metrics.set('late_events', counter(totals.late, acknowledged));
    metrics.set('corrupted_events', counter(totals.corrupted, acknowledged));
    metrics.set('unexpected_events', counter(totals.unexpected, acknowledged));
  }
  if (load?.scheduling !== undefined) metrics.set('scheduling_error', distribution(load.scheduling));
  if (process !== undefined)
    metrics.set('loop_delay', {
      unit: 'ms',
      values: {
        med: process.eventLoopDelayP50Ms,
        'p(50)': process.eventLoopDelayP50Ms,
        'p(99)': process.eventLoopDelayP99Ms,
        max: process.eventLoopDelayMaxMs,
      },
      better: 'lower',
    });
  return metrics;
}

/** `p(99)`, `p(99.9)`, `med`, `avg`, `count` ... of a metric; `undefined` when it has no such aggregation. */
export function aggregate(metric: Metric, aggregation: string): number | undefined {
  const direct = metric.values[aggregation];
  if (direct !== undefined) return direct;
  const percentile = /^p\((\d+(?:\.\d+)?)\)$/.exec(aggregation)?.[1];
  if (percentile === undefined || metric.histogram === undefined || Number(percentile) > 100)
    return undefined;
  return Histogram.decode(metric.histogram.histogramMicros).percentile(Number(percentile)) / 1000;
}

function addStage(metrics: Map<string, Metric>, stage: StageSummary): void {
  const { name, series } = stage;
  const attempted = stage.done + stage.failed;
  const busy = series.done.slice(
    series.done.findIndex((done) => done > 0),
    series.done.findLastIndex((done) => done > 0) + 1,
  );
  const perSecond = busy.map((done) => (done * 1000) / series.intervalMs);
  metrics.set(`${name}_rate`, {
    unit: 'events/s',
    values: {
      avg: stage.donePerSecond,
      ...(perSecond.length > 0 && { min: Math.min(...perSecond), max: Math.max(...perSecond) }),
    },
    better: 'higher',
  });
  metrics.set(`${name}_errors`, counter(stage.failed, attempted));
  metrics.set(`${name}_throttled`, counter(stage.throttled, attempted + stage.throttled));
  if (stage.latency.count > 0) metrics.set(`${name}_latency`, distribution(stage.latency));
  if (stage.serviceTime.count > 0) metrics.set(`${name}_service_time`, distribution(stage.serviceTime));
}

function distribution(summary: HistogramSummary): Metric {
  return {
    unit: 'ms',
    histogram: summary,
    values: {
      count: summary.count,
      min: summary.minMs,
      avg: summary.meanMs,
      med: summary.p50Ms,
      'p(50)': summary.p50Ms,
      'p(90)': summary.p90Ms,
      'p(95)': summary.p95Ms,
      'p(99)': summary.p99Ms,
      'p(99.9)': summary.p999Ms,
      max: summary.maxMs,
    },
    better: 'lower',
  };
}

function counter(count: number, of: number): Metric {
  return { unit: 'events', values: { count, rate: of === 0 ? 0 : count / of }, better: 'lower' };
}
