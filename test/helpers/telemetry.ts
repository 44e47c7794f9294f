import { EventHubProducerClient } from '@azure/event-hubs';
import { ENVELOPE_PROPERTIES } from '../../src/util/envelope.ts';

export interface SendOptions {
  readonly connectionString: string;
  readonly eventHub: string;
  readonly count: number;
  /** Number of the first event, default 0. */
  readonly first?: number;
  readonly partitions?: number;
  readonly run?: string;
  /** Bytes to send instead of the event `i`. */
  readonly body?: (i: number) => unknown;
}

/** Sends events with the envelope of `produce` through the unmodified SDK, dealt over the partitions in turn. */
export async function sendTelemetry(options: SendOptions): Promise<void> {
  const { count, first = 0, partitions = 4, run = 'test' } = options;
  const producer = new EventHubProducerClient(options.connectionString, options.eventHub);
  try {
    for (let partition = 0; partition < partitions; partition++) {
      const send = async (batch: Awaited<ReturnType<typeof producer.createBatch>>) => {
        if (batch.count > 0) await producer.sendBatch(batch);
        return producer.createBatch({ partitionId: String(partition) });
      };
      let batch = await producer.createBatch({ partitionId: String(partition) });
      for (let i = first + partition; i < first + count; i += partitions) {
        const deviceId = `device-${i % 40}`;
        const event = {
          body: options.body?.(i) ?? {
            eventId: `e-${i}`,
            deviceId,
            deviceSequenceNumber: i,
            type: 'TEMP',
            value: i,
          },
          properties: {
            [ENVELOPE_PROPERTIES.run]: run,
            [ENVELOPE_PROPERTIES.key]: deviceId,
            [ENVELOPE_PROPERTIES.sequence]: Math.floor(i / 40),
            [ENVELOPE_PROPERTIES.intendedMicros]: Date.now() * 1000,
          },
        };
        if (batch.tryAdd(event)) continue;
        batch = await send(batch);
        batch.tryAdd(event);
      }
      await send(batch);
    }
  } finally {
    await producer.close();
  }
}
