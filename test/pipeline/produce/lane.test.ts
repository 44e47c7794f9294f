import { expect, it } from 'vitest';
import type { EncodedBatch } from '../../../src/eventhubs/encoded-batch.ts';
import type { EventHubsProducer } from '../../../src/eventhubs/producer.ts';
import { Lane } from '../../../src/pipeline/produce/lane.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { createVirtualClock } from '../../helpers/virtual-clock.ts';

it('tries a batch once when nothing was accepted for the time to give up, and gives the next ones theirs after one was', async () => {
  const clock = createVirtualClock();
  const tries: number[] = [];
  let accepts = false;
  const error = new Error('busy');
  const busy = { kind: 'throttled', name: 'ServerBusyError', outcomeUnknown: false, error } as const;
  const lost = { kind: 'retryable', name: 'OperationTimeoutError', outcomeUnknown: true, error } as const;
  const producer = {
    send: async (batch: EncodedBatch) => {
      tries[batch.count] = (tries[batch.count] ?? 0) + 1;
      if (batch.count === 6 && tries[6] === 1) return lost;
      return accepts ? undefined : busy;
    },
  } as Pick<EventHubsProducer, 'send'> as EventHubsProducer;
  const outcomes: string[] = [];
  const lane = new Lane(
    {
      producer,
      partitionId: '0',
      clock,
      random: seededRandom(1),
      giveUpMs: 60_000,
      stop: new AbortController().signal,
      acquire: () => undefined,
      release: () => {},
    },
    {
      sending: () => {},
      acknowledged: (batch) => void outcomes.push(`${batch.count} acknowledged`),
      throttled: () => {},
      resending: () => {},
      givenUp: (batch, _, mayBeStored) =>
        void outcomes.push(`${batch.count} given up${mayBeStored ? ', perhaps stored' : ''}`),
      released: () => {},
    },
  );
  const send = async (...counts: number[]): Promise<void> => {
    for (const count of counts) lane.enqueue({ count } as EncodedBatch);
    await clock.runUntil(() => lane.idle);
  };
  await send(1, 2, 3);
  expect(tries[1]).toBeGreaterThan(10);
  expect(tries.slice(2)).toEqual([1, 1]);
  accepts = true;
  await send(4);
  accepts = false;
  await send(5);
  expect(tries[5]).toBeGreaterThan(10);
  accepts = true;
  await send(4);
  accepts = false;
  await send(6);
  expect(outcomes).toEqual([
    '1 given up',
    '2 given up',
    '3 given up',
    '4 acknowledged',
    '5 given up',
    '4 acknowledged',
    // Refused in the end, but the first try got no answer.
    '6 given up, perhaps stored',
  ]);
});
