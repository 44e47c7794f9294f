import { expect, it } from 'vitest';
import { memoryCheckpointStore } from '../../../src/eventhubs/checkpoint-memory.ts';
import { dealtTo } from '../../../src/pipeline/ingest/worker-balance.ts';
import type { Clock } from '../../../src/util/clock.ts';

const scope = { fullyQualifiedNamespace: 'n', eventHubName: 'h', consumerGroup: 'g' };

/** Claims for the workers a and b, who have one partition each; tells which were won. */
function dealt() {
  let nowMs = 1_000;
  const clock: Clock = { now: () => nowMs, epochMicros: () => nowMs * 1_000, sleep: async () => {} };
  const store = dealtTo(['a', 'b'], memoryCheckpointStore(clock), clock);
  return {
    pass: (ms: number) => {
      nowMs += ms;
    },
    async claim(ownerId: string, ...partitionIds: string[]): Promise<string[]> {
      const claims = partitionIds.map((partitionId) => ({ ...scope, partitionId, ownerId }));
      return (await store.claimOwnership(claims)).map(({ partitionId }) => partitionId);
    },
  };
}

it('keeps the partitions of a worker for it, however long its thread takes to start', async () => {
  const { claim, pass } = dealt();
  expect(await claim('a', '0', '1')).toEqual(['0']);
  pass(45_000);
  expect(await claim('a', '1')).toEqual([]);
  expect(await claim('b', '1')).toEqual(['1']);
});

it('gives everything to whoever asks when a worker does not come, or has had its time', async () => {
  const absent = dealt();
  absent.pass(60_000);
  expect(await absent.claim('a', '0', '1')).toEqual(['0', '1']);
  const slow = dealt();
  expect(await slow.claim('b', '0')).toEqual([]);
  slow.pass(10_000);
  expect(await slow.claim('a', '1')).toEqual(['1']);
});

it('takes a claim that gives up a partition of anybody', async () => {
  const { claim } = dealt();
  expect(await claim('', '0', '1')).toEqual(['0', '1']);
});
