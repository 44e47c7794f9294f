import { expect, it } from 'vitest';
import { openHubReader } from '../../src/eventhubs/backlog.ts';
import type { EventHubsConnection } from '../../src/eventhubs/connection.ts';

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
