import { expect, it } from 'vitest';
import { takeBatch } from '../../src/cosmos/writer/batch.ts';
import { KeyDirectory } from '../../src/cosmos/writer/key-directory.ts';
import { appendPending, createRangeLane, pushReady } from '../../src/cosmos/writer/lanes.ts';

/** A range whose keys have so many operations waiting. */
function queue(counts: Readonly<Record<string, number>>) {
  const range = createRangeLane('0', { maxRequests: 1, maxOperations: 100 }, undefined, 0);
  const keys = new KeyDirectory({ minInclusive: [''], lanes: [range] }, () => '');
  for (const [key, count] of Object.entries(counts)) {
    const lane = keys.laneOf(key);
    for (let i = 0; i < count; i++)
      appendPending(lane, {
        operation: { kind: 'upsert', id: `${key}${i}`, partitionKey: key, body: '{}' },
        settled: () => {},
        fence: undefined,
        lane,
        bodyBytes: 2,
        acceptedAt: 0,
        attempts: 0,
        companyLimit: 100,
        unsure: false,
        next: undefined,
      });
    pushReady(lane);
  }
  const take = (maxOperations: number) =>
    takeBatch(range, { maxOperations, maxBytes: 100_000 }).operations.map(({ operation }) => operation.id);
  return { range, take };
}

it('lets every key have its share of a request before any key has more', () => {
  expect(queue({ a: 9, b: 9, c: 9, d: 9 }).take(4)).toEqual(['a0', 'b0', 'c0', 'd0']);
  expect(queue({ a: 9, b: 9 }).take(4)).toEqual(['a0', 'a1', 'b0', 'b1']);
});

it('gives the room that others leave to a key that has more, in its order', () => {
  expect(queue({ a: 9, b: 1, c: 1 }).take(9)).toEqual(['a0', 'a1', 'a2', 'b0', 'c0', 'a3', 'a4', 'a5', 'a6']);
  expect(queue({ a: 200 }).take(100)).toHaveLength(100);
});

it('takes one operation of each key while refusals are frequent', () => {
  const { range, take } = queue({ a: 9, b: 9 });
  range.distinctKeys = 1;
  expect(take(10)).toEqual(['a0', 'b0']);
});
