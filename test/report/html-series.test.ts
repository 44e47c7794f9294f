import { expect, it } from 'vitest';
import { coarsen, pointsOf, ruTimeline } from '../../src/report/html-series.ts';
import { sampleReport } from './sample-report.ts';

it('marks refused requests in the middle of their interval, and adds the charges of all ranges', () => {
  const { ru } = sampleReport();
  if (ru === undefined) throw new Error('the sample has request units');
  const range = (requestChargeSeries: number[], throttledSeries: number[]) => ({
    requestCharge: 0,
    throttled: 0,
    requestChargeSeries,
    throttledSeries,
  });
  const ranges = { 0: range([100, 200, 300], [0, 0, 1]), 1: range([10, 20], [1]) };
  expect(ruTimeline({ ...ru, intervalMs: 2_000, ranges })).toEqual({
    charge: { intervalMs: 2_000, values: [55, 110, 150] },
    throttledAt: [1, 5],
  });
});

it('keeps the mean, the greatest or the last of what it draws as one point', () => {
  const timeline = { intervalMs: 1_000, values: [1, 5, 3, 2, 7] };
  expect(coarsen(timeline, 'mean', 3)).toEqual({ intervalMs: 2_000, values: [3, 2.5, 7] });
  expect(coarsen(timeline, 'max', 3).values).toEqual([5, 3, 7]);
  expect(coarsen(timeline, 'last', 3).values).toEqual([5, 2, 7]);
  expect(coarsen(timeline, 'max', 5)).toEqual(timeline);
  expect(pointsOf({ intervalMs: 2_000, values: [4, 6] })).toEqual([
    [0, 4],
    [2, 6],
    [4, 6],
  ]);
  expect(pointsOf({ intervalMs: 2_000, values: [] })).toEqual([]);
});
