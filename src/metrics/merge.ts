import { mergeHistogramSummaries } from './histogram.ts';
import type { RuOperationSummary, RuRangeSummary, RuSummary } from './ru-recorder.ts';
import { type Fold, Series } from './series.ts';
import { ratePerSecond, type StageSeries, type StageSummary } from './stage-recorder.ts';
import type { RuOperation } from './types.ts';

interface Part {
  readonly startedMicros: number;
  readonly intervalMs: number;
}

/** Adds what workers or shards recorded of the same stage. Their clocks must agree to about a second. */
export function mergeStageSummaries(parts: readonly StageSummary[]): StageSummary {
  const first = parts[0];
  if (first === undefined) throw new RangeError('nothing to merge');
  if (parts.length === 1) return first;
  const total = (pick: (part: StageSummary) => number): number => parts.reduce((sum, p) => sum + pick(p), 0);
  const startedMicros = Math.min(...parts.map((part) => part.startedMicros));
  const activeMs = Math.max(
    ...parts.map((part) => (part.startedMicros - startedMicros) / 1000 + part.activeMs),
  );
  const errors: Record<string, number> = {};
  for (const part of parts) addCounts(errors, part.errors);
  const offered = total((part) => part.offered);
  const done = total((part) => part.done);
  const align = aligner(parts.map((part) => ({ ...part, intervalMs: part.series.intervalMs })));
  const series = (name: Exclude<keyof StageSeries, 'intervalMs'>, fold: Fold): number[] =>
    align.fold(
      parts.map((part) => part.series[name]),
      fold,
    );
  return {
    name: first.name,
    startedMicros,
    activeMs,
    offered,
    done,
    sizeBytes: total((part) => part.sizeBytes),
    failed: total((part) => part.failed),
    errors,
    throttled: total((part) => part.throttled),
    inFlightMax: total((part) => part.inFlightMax),
    offeredPerSecond: ratePerSecond(offered, activeMs),
    donePerSecond: ratePerSecond(done, activeMs),
    serviceTime: mergeHistogramSummaries(parts.map((part) => part.serviceTime)),
    latency: mergeHistogramSummaries(parts.map((part) => part.latency)),
    series: {
      intervalMs: align.intervalMs,
      offered: series('offered', 'sum'),
      done: series('done', 'sum'),
      failed: series('failed', 'sum'),
      throttled: series('throttled', 'sum'),
      inFlightMax: series('inFlightMax', 'sum'),
      latencyP50Ms: series('latencyP50Ms', 'max'),
      latencyP99Ms: series('latencyP99Ms', 'max'),
    },
  };
}

/** Adds the request units of several processes that used the same container. */
export function mergeRuSummaries(parts: readonly RuSummary[]): RuSummary {
  const first = parts[0];
  if (first === undefined) throw new RangeError('nothing to merge');
  if (parts.length === 1) return first;
  const align = aligner(parts);
  const operations: Partial<Record<RuOperation, RuOperationSummary>> = {};
  for (const part of parts) {
    for (const [kind, added] of Object.entries(part.operations) as [RuOperation, RuOperationSummary][]) {
      const before = operations[kind];
      operations[kind] = {
        count: (before?.count ?? 0) + added.count,
        requestCharge: cents((before?.requestCharge ?? 0) + added.requestCharge),
      };
    }
  }
  const ranges: Record<string, RuRangeSummary> = {};
  for (const rangeId of new Set(parts.flatMap((part) => Object.keys(part.ranges)))) {
    const of = (pick: (range: RuRangeSummary) => readonly number[]): number[] =>
      align
        .fold(
          parts.map((part) => (part.ranges[rangeId] ? pick(part.ranges[rangeId]) : [])),
          'sum',
        )
        .map(cents);
    const total = (pick: (range: RuRangeSummary) => number): number =>
      cents(parts.reduce((sum, part) => sum + (part.ranges[rangeId] ? pick(part.ranges[rangeId]) : 0), 0));
    ranges[rangeId] = {
      requestCharge: total((range) => range.requestCharge),
      throttled: total((range) => range.throttled),
      requestChargeSeries: of((range) => range.requestChargeSeries),
      throttledSeries: of((range) => range.throttledSeries),
    };
  }
  const perSlot = align.fold(
    Object.values(ranges).map((range) => range.requestChargeSeries),
    'sum',
    false,
  );
  return {
    startedMicros: align.startedMicros,
    intervalMs: align.intervalMs,
    requestCharge: cents(parts.reduce((sum, part) => sum + part.requestCharge, 0)),
    throttled: parts.reduce((sum, part) => sum + part.throttled, 0),
    perSecond: cents(parts.reduce((sum, part) => sum + part.perSecond, 0)),
    busiestPerSecond: cents((Math.max(0, ...perSlot) * 1000) / align.intervalMs),
    operations,
    ranges,
  };
}

/** Puts series that began at different times, possibly with different intervals, on one axis. */
function aligner(parts: readonly Part[]) {
  const startedMicros = Math.min(...parts.map((part) => part.startedMicros));
  const intervalMs = Math.max(...parts.map((part) => part.intervalMs));
  return {
    startedMicros,
    intervalMs,
    /** `shifted`: the i-th series belongs to the i-th part; otherwise all of them are on the common axis already. */
    fold(series: readonly (readonly number[])[], fold: Fold, shifted = true): number[] {
      const merged = new Series(fold);
      let length = 0;
      for (const [index, values] of series.entries()) {
        const part = shifted ? parts[index] : undefined;
        const offsetMs = part === undefined ? 0 : (part.startedMicros - startedMicros) / 1000;
        const stepMs = part?.intervalMs ?? intervalMs;
        for (const [slot, value] of values.entries()) {
          const at = Math.floor((offsetMs + slot * stepMs) / intervalMs);
          merged.record(at, value);
          length = Math.max(length, at + 1);
        }
      }
      return merged.toArray(length);
    },
  };
}

function addCounts(into: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [kind, count] of Object.entries(counts)) into[kind] = (into[kind] ?? 0) + count;
}

function cents(requestUnits: number): number {
  return Math.round(requestUnits * 100) / 100;
}
