import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PartitionOwnership } from '../../src/eventhubs/checkpoint-store.ts';
import { planBalance } from '../../src/eventhubs/processor-balance.ts';

const owned = (partitionId: string, ownerId: string, lastModifiedTimeInMs = 1_000): PartitionOwnership => ({
  ...{ fullyQualifiedNamespace: 'n', eventHubName: 'h', consumerGroup: 'g' },
  ...{ partitionId, ownerId, lastModifiedTimeInMs },
});
const IDS = ['0', '1', '2', '3'];
const plan = (owners: readonly PartitionOwnership[], mine: readonly string[] = []) =>
  planBalance({ partitionIds: IDS, owners, me: 'me', mine: new Set(mine), nowMs: 2_000, expiryMs: 5_000 });

it('takes everything when nobody else is there, what an earlier life of it owned included', () => {
  expect(plan([owned('1', 'me'), owned('2', ''), owned('3', 'dead', -4_000)])).toEqual({
    take: IDS,
    steal: [],
  });
});

it('takes from whoever has most, and only while that has two more', () => {
  expect(plan(IDS.map((id) => owned(id, 'other')))).toEqual({ take: [], steal: ['3', '2'] });
  expect(plan([owned('0', 'a'), owned('1', 'a'), owned('2', 'b')], ['3'])).toEqual({ take: [], steal: [] });
});

it('comes to rest within one partition of each other, with every partition owned, however many take turns', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 32 }),
      fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 60 }),
      (partitionCount, turns) => {
        const partitionIds = Array.from({ length: partitionCount }, (_, id) => String(id));
        const processes = [...new Set(turns)];
        const owners = new Map<string, string>();
        const turn = (process: number) => {
          const me = `p${process}`;
          const mine = new Set(partitionIds.filter((id) => owners.get(id) === me));
          const all = [...owners].map(([id, owner]) => owned(id, owner));
          const view = { partitionIds, owners: all, me, mine, nowMs: 1_000, expiryMs: 5_000 };
          const { take, steal } = planBalance(view);
          for (const id of [...take, ...steal]) owners.set(id, me);
          return take.length + steal.length;
        };
        for (const process of turns) turn(process);
        for (let round = 0; round < 10; round++) for (const process of processes) turn(process);
        expect(processes.map(turn)).toEqual(processes.map(() => 0));
        expect(owners.size).toBe(partitionCount);
        const counts = processes.map(
          (process) => [...owners.values()].filter((it) => it === `p${process}`).length,
        );
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
