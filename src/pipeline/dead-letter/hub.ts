import type { EventHubsTarget } from '../../config/targets.ts';
import { openRawEventSender } from '../../eventhubs/raw-sender.ts';
import type { DeadLetter } from './dead-letter.ts';

/** Application properties that say where a dead-lettered event came from and why it is here. */
const DEAD_LETTER_PROPERTIES = {
  reason: 'cp-dead-reason',
  detail: 'cp-dead-detail',
  eventHub: 'cp-dead-hub',
  partition: 'cp-dead-partition',
  sequenceNumber: 'cp-dead-seq',
} as const;

/**
 * Dead letters as events of another hub: the same bytes, properties and partition key, with the origin in further
 * properties. To replay them, ingest that hub.
 */
export async function openDeadLetterHub(target: EventHubsTarget): Promise<DeadLetter> {
  const sender = await openRawEventSender(target);
  return {
    name: `event hub ${target.eventHub}`,
    write(record) {
      const properties: Record<string, string | number> = {};
      for (const [name, value] of Object.entries(record.properties))
        if (typeof value === 'string' || typeof value === 'number') properties[name] = value;
      return sender.send(
        Buffer.from(record.body, 'base64'),
        {
          ...properties,
          [DEAD_LETTER_PROPERTIES.reason]: record.reason,
          [DEAD_LETTER_PROPERTIES.detail]: record.detail,
          [DEAD_LETTER_PROPERTIES.eventHub]: record.eventHub,
          [DEAD_LETTER_PROPERTIES.partition]: record.partition,
          [DEAD_LETTER_PROPERTIES.sequenceNumber]: record.sequenceNumber,
        },
        record.partitionKey,
      );
    },
    close: () => sender.close(),
  };
}
