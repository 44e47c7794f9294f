import type { RuRangeSummary, RuSummary } from '../metrics/ru-recorder.ts';

/** How many partition key ranges a summary speaks of; charges that name no range count for none. */
export function rangeCount({ ranges }: RuSummary): number {
  return Object.entries(ranges).reduce((sum, [id, { alike = 1 }]) => (id === '*' ? sum : sum + alike), 0);
}

/** The range that took most of the load, its share, and what would be fair; `undefined` with fewer than two ranges. */
export function hottestRange(ru: RuSummary):
  | {
      readonly id: string;
      readonly range: RuRangeSummary;
      readonly share: number;
      readonly fairShare: number;
    }
  | undefined {
  const named = Object.entries(ru.ranges).filter(([id]) => id !== '*');
  const total = named.reduce((sum, [, range]) => sum + range.requestCharge, 0);
  const count = rangeCount(ru);
  if (count < 2 || total === 0) return undefined;
  const [hottest] = named
    .map(([id, range]) => ({ id, range: singleRange(range) }))
    .sort((a, b) => b.range.requestCharge - a.range.requestCharge);
  return hottest && { ...hottest, share: hottest.range.requestCharge / total, fairShare: 1 / count };
}

/** Time in which some range refused requests, to the interval of the series. */
export function throttledMs({ intervalMs, ranges }: RuSummary): number {
  const refused = new Set<number>();
  for (const { throttledSeries } of Object.values(ranges))
    for (const [slot, count] of throttledSeries.entries()) if (count > 0) refused.add(slot);
  return refused.size * intervalMs;
}

/** One range of those that a summary adds up. */
export function singleRange(range: RuRangeSummary): RuRangeSummary {
  const { alike = 1 } = range;
  if (alike === 1) return range;
  return {
    requestCharge: range.requestCharge / alike,
    throttled: range.throttled / alike,
    requestChargeSeries: range.requestChargeSeries.map((charge) => charge / alike),
    throttledSeries: range.throttledSeries.map((count) => count / alike),
  };
}

/**
 * Mean over a whole run, over a second at least: readers that poll before and after a load make it no longer, nor, of a moment,
 * more than its busiest second.
 */
export function chargePerSecond({ busiestPerSecond, requestCharge }: RuSummary, durationMs: number): number {
  const mean = Math.round((requestCharge * 100_000) / Math.max(1_000, durationMs)) / 100;
  return Math.min(busiestPerSecond, mean);
}
