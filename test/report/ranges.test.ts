import { expect, it } from 'vitest';
import {
  chargePerSecond,
  hottestRange,
  rangeCount,
  singleRange,
  throttledMs,
} from '../../src/report/ranges.ts';
import { sampleReport } from './sample-report.ts';

const range = (requestCharge: number, throttledSeries: readonly number[] = [], alike?: number) => ({
  requestCharge,
  throttled: throttledSeries.reduce((sum, count) => sum + count, 0),
  requestChargeSeries: [requestCharge],
  throttledSeries,
  ...(alike !== undefined && { alike }),
});

function summary(ranges: Readonly<Record<string, ReturnType<typeof range>>>) {
  const { ru } = sampleReport();
  if (ru === undefined) throw new Error('the sample has request units');
  return { ...ru, intervalMs: 2_000, ranges };
}

it('counts an interval in which anything was refused once, in whichever ranges that was', () => {
  expect(throttledMs(summary({ 0: range(1, [0, 3, 0, 1]), 1: range(1, [0, 1, 2]) }))).toBe(6_000);
  expect(throttledMs(summary({ 0: range(1, [0, 0]) }))).toBe(0);
});

it('takes one of the ranges that a simulation added up for one range', () => {
  const many = summary({ hot: range(500), cold: range(900, [9], 3), '*': range(7_000) });
  expect(rangeCount(many)).toBe(4);
  expect(hottestRange(many)).toMatchObject({ id: 'hot', share: 500 / 1_400, fairShare: 0.25 });
  expect(singleRange(range(900, [9], 3))).toEqual(range(300, [3]));
});

it('calls no range the hottest of one, nor of a container that took nothing', () => {
  expect(hottestRange(summary({ 0: range(500), '*': range(1) }))).toBeUndefined();
  expect(hottestRange(summary({ 0: range(0), 1: range(0) }))).toBeUndefined();
});

it('has a mean of the whole run, which no moment and no poll beside the load makes more than its busiest second', () => {
  const spent = { ...summary({}), requestCharge: 60_000, busiestPerSecond: 7_000 };
  expect(chargePerSecond(spent, 10_000)).toBe(6_000);
  expect(chargePerSecond(spent, 5_000)).toBe(7_000);
  expect(chargePerSecond({ ...spent, requestCharge: 12.345 }, 300)).toBe(12.35);
});
