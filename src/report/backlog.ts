import type { StageSummary } from '../metrics/stage-recorder.ts';
import { formatDurationMs } from '../util/duration.ts';
import type { RunReport } from './run-report.ts';

/** Values at equal distances since the start of the run. */
export interface Timeline {
  readonly intervalMs: number;
  readonly values: readonly number[];
}

export interface BacklogSummary {
  /** Most events that were due and not through, at the end of an interval of the series. */
  readonly maxEvents: number;
  /** From the end of the schedule until everything was through; absent where there was no schedule. */
  readonly drainMs?: number;
}

/** How far the pipeline was behind its load, and for how long after it; `undefined` without stages. */
export function backlogSummary(
  report: Pick<RunReport, 'stages'> & Partial<Pick<RunReport, 'durationMs' | 'load'>>,
): BacklogSummary | undefined {
  if (report.stages.length < 2) return undefined;
  const { requestedEvents, requestedPerSecond = 0 } = report.load ?? {};
  const hasSchedule =
    report.durationMs !== undefined && requestedEvents !== undefined && requestedPerSecond > 0;
  return {
    maxEvents: backlogOf(report).values.reduce((most, events) => Math.max(most, events), 0),
    ...(hasSchedule && {
      drainMs: Math.max(0, report.durationMs - (requestedEvents * 1000) / requestedPerSecond),
    }),
  };
}

/** `gone 23.6s after the load`; `undefined` where there was no schedule. */
export function drainText({ drainMs }: BacklogSummary): string | undefined {
  if (drainMs === undefined) return undefined;
  return drainMs < 1 ? 'gone with the load' : `gone ${formatDurationMs(drainMs)} after the load`;
}

/** Events that were due and had not reached the end of the last stage, over time. */
export function backlogOf({ stages }: Pick<RunReport, 'stages'>): Timeline {
  const [first] = stages;
  const last = stages.at(-1);
  if (first === undefined || last === undefined) return { intervalMs: 1000, values: [] };
  const { intervalMs } = first.series;
  const endMs = Math.max(0, ...stages.map(({ series }) => series.done.length * series.intervalMs));
  const length = Math.ceil(endMs / intervalMs);
  const values: number[] = [];
  let due = 0;
  let done = 0;
  for (let slot = 0; slot < length; slot += 1) {
    due += first.series.offered[slot] ?? 0;
    done += countBetween(last, slot * intervalMs, (slot + 1) * intervalMs, first.startedMicros);
    values.push(Math.max(0, Math.round(due - done)));
  }
  return { intervalMs, values };
}

/** What a stage finished between two moments after `zeroMicros`; its own slots may start later or be wider. */
function countBetween(stage: StageSummary, fromMs: number, toMs: number, zeroMicros: number): number {
  const { done, intervalMs } = stage.series;
  const shiftMs = (stage.startedMicros - zeroMicros) / 1000;
  const first = Math.max(0, Math.floor((fromMs - shiftMs) / intervalMs));
  let sum = 0;
  for (let slot = first; slot < done.length && slot * intervalMs + shiftMs < toMs; slot += 1) {
    const startMs = slot * intervalMs + shiftMs;
    const overlap = Math.min(toMs, startMs + intervalMs) - Math.max(fromMs, startMs);
    if (overlap > 0) sum += ((done[slot] as number) * overlap) / intervalMs;
  }
  return sum;
}
