import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withPoisonPolicy } from '../../../src/cosmos/change-feed/poison.ts';
import type { FeedChange, FeedPage } from '../../../src/cosmos/change-feed/types.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

const never = new AbortController().signal;
const instantly = { ...createVirtualClock(), sleep: async () => {} };

function pageOf(count: number): FeedPage {
  const changes = Array.from({ length: count }, (_, index): FeedChange => {
    const id = `item-${index}`;
    return { id, partitionKey: 'k', lsn: index + 1, storedMs: 0, operation: 'upsert', item: { id } };
  });
  return {
    rangeId: '0',
    feedRange: { min: '', max: 'FF' },
    changes,
    continuation: `"${count}"`,
    lsn: count,
    lagItems: 0,
    receivedMs: 0,
    requestCharge: 1,
  };
}

it('puts exactly the poisonous changes aside and keeps the order of the others', async () => {
  const poisoned = fc.uniqueArray(fc.nat(30), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 31 }), poisoned, async (count, bad) => {
      const poison = new Set(bad.filter((index) => index < count).map((index) => `item-${index}`));
      const accepted: string[] = [];
      const aside: string[] = [];
      const handler = withPoisonPolicy(
        ({ changes }) => {
          if (changes.some(({ id }) => poison.has(id))) throw new Error('poison');
          accepted.push(...changes.map(({ id }) => id));
        },
        { attempts: 2, backoffMs: 1, onPoison: ({ id }) => void aside.push(id) },
        instantly,
        never,
      );
      await handler(pageOf(count));
      expect(new Set(aside)).toEqual(poison);
      const numbers = accepted.map((id) => Number(id.slice(5)));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(accepted.length + aside.length).toBe(count);
    }),
  );
});

it('gives the parts of a page their own continuation', async () => {
  const continuations: string[] = [];
  const handler = withPoisonPolicy(
    ({ changes, continuation }) => {
      if (changes.length > 2) throw new Error('too many');
      continuations.push(continuation);
    },
    { attempts: 1, backoffMs: 1, onPoison: () => {} },
    instantly,
    never,
  );
  await handler(pageOf(4));
  expect(continuations).toEqual(['"2"', '"4"']);
});

it('hands a page over again before it gives up, and then throws without a place for poison', async () => {
  let calls = 0;
  const handler = withPoisonPolicy(
    () => {
      calls += 1;
      throw new Error('down');
    },
    { attempts: 3, backoffMs: 1 },
    instantly,
    never,
  );
  await expect(handler(pageOf(3))).rejects.toThrow('down');
  expect(calls).toBe(3);
});
