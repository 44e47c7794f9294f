import { expect, it } from 'vitest';
import { openHubReader, readBacklog } from '../../src/eventhubs/backlog.ts';
import { memoryCheckpointStore } from '../../src/eventhubs/checkpoint-memory.ts';
import type { EventHubsConnection } from '../../src/eventhubs/connection.ts';
import { systemClock } from '../../src/util/clock.ts';

it('gives up a call that never ends, and asks over another connection', async () => {
  const closed: number[] = [];
  let clients = 0;
  const connection = {
    explain: (error: unknown) => error,
    consumer: () => {
      clients += 1;
      const number = clients;
      return {
        getEventHubProperties: () =>
          number === 1
            ? new Promise(() => {})
            : Promise.resolve({ createdOn: new Date(7), partitionIds: [] }),
        close: async () => void closed.push(number),
      };
    },
  } as unknown as EventHubsConnection;
  const reader = openHubReader(connection, '$Default', 10);
  await expect(reader.read()).rejects.toThrow('timed out: no answer about the partitions within 0.01 s');
  expect(await reader.read()).toEqual({ createdMs: 7, partitions: [] });
  expect(closed).toEqual([1]);
  await reader.close();
  expect(closed).toEqual([1, 2]);
});

it('counts a partition without a checkpoint in full, and one whose checkpoint is of an earlier hub', async () => {
  const scope = { fullyQualifiedNamespace: 'host', eventHubName: 'hub', consumerGroup: '$Default' };
  const connection = {
    host: 'host',
    eventHub: 'hub',
    explain: (error: unknown) => error,
    consumer: () => ({
      getEventHubProperties: async () => ({ createdOn: new Date(7), partitionIds: ['0', '1', '2'] }),
      getPartitionProperties: async () => ({
        beginningSequenceNumber: 0,
        lastEnqueuedSequenceNumber: 9,
        lastEnqueuedOffset: '900',
        lastEnqueuedOnUtc: new Date(8),
        isEmpty: false,
      }),
      close: async () => {},
    }),
  } as unknown as EventHubsConnection;
  const checkpoints = memoryCheckpointStore(systemClock);
  const save = (partitionId: string, hubCreatedMs: number) =>
    checkpoints.updateCheckpoint({ ...scope, partitionId, sequenceNumber: 5, offset: '500', hubCreatedMs });
  await save('0', 7);
  await save('1', 6);
  const backlog = await readBacklog({ connection, consumerGroup: '$Default', checkpoints, nowMs: 0 });
  expect(backlog.map(({ lagEvents }) => lagEvents)).toEqual([4, 10, 10]);
});
