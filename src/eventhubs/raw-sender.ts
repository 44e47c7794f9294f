import type { EventHubsTarget } from '../config/targets.ts';
import { eventHubsConnection } from './connection.ts';

export interface RawEventSender {
  /** Resolves when Event Hubs accepted the event. */
  send(
    body: Uint8Array,
    properties: Readonly<Record<string, string | number>>,
    partitionKey?: string,
  ): Promise<void>;
  close(): Promise<void>;
}

/** Sends single events with the bytes they came with, for what is rare: use the producer for load. */
export async function openRawEventSender(target: EventHubsTarget): Promise<RawEventSender> {
  const connection = await eventHubsConnection(target);
  const client = connection.producer();
  return {
    async send(body, properties, partitionKey) {
      try {
        await client.sendBatch(
          [{ body: Buffer.from(body), properties }],
          partitionKey === undefined ? {} : { partitionKey },
        );
      } catch (error) {
        throw connection.explain(error);
      }
    },
    close: () => client.close(),
  };
}
