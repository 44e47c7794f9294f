import { expect, it } from 'vitest';
import { nextPollMs, pollIntervals } from '../../../src/cosmos/change-feed/polling.ts';

it('does not wait while pages are full, lets small pages grow, and asks an idle range ever less often', () => {
  const intervals = pollIntervals(500);
  expect(nextPollMs(500, 'full', intervals)).toBe(0);
  expect(nextPollMs(0, 'some', intervals)).toBe(10);
  const waits: number[] = [];
  while (waits.length < 8) waits.push(nextPollMs(waits.at(-1) ?? 10, 'none', intervals));
  expect(waits).toEqual([20, 40, 80, 160, 320, 500, 500, 500]);
});

it('never waits longer than the user allows', () => {
  expect(nextPollMs(0, 'some', pollIntervals(3))).toBe(3);
  expect(nextPollMs(3, 'none', pollIntervals(3))).toBe(3);
});
