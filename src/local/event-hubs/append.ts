import { partitionForKey } from '../../hashing/partition-for-key.ts';
import { SECTION } from '../amqp/message.ts';
import { AmqpWriter } from '../amqp/writer.ts';
import { type Broker, wallMs } from './broker.ts';
import { layoutOf } from './event-layout.ts';
import type { AppendedEvent } from './options.ts';

/**
 * Stores an event as if it had been sent; it is as durable as an acknowledged one when this returns.
 *
 * @throws Error when there is no such hub, or the event cannot be written.
 */
export function appendEvent(broker: Broker, hubName: string, event: AppendedEvent): void {
  const hub = broker.namespace.find(hubName);
  if (hub === undefined) throw new Error(`there is no event hub ${hubName}`);
  const { partitionKey } = event;
  const partition =
    partitionKey === undefined
      ? hub.nextPartition()
      : hub.partitions[partitionForKey(partitionKey, hub.partitions.length)]!;
  const bytes = Buffer.from(encode(event));
  const key =
    partitionKey === undefined ? undefined : Buffer.from(new AmqpWriter().string(partitionKey).bytes);
  partition.log.append(bytes, layoutOf(bytes, 0, bytes.length), key, wallMs(broker.clock));
  partition.log.commit();
  broker.counters.eventsIn++;
}

/** Properties (content type only, the seventh field), application properties, data. */
function encode({ body, properties }: AppendedEvent): Buffer {
  const writer = new AmqpWriter(body.length + 512);
  writer.descriptor(SECTION.properties).list(7, () => {
    for (let field = 0; field < 6; field++) writer.null();
    writer.symbol('application/json');
  });
  const entries = Object.entries(properties);
  writer.descriptor(SECTION.applicationProperties).map(entries.length, () => {
    for (const [name, value] of entries) writer.string(name).string(value);
  });
  return writer.descriptor(SECTION.data).binary(Buffer.from(body)).bytes;
}
