import type { RuRangeSummary, RuSummary } from '../metrics/ru-recorder.ts';

/** How many partition key ranges a summary speaks of; charges that name no range count for none. */
export function rangeCount({ ranges }: RuSummary): number {
  return Object.entries(ranges).reduce((sum, [id, { alike = 1 }]) => (id === '*' ? sum : sum + alike), 0);
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
