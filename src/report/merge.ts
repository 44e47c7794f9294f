import { mergeHistogramSummaries } from '../metrics/histogram.ts';
import { mergeRuSummaries, mergeStageSummaries } from '../metrics/merge.ts';
import type { ProcessSummary } from '../metrics/process-monitor.ts';
import type { AnomalyKind, Hop, Place, PlaceVerdict, Verdict } from '../pipeline/verify/verify.ts';
import { findBottleneck } from './bottleneck.ts';
import { driftOf } from './drift.ts';
import { chargePerSecond } from './ranges.ts';
import type { LoadSummary, RunReport, RuReport } from './run-report.ts';
import { evaluateThresholds } from './thresholds.ts';

/**
 * Adds the reports of shards that ran at the same time: counts are summed, histograms added (percentiles never averaged),
 * series aligned by their start, thresholds evaluated again. The settings are those of the first.
 */
export function mergeReports(reports: readonly RunReport[]): RunReport {
  const [first] = reports;
  if (first === undefined) throw new RangeError('nothing to merge');
  if (reports.length === 1) return first;
  const ends = reports.map((report) => Date.parse(report.startedAt) + report.durationMs);
  const startedMs = Math.min(...reports.map((report) => Date.parse(report.startedAt)));
  const names = [...new Set(reports.flatMap(({ stages }) => stages.map(({ name }) => name)))];
  const stages = names.map((name) =>
    mergeStageSummaries(reports.flatMap((report) => report.stages.filter((stage) => stage.name === name))),
  );
  const durationMs = Math.max(...ends) - startedMs;
  const ru = mergeRu(present(reports, 'ru'), durationMs);
  const apart = ranApart(reports);
  const load = mergeLoad(present(reports, 'load'));
  const endToEnd = present(reports, 'endToEnd');
  const verdict = mergeVerdicts(present(reports, 'verdict'));
  const process = mergeProcesses(present(reports, 'process'));
  const bottleneck = findBottleneck(stages, ru, first.config);
  const drift = driftOf({ stages, ...(process && { process }) });
  const merged: RunReport = {
    schemaVersion: first.schemaVersion,
    kind: first.kind,
    toolVersion: first.toolVersion,
    run: [...new Set(reports.map(({ run }) => run))].join(','),
    title: `${first.title}, ${reports.length} shards`,
    startedAt: new Date(startedMs).toISOString(),
    durationMs,
    valid: reports.every(({ valid }) => valid) && apart.length === 0,
    doubts: [
      ...reports.flatMap(({ doubts }, shard) => doubts.map((doubt) => `shard ${shard + 1}: ${doubt}`)),
      ...apart,
    ],
    environment: first.environment,
    config: first.config,
    ...(load && { load }),
    stages,
    ...(endToEnd.length > 0 && { endToEnd: mergeHistogramSummaries(endToEnd) }),
    ...(ru && { ru }),
    ...(verdict && { verdict }),
    thresholds: [],
    ...(bottleneck && { bottleneck }),
    ...(process && { process }),
    ...(drift && { drift }),
  };
  return { ...merged, thresholds: evaluateThresholds(merged, first.thresholds) };
}

/** What shards are doubted for that did not run at the same time. A verification has no rates, and may come when it likes. */
function ranApart(reports: readonly RunReport[]): string[] {
  const times = reports
    .filter(({ stages }) => stages.length > 0)
    .map(({ durationMs, startedAt }, index) => ({
      shard: index + 1,
      durationMs,
      startMs: Date.parse(startedAt),
    }))
    .sort((a, b) => a.startMs - b.startMs);
  let endMs = Number.POSITIVE_INFINITY;
  return times.flatMap(({ durationMs, shard, startMs }, index) => {
    const isApart = index > 0 && startMs >= endMs;
    endMs = index === 0 ? startMs + durationMs : Math.max(endMs, startMs + durationMs);
    return isApart
      ? [`shard ${shard} began when those before it had ended: the rates and the backlog are those of no run`]
      : [];
  });
}

function present<K extends keyof RunReport>(
  reports: readonly RunReport[],
  member: K,
): NonNullable<RunReport[K]>[] {
  return reports.flatMap((report) => {
    const value = report[member];
    return value === undefined || value === null ? [] : [value as NonNullable<RunReport[K]>];
  });
}

function mergeLoad(loads: readonly LoadSummary[]): LoadSummary | undefined {
  if (loads.length === 0) return undefined;
  const sum = (pick: (load: LoadSummary) => number | undefined): number =>
    loads.reduce((total, load) => total + (pick(load) ?? 0), 0);
  return {
    requestedEvents: sum((load) => load.requestedEvents),
    requestedPerSecond: sum((load) => load.requestedPerSecond),
    achievedPerSecond: sum((load) => load.achievedPerSecond),
    sent: sum((load) => load.sent),
    dropped: sum((load) => load.dropped),
    late: sum((load) => load.late),
    ...schedulingOf(loads),
    ...hottestOf(loads),
  };
}

function schedulingOf(loads: readonly LoadSummary[]): Pick<LoadSummary, 'scheduling'> {
  const known = loads.flatMap(({ scheduling }) => scheduling ?? []);
  return known.length === 0 ? {} : { scheduling: mergeHistogramSummaries(known) };
}

/** The key of most events over all shards that name one; a key that is never a shard's hottest is not known. */
function hottestOf(loads: readonly LoadSummary[]): Pick<LoadSummary, 'hottestKey'> {
  const events = new Map<string, number>();
  for (const { hottestKey } of loads)
    if (hottestKey !== undefined)
      events.set(hottestKey.key, (events.get(hottestKey.key) ?? 0) + hottestKey.events);
  const [hottest] = [...events].sort(([, a], [, b]) => b - a);
  return hottest === undefined ? {} : { hottestKey: { key: hottest[0], events: hottest[1] } };
}

function mergeRu(parts: readonly RuReport[], durationMs: number): RuReport | undefined {
  if (parts.length === 0) return undefined;
  const { provisionedPerSecond } = parts[0] as RuReport;
  const writes = parts.reduce((sum, part) => sum + writesOf(part), 0);
  const charge = parts.reduce((sum, part) => sum + (part.perWrite ?? 0) * writesOf(part), 0);
  const merged = mergeRuSummaries(parts);
  return {
    ...merged,
    perSecond: chargePerSecond(merged, durationMs),
    ...(provisionedPerSecond !== undefined && { provisionedPerSecond }),
    ...(writes > 0 && { perWrite: Math.round((charge / writes) * 100) / 100 }),
  };
}

function writesOf({ operations, perWrite }: RuReport): number {
  if (perWrite === undefined) return 0;
  return Object.entries(operations).reduce(
    (sum, [kind, { count }]) =>
      ['read', 'query', 'changeFeed', 'metadata'].includes(kind) ? sum : sum + count,
    0,
  );
}

/** Each shard is held against its own ledger, so counts of different shards are about different events. */
function mergeVerdicts(verdicts: readonly Verdict[]): Verdict | undefined {
  const [first] = verdicts;
  if (first === undefined) return undefined;
  const places = [...new Set(verdicts.flatMap((verdict) => verdict.places.map(({ place }) => place)))];
  const latency = (hop: Hop) => mergeHistogramSummaries(verdicts.map((verdict) => verdict.latency[hop]));
  const injected: Record<string, number> = {};
  for (const verdict of verdicts) {
    for (const [kind, count] of Object.entries(verdict.injected))
      injected[kind] = (injected[kind] ?? 0) + count;
  }
  return {
    ok: verdicts.every(({ ok }) => ok),
    acknowledged: verdicts.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    ledger: verdicts.find(({ ledger }) => ledger !== 'complete')?.ledger ?? 'complete',
    places: places.map((place) => mergePlaces(place, verdicts)),
    totals: sumCounts(verdicts.map(({ totals }) => totals)),
    examples: verdicts.flatMap(({ examples }) => examples),
    injected,
    latency: {
      enqueue: latency('enqueue'),
      ingest: latency('ingest'),
      feed: latency('feed'),
      endToEnd: latency('endToEnd'),
    },
  };
}

function mergePlaces(place: Place, verdicts: readonly Verdict[]): PlaceVerdict {
  const parts = verdicts.flatMap((verdict) => verdict.places.filter((part) => part.place === place));
  return {
    place,
    observed: parts.reduce((sum, { observed }) => sum + observed, 0),
    events: parts.reduce((sum, { events }) => sum + events, 0),
    counts: sumCounts(parts.map(({ counts }) => counts)),
    redelivered: parts.reduce((sum, { redelivered }) => sum + redelivered, 0),
    rewritten: parts.reduce((sum, { rewritten }) => sum + rewritten, 0),
  };
}

function sumCounts(parts: readonly Readonly<Record<AnomalyKind, number>>[]): Record<AnomalyKind, number> {
  const sum = (kind: AnomalyKind): number => parts.reduce((total, counts) => total + counts[kind], 0);
  return {
    lost: sum('lost'),
    duplicated: sum('duplicated'),
    outOfOrder: sum('outOfOrder'),
    late: sum('late'),
    corrupted: sum('corrupted'),
    unexpected: sum('unexpected'),
  };
}

/** Delays of the worst process, CPU time of all, memory of the largest. */
function mergeProcesses(parts: readonly ProcessSummary[]): ProcessSummary | undefined {
  if (parts.length === 0) return undefined;
  const max = (pick: (part: ProcessSummary) => number): number => Math.max(...parts.map(pick));
  const largest = parts.reduce((most, part) => (part.rssMaxBytes > most.rssMaxBytes ? part : most));
  return {
    eventLoopDelayP50Ms: max((part) => part.eventLoopDelayP50Ms),
    eventLoopDelayP99Ms: max((part) => part.eventLoopDelayP99Ms),
    eventLoopDelayMaxMs: max((part) => part.eventLoopDelayMaxMs),
    cpuUserMs: parts.reduce((sum, part) => sum + part.cpuUserMs, 0),
    cpuSystemMs: parts.reduce((sum, part) => sum + part.cpuSystemMs, 0),
    rssMaxBytes: max((part) => part.rssMaxBytes),
    ...(largest.rssSeries && { rssSeries: largest.rssSeries }),
  };
}
