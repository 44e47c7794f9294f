import { Histogram, type HistogramSummary } from '../metrics/histogram.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { Hop, PlaceVerdict, Verdict } from '../pipeline/verify/verify.ts';
import { backlogSummary } from './backlog.ts';
import type { MetricUnit } from './metric-catalog.ts';
import { hottestRange, throttledMs } from './ranges.ts';
import type { RunReport, RuReport } from './run-report.ts';

/** A figure of a report, by the name that thresholds, comparisons and exports use for it. */
export interface Metric {
  readonly unit: MetricUnit;
  /** A metric with a distribution answers any percentile; the others only the aggregations listed. */
  readonly histogram?: HistogramSummary;
  readonly values: Readonly<Record<string, number>>;
  /** The other direction is a regression; `neither` for what only describes a run. */
  readonly better: 'lower' | 'higher' | 'neither';
}

/** What metrics are taken from: a report, or the figures of a run that has not ended. */
type Measured = Pick<RunReport, 'stages'> &
  Partial<
    Pick<
      RunReport,
      'cost' | 'drift' | 'durationMs' | 'endToEnd' | 'load' | 'process' | 'ru' | 'search' | 'verdict'
    >
  >;

/** Every metric of a report that can be gated on, by name: those of {@link METRICS} that it has. */
export function metricsOf(report: Measured): ReadonlyMap<string, Metric> {
  const metrics = new Map<string, Metric>();
  if (report.endToEnd !== undefined && report.endToEnd.count > 0)
    metrics.set('e2e_latency', distribution(report.endToEnd));
  for (const stage of report.stages) addStage(metrics, stage);
  const { cost, drift, durationMs, load, ru, search, verdict, process } = report;
  const single = (
    name: string,
    unit: MetricUnit,
    values: Metric['values'],
    better: Metric['better'] = 'lower',
  ) => metrics.set(name, { unit, values, better });
  const backlog = backlogSummary(report);
  if (backlog !== undefined) single('backlog', 'events', { max: backlog.maxEvents });
  if (backlog?.drainMs !== undefined) single('drain_time', 'ms', { max: backlog.drainMs });
  if (durationMs !== undefined) single('duration', 'ms', { max: durationMs });
  if (load !== undefined) {
    const arrivals = load.dropped + load.sent;
    metrics.set('dropped_events', counter(load.dropped, arrivals));
    metrics.set('late_arrivals', counter(load.late, arrivals));
    single('sent_rate', 'events/s', { avg: load.achievedPerSecond }, 'higher');
    if (load.hottestKey !== undefined) metrics.set('hottest_key', counter(load.hottestKey.events, load.sent));
    if (load.scheduling !== undefined && load.scheduling.count > 0)
      metrics.set('scheduling_error', distribution(load.scheduling));
  }
  if (search !== undefined) single('max_rate', 'events/s', { max: search.ratePerSecond }, 'higher');
  if (ru !== undefined) addRequestUnits(metrics, ru);
  if (cost !== undefined)
    single('cost', 'money', {
      run: cost.run,
      hour: cost.perHour,
      month: cost.perMonth,
      million: cost.perMillionEvents,
    });
  if (verdict !== undefined) addVerdict(metrics, verdict);
  if (drift !== undefined) {
    if (drift.latency !== undefined) single('latency_drift', 'share', { rate: drift.latency.change });
    if (drift.backlog !== undefined)
      single('backlog_drift', 'events', { count: drift.backlog.late - drift.backlog.early });
    if (drift.memory !== undefined)
      single('memory_drift', 'bytes', {
        rate: drift.memory.change,
        ...(drift.memory.perHour !== undefined && { hour: drift.memory.perHour }),
      });
  }
  if (process !== undefined) {
    single('loop_delay', 'ms', {
      med: process.eventLoopDelayP50Ms,
      'p(50)': process.eventLoopDelayP50Ms,
      'p(99)': process.eventLoopDelayP99Ms,
      max: process.eventLoopDelayMaxMs,
    });
    single('cpu_time', 'ms', { sum: process.cpuUserMs + process.cpuSystemMs });
    single('memory', 'bytes', { max: process.rssMaxBytes });
  }
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

function addRequestUnits(metrics: Map<string, Metric>, ru: RuReport): void {
  const operations = Object.values(ru.operations).reduce((sum, { count }) => sum + count, 0);
  metrics.set('throttled', counter(ru.throttled, operations + ru.throttled));
  metrics.set('throttled_time', { unit: 'ms', values: { sum: throttledMs(ru) }, better: 'lower' });
  metrics.set('ru', {
    unit: 'RU',
    values: { sum: ru.requestCharge, ...(ru.perWrite !== undefined && { avg: ru.perWrite }) },
    better: 'lower',
  });
  for (const [kind, { count, requestCharge }] of Object.entries(ru.operations))
    metrics.set(`ru_${kind.replace('changeFeed', 'change_feed')}`, {
      unit: 'RU',
      values: { ...(count > 0 && { avg: requestCharge / count }), sum: requestCharge, count },
      better: 'lower',
    });
  metrics.set('ru_rate', {
    unit: 'RU/s',
    values: { avg: ru.perSecond, max: ru.busiestPerSecond },
    better: 'lower',
  });
  const { provisionedPerSecond: provisioned = 0 } = ru;
  if (provisioned > 0)
    metrics.set('ru_used', {
      unit: 'share',
      values: { avg: ru.perSecond / provisioned, max: ru.busiestPerSecond / provisioned },
      better: 'lower',
    });
  const hottest = hottestRange(ru);
  if (hottest !== undefined)
    metrics.set('hottest_range', { unit: 'share', values: { rate: hottest.share }, better: 'lower' });
}

function addVerdict(metrics: Map<string, Metric>, { acknowledged, latency, places, totals }: Verdict): void {
  const most = (pick: (place: PlaceVerdict) => number): number => Math.max(0, ...places.map(pick));
  metrics.set('lost_events', counter(totals.lost, acknowledged));
  metrics.set('duplicated_events', counter(totals.duplicated, acknowledged));
  metrics.set('out_of_order_events', counter(totals.outOfOrder, acknowledged));
  metrics.set('late_events', counter(totals.late, acknowledged));
  metrics.set('corrupted_events', counter(totals.corrupted, acknowledged));
  metrics.set('unexpected_events', counter(totals.unexpected, acknowledged));
  metrics.set(
    'redelivered_events',
    counter(
      most((place) => place.redelivered),
      acknowledged,
    ),
  );
  metrics.set(
    'rewritten_events',
    counter(
      most((place) => place.rewritten),
      acknowledged,
    ),
  );
  for (const [hop, name] of Object.entries(HOPS) as [Hop, string][])
    if (latency[hop].count > 0) metrics.set(name, distribution(latency[hop]));
}

const HOPS: Readonly<Record<Hop, string>> = {
  enqueue: 'hop_enqueue',
  ingest: 'hop_ingest',
  feed: 'hop_feed',
  endToEnd: 'hop_e2e',
};

function addStage(metrics: Map<string, Metric>, stage: StageSummary): void {
  const { name, series } = stage;
  const attempted = stage.done + stage.failed;
  const perSecond = wholeSlots(series.done).map((done) => (done * 1000) / series.intervalMs);
  metrics.set(`${name}_rate`, {
    unit: 'events/s',
    values: {
      avg: stage.donePerSecond,
      ...(perSecond.length > 0 && { min: Math.min(...perSecond), max: Math.max(...perSecond) }),
    },
    better: 'higher',
  });
  metrics.set(`${name}_offered_rate`, {
    unit: 'events/s',
    values: { avg: stage.offeredPerSecond },
    better: 'neither',
  });
  metrics.set(`${name}_events`, { unit: 'events', values: { count: stage.done }, better: 'neither' });
  metrics.set(`${name}_bytes`, { unit: 'bytes', values: { sum: stage.sizeBytes }, better: 'neither' });
  metrics.set(`${name}_in_flight`, { unit: 'events', values: { max: stage.inFlightMax }, better: 'lower' });
  metrics.set(`${name}_errors`, counter(stage.failed, attempted));
  metrics.set(`${name}_throttled`, counter(stage.throttled, attempted + stage.throttled));
  if (stage.latency.count > 0) metrics.set(`${name}_latency`, distribution(stage.latency));
  if (stage.serviceTime.count > 0) metrics.set(`${name}_service_time`, distribution(stage.serviceTime));
}

/** What was done in the slots from the first work to the last, without those two: work began and ended somewhere in them. */
function wholeSlots(done: readonly number[]): readonly number[] {
  const first = done.findIndex((count) => count > 0);
  const last = done.findLastIndex((count) => count > 0);
  return last - first < 2 ? done.slice(Math.max(0, first), last + 1) : done.slice(first + 1, last);
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
