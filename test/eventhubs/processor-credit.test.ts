import { expect, it } from 'vitest';
import { limitCredit } from '../../src/eventhubs/processor-credit.ts';

it('never lets the credit of a link rise above the limit, and tops it up as events arrive', () => {
  const link = {
    credit: 0,
    addCredit(credit: number) {
      this.credit += credit;
    },
  };
  limitCredit(link, 1_000);
  for (let page = 0; page < 50; page++) link.addCredit(1_000);
  expect(link.credit).toBe(1_000);
  link.credit -= 300;
  link.addCredit(1_000);
  expect(link.credit).toBe(1_000);
});

it('leaves a link of another shape alone', () => {
  const link = { grant: () => 1 };
  limitCredit(link, 10);
  expect(Object.keys(link)).toEqual(['grant']);
});
