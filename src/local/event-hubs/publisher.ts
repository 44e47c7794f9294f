import { partitionForKeyBytes } from '../../hashing/partition-for-key.ts';
import { decodeValue } from '../amqp/decode.ts';
import { type AmqpCondition, AmqpProtocolError } from '../amqp/errors.ts';
import type { Delivery, IncomingLink } from '../amqp/incoming-link.ts';
import { encodedSymbol, type MapEntries, mapValueOf } from '../amqp/message.ts';
import { AmqpWriter } from '../amqp/writer.ts';
import { type Broker, mayAccess, wallMs } from './broker.ts';
import { conditions } from './conditions.ts';
import { batchOf, layoutOf } from './event-layout.ts';
import type { Hub, Partition } from './hub.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';
import { PRODUCER_EPOCH, PRODUCER_ID, PRODUCER_SEQUENCE, type ProducerState } from './producers.ts';

const BATCH_FORMAT = 0x8001_3700;
const IDEMPOTENT = 'com.microsoft:idempotent-producer';
const PARTITION_KEY = encodedSymbol('x-opt-partition-key');
const CREDIT = 300;
const ADDRESS = /^(?:[a-z]+:\/\/[^/]*)?\/*(.+?)(?:\/Partitions\/([^/]+))?\/*$/i;

/** A link on which events are sent to a hub or to one of its partitions. */
export class Publisher {
  readonly #broker: Broker;
  readonly #link: IncomingLink;
  readonly #hub: Hub;
  readonly #partition: Partition | undefined;
  readonly #gone = new AbortController();
  #usedAt: number;
  /** Held back deliveries keep their order: none is due before the one in front of it. */
  #dueAt = 0;

  private constructor(broker: Broker, link: IncomingLink, hub: Hub, partition: Partition | undefined) {
    this.#broker = broker;
    this.#link = link;
    this.#hub = hub;
    this.#partition = partition;
    this.#usedAt = broker.clock.now();
  }

  /** Answers the attach of a sender. */
  static attach(broker: Broker, link: IncomingLink): void {
    const address = link.attach.targetAddress ?? '';
    const match = ADDRESS.exec(address);
    const authorized = mayAccess(broker, link.session.connection, address);
    if (!authorized || broker.faults.draw('unauthorized')) {
      link.refuse(conditions.unauthorized(address));
      return;
    }
    const hub = match === null ? undefined : broker.namespace.find(match[1]!);
    if (hub === undefined) {
      link.refuse(conditions.entityNotFound(address));
      return;
    }
    const id = match?.[2];
    const partition = id === undefined ? undefined : hub.partition(id);
    if (id !== undefined && partition === undefined) {
      link.refuse(conditions.partitionOutOfRange(hub.partitions.length));
      return;
    }
    new Publisher(broker, link, hub, partition).#accept();
  }

  /** Detaches the link when it was not used for `idleMs`. */
  detachIfIdle(idleMs: number): void {
    if (this.#broker.clock.now() - this.#usedAt > idleMs) this.#link.detach(conditions.publisherIdle(idleMs));
  }

  detach(error: AmqpCondition): void {
    this.#link.detach(error);
  }

  #accept(): void {
    const idempotent = this.#openProducer();
    if (idempotent !== undefined && 'condition' in idempotent) {
      this.#link.refuse(idempotent);
      return;
    }
    const end = (): void => this.#link.detach(conditions.entityDeleted(this.#hub.name));
    this.#hub.links.add(end);
    this.#broker.publishers.add(this);
    this.#link.accept({
      maxMessageSize: MAX_MESSAGE_BYTES,
      credit: CREDIT,
      ...(idempotent && { properties: encodeProducer(idempotent), offeredCapabilities: [IDEMPOTENT] }),
      tooLarge: (id, size) => conditions.messageTooLarge(id, size, MAX_MESSAGE_BYTES),
      onDelivery: (delivery) => {
        this.#usedAt = this.#broker.clock.now();
        if (this.#broker.faults.any) this.#takeWithFaults(delivery);
        else this.#answer(delivery, this.#store(delivery));
      },
      onClosed: () => {
        this.#gone.abort();
        this.#hub.links.delete(end);
        this.#broker.publishers.delete(this);
      },
    });
  }

  #openProducer(): ProducerState | AmqpCondition | undefined {
    const { desiredCapabilities, properties } = this.#link.attach;
    if (!desiredCapabilities.includes(IDEMPOTENT) || this.#partition === undefined) return undefined;
    const number = (key: string): number | undefined => {
      const value = properties.get(key);
      return typeof value === 'number' ? value : undefined;
    };
    const id = number(PRODUCER_ID);
    const epoch = number(PRODUCER_EPOCH);
    const sequence = number(PRODUCER_SEQUENCE);
    return this.#partition.producers.open({
      ...(id !== undefined && { id }),
      ...(epoch !== undefined && { epoch }),
      ...(sequence !== undefined && { sequence }),
    });
  }

  #answer(delivery: Delivery, error: AmqpCondition | undefined): void {
    if (error === undefined) this.#link.accepted(delivery);
    else this.#link.rejected(delivery, error);
  }

  /** Stores a message whole, or says why not. */
  #store({ bytes, end, messageFormat, start }: Delivery): AmqpCondition | undefined {
    try {
      const { annotations, events } =
        messageFormat === BATCH_FORMAT ? batchOf(bytes, start, end) : single(bytes, start, end);
      const first = events[0];
      if (first === undefined) return undefined;
      const nowMs = wallMs(this.#broker.clock);
      if (this.#broker.throughput?.take(end - start, events.length, nowMs) === false) {
        this.#broker.counters.throttled++;
        return conditions.serverBusy();
      }
      // Views of the socket's bytes: they are copied by the time the call returns.
      const key = mapValueOf(bytes, annotations, PARTITION_KEY);
      const partition = this.#partition ?? this.#partitionFor(key);
      const verdict = partition.producers.check(bytes, first.annotations, events.length);
      if (verdict === 'duplicate') return undefined;
      if (verdict !== 'store') return verdict;
      for (const event of events) partition.log.append(bytes, event, key, nowMs);
      this.#broker.dirty.add(partition.log);
      this.#broker.counters.eventsIn += events.length;
      return undefined;
    } catch (cause) {
      if (cause instanceof AmqpProtocolError) return conditions.malformedMessage(cause.message);
      return conditions.storeFailed(cause instanceof Error ? cause.message : String(cause));
    }
  }

  #partitionFor(key: Buffer | undefined): Partition {
    if (key === undefined) return this.#hub.nextPartition();
    const { value } = decodeValue(key, 0, key.length);
    const { partitions } = this.#hub;
    return partitions[partitionForKeyBytes(Buffer.from(String(value)), partitions.length)]!;
  }

  #takeWithFaults(delivery: Delivery): void {
    const { clock, faults } = this.#broker;
    if (faults.draw('reset')) {
      this.#link.session.connection.reset();
      return;
    }
    if (faults.draw('detach')) {
      this.#link.detach(conditions.injectedDetach());
      return;
    }
    const latency = faults.draw('latency');
    if (latency === undefined && this.#dueAt === 0) {
      this.#finishWithFaults(delivery);
      return;
    }
    const now = clock.now();
    this.#dueAt = Math.max(this.#dueAt, now + (latency?.delayMs ?? 0));
    const bytes = Buffer.from(delivery.bytes.subarray(delivery.start, delivery.end));
    const held: Delivery = { ...delivery, bytes, start: 0, end: bytes.length };
    clock.sleep(this.#dueAt - now, this.#gone.signal).then(
      () => {
        this.#finishWithFaults(held);
        this.#link.session.connection.settle();
      },
      () => {},
    );
  }

  #finishWithFaults(delivery: Delivery): void {
    const { faults } = this.#broker;
    if (faults.draw('server-busy')) this.#answer(delivery, conditions.serverBusy());
    else if (faults.draw('unauthorized')) this.#answer(delivery, conditions.unauthorized(this.#hub.name));
    else if (faults.draw('timeout')) {
      // The worst case for the sender: stored, but it will never know.
      this.#store(delivery);
      this.#link.abandoned();
    } else this.#answer(delivery, this.#store(delivery));
  }
}

function single(bytes: Buffer, start: number, end: number) {
  const event = layoutOf(bytes, start, end);
  const annotations: MapEntries = event.annotations;
  return { events: [event], annotations };
}

function encodeProducer({ epoch, id, sequence }: ProducerState): Buffer {
  const writer = new AmqpWriter();
  writer.map(3, () => {
    writer.symbol(PRODUCER_ID).long(id);
    writer.symbol(PRODUCER_EPOCH).short(epoch);
    writer.symbol(PRODUCER_SEQUENCE).int(sequence);
  });
  return writer.bytes;
}
