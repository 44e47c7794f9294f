import { formatBytes } from '../util/bytes.ts';
import { formatDurationMs } from '../util/duration.ts';
import { backlogOf, type Timeline } from './backlog.ts';
import { formatCount, formatMetric, formatShare } from './format.ts';
import type { Drift, Drifted, DriftKind, RunReport } from './run-report.ts';

/** Shorter loads have not settled, so that everything grows a little. */
const MIN_LOAD_MS = 60_000;
/** Of the load: what compiles code and fills pools. */
const SETTLING_SHARE = 0.1;
/** A load that differs so much between its quarters is meant to change. */
const STEADY_SHARE = 0.1;
const QUARTERS = 4;
/** A heap may still be settling before, and a slope over less is no forecast. */
const SETTLED_MS = 600_000;
const UNSETTLED_MEMORY_SHARE = 0.25;
/** What grows less, or less than that in figures, is noise; seconds' p99 and a backlog of moments are noisier than memory. */
const NOISE: Readonly<Record<DriftKind, { readonly share: number; readonly least: number }>> = {
  memory: { share: 0.1, least: 16e6 },
  latency: { share: 0.5, least: 20 },
  backlog: { share: 0.5, least: 100 },
};

/** Compares the ends of a load of one minute or more at a steady rate; `undefined` for any other. */
export function driftOf({ process, stages }: Pick<RunReport, 'process' | 'stages'>): Drift | undefined {
  const [source] = stages;
  const last = stages.at(-1);
  if (source === undefined || last === undefined) return undefined;
  const offered: Timeline = { intervalMs: source.series.intervalMs, values: source.series.offered };
  const endMs = (offered.values.findLastIndex((count) => count > 0) + 1) * offered.intervalMs;
  const rates = quarterMedians(offered, endMs);
  if (endMs < MIN_LOAD_MS || Math.max(...rates) > (1 + STEADY_SHARE) * Math.min(...rates)) return undefined;
  const latency: Timeline = { intervalMs: last.series.intervalMs, values: last.series.latencyP99Ms };
  const rss = process?.rssSeries;
  const quarters: Readonly<Partial<Record<DriftKind, readonly number[]>>> = {
    ...(rss && { memory: quarterMedians({ intervalMs: rss.intervalMs, values: rss.bytes }, endMs) }),
    ...(last.latency.count > 0 && { latency: quarterMedians(latency, endMs) }),
    backlog: quarterMedians(backlogOf({ stages }), endMs),
  };
  const isSettled = endMs >= SETTLED_MS;
  const higher = (Object.keys(quarters) as DriftKind[]).filter((kind) =>
    isHigher(kind, quarters[kind] ?? [], isSettled),
  );
  const growing = higher.filter((kind) => isRising(quarters[kind] ?? []));
  const ends = Object.fromEntries(
    Object.entries(quarters).map(([kind, medians]) => [kind, endsOf(medians)]),
  ) as Partial<Record<DriftKind, Drifted>>;
  const hours = (endMs * (1 - SETTLING_SHARE) * (1 - 1 / QUARTERS)) / 3_600_000;
  const { backlog, memory } = ends;
  const drift = {
    growing,
    ...(memory && {
      memory: { ...memory, ...(isSettled && { perHour: (memory.late - memory.early) / hours }) },
    }),
    ...(ends.latency && { latency: ends.latency }),
    ...(backlog && { backlog }),
  };
  const unsteady = higher.filter((kind) => !growing.includes(kind));
  return { sentence: sentenceOf(drift, unsteady), ...drift };
}

export const DRIFT_HEADER = ['', 'first quarter', 'last quarter', 'change', ''] as const;

/** Figures of the drift, under {@link DRIFT_HEADER}. */
export function driftRows({ backlog, latency, memory }: Omit<Drift, 'sentence'>): string[][] {
  const row = (
    name: string,
    { change, early, late }: Drifted,
    show: (value: number) => string,
    note = '',
  ): string[] => [
    name,
    show(early),
    show(late),
    early === 0 ? '' : `${change < 0 ? '' : '+'}${formatShare(change)}`,
    note,
  ];
  return [
    ...(memory
      ? [
          row(
            'memory',
            memory,
            showBytes,
            memory.perHour === undefined ? '' : formatMetric(memory.perHour, 'bytes', 'hour'),
          ),
        ]
      : []),
    ...(latency ? [row('end to end p99', latency, formatDurationMs)] : []),
    ...(backlog ? [row('backlog', backlog, formatCount)] : []),
  ];
}

function showBytes(bytes: number): string {
  return formatBytes(Math.round(bytes));
}

function sentenceOf(drift: Omit<Drift, 'sentence'>, unsteady: readonly DriftKind[]): string {
  const { backlog, growing, latency, memory } = drift;
  const parts = growing.map((kind) => {
    if (kind === 'memory' && memory !== undefined)
      return `memory grew by ${formatShare(memory.change)}${memory.perHour === undefined ? '' : `, ${formatMetric(memory.perHour, 'bytes', 'hour')}`}`;
    if (kind === 'latency' && latency !== undefined)
      return `the p99 grew from ${formatDurationMs(latency.early)} to ${formatDurationMs(latency.late)}`;
    return `the backlog grew from ${formatCount(backlog?.early ?? 0)} to ${formatCount(backlog?.late ?? 0)} events`;
  });
  const trend =
    parts.length === 0 ? 'nothing grew' : `${parts.join('; ')}, from quarter to quarter of the load`;
  if (unsteady.length === 0) return trend;
  const names = unsteady.map((kind) =>
    kind === 'latency' ? 'the p99' : kind === 'memory' ? kind : 'the backlog',
  );
  return `${trend}; ${names.join(' and ')} ended higher without rising steadily, as on a busy machine`;
}

function isHigher(kind: DriftKind, medians: readonly number[], isSettled: boolean): boolean {
  const { early, late } = endsOf(medians);
  const { least, share } = NOISE[kind];
  const noise = kind === 'memory' && !isSettled ? UNSETTLED_MEMORY_SHARE : share;
  return late - early > Math.max(least, noise * early);
}

/** In every quarter: a busy moment of the machine ends again, what leaks does not. */
function isRising(medians: readonly number[]): boolean {
  return medians.every((median, quarter) => median >= (medians[quarter - 1] ?? 0));
}

function endsOf(medians: readonly number[]): Drifted {
  const early = medians[0] ?? 0;
  const late = medians.at(-1) ?? 0;
  return { early, late, change: early === 0 ? 0 : late / early - 1 };
}

/** The median of each quarter of a load, its settling left out. */
function quarterMedians({ intervalMs, values }: Timeline, endMs: number): number[] {
  const from = Math.ceil((endMs * SETTLING_SHARE) / intervalMs);
  const until = Math.min(values.length, Math.floor(endMs / intervalMs));
  const size = (until - from) / QUARTERS;
  return Array.from({ length: QUARTERS }, (_, quarter) =>
    median(values.slice(Math.round(from + quarter * size), Math.round(from + (quarter + 1) * size))),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? 0) + upper) / 2;
}
