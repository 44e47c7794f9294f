import type { Timeline } from './backlog.ts';
import type { RuReport } from './run-report.ts';

/** More points than that cannot be told apart on any screen the report is read on. */
const MAX_POINTS = 320;

export type Folding = 'mean' | 'max' | 'last';

/** Fewer, wider intervals: each the mean, the greatest or the last of what it covers. */
export function coarsen(
  { intervalMs, values }: Timeline,
  folding: Folding,
  maxPoints = MAX_POINTS,
): Timeline {
  const size = Math.max(1, Math.ceil(values.length / maxPoints));
  if (size === 1) return { intervalMs, values };
  const folded: number[] = [];
  for (let from = 0; from < values.length; from += size) {
    const part = values.slice(from, from + size);
    if (folding === 'last') folded.push(part.at(-1) as number);
    else if (folding === 'max') folded.push(part.reduce((most, value) => Math.max(most, value), 0));
    else folded.push(part.reduce((sum, value) => sum + value, 0) / part.length);
  }
  return { intervalMs: intervalMs * size, values: folded };
}

/** Points of a timeline as [seconds, value]; the last value is held to the end of its interval. */
export function pointsOf({ intervalMs, values }: Timeline): [number, number][] {
  const points = values.map((value, slot): [number, number] => [(slot * intervalMs) / 1000, value]);
  const last = values.at(-1);
  if (last !== undefined) points.push([(values.length * intervalMs) / 1000, last]);
  return points;
}

export function perSecond(counts: readonly number[], intervalMs: number): Timeline {
  return { intervalMs, values: counts.map((count) => (count * 1000) / intervalMs) };
}

/** Request units per second over all ranges, and the seconds in which something was refused. */
export function ruTimeline(ru: RuReport): {
  readonly charge: Timeline;
  readonly throttledAt: readonly number[];
} {
  const ranges = Object.values(ru.ranges);
  const length = Math.max(0, ...ranges.map(({ requestChargeSeries }) => requestChargeSeries.length));
  const totals = new Array<number>(length).fill(0);
  const refused = new Array<number>(length).fill(0);
  for (const { requestChargeSeries, throttledSeries } of ranges) {
    for (let slot = 0; slot < length; slot += 1) {
      (totals[slot] as number) += requestChargeSeries[slot] ?? 0;
      (refused[slot] as number) += throttledSeries[slot] ?? 0;
    }
  }
  const { intervalMs, values } = coarsen({ intervalMs: ru.intervalMs, values: refused }, 'max');
  return {
    charge: coarsen(perSecond(totals, ru.intervalMs), 'max'),
    throttledAt: values.flatMap((count, slot) => (count > 0 ? [((slot + 0.5) * intervalMs) / 1000] : [])),
  };
}
