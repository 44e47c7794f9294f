import { expect, it } from 'vitest';
import { watchQuiet } from '../../src/util/quiet.ts';

it('counts the time in which nothing happened, but not a pause of the process itself', () => {
  let now = 0;
  const quiet = watchQuiet({ now: () => now }, 100);
  for (now = 100; now < 500; now += 100) expect(quiet.lookMs()).toBe(now);
  now = 60_000;
  expect(quiet.lookMs()).toBe(600);
  now += 30;
  quiet.broken();
  now += 40;
  expect(quiet.lookMs()).toBe(40);
});
