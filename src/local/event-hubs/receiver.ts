import type { AmqpCondition } from '../amqp/errors.ts';
import { SECTION } from '../amqp/message.ts';
import type { OutgoingLink, SendBudget } from '../amqp/outgoing-link.ts';
import { AmqpWriter } from '../amqp/writer.ts';
import { type Broker, mayAccess, wallMs } from './broker.ts';
import { conditions } from './conditions.ts';
import type { AttachedReceiver, Hub, Partition } from './hub.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';
import { startPosition } from './position.ts';

const ADDRESS = /^(?:[a-z]+:\/\/[^/]*)?\/*(.+)\/ConsumerGroups\/([^/]+)\/Partitions\/([^/]+?)\/*$/i;
const SELECTOR_FILTER = 'apache.org:selector-filter:string';
const RUNTIME_METRICS = 'com.microsoft:enable-receiver-runtime-metric';
/** Receivers without epoch per partition and consumer group. */
const MAX_RECEIVERS = 5;

/** A link on which the events of one partition are received by a consumer group. */
export class Receiver {
  readonly epoch: number | undefined;
  readonly name: string;
  readonly #broker: Broker;
  readonly #link: OutgoingLink;
  readonly #partition: Partition;
  readonly #withMetrics: boolean;
  readonly #gone = new AbortController();
  #sequence: number;
  /** A latency fault holds the next page back; when its time is over, that page goes without another draw. */
  #delay: 'none' | 'waiting' | 'over' = 'none';

  private constructor(broker: Broker, link: OutgoingLink, partition: Partition) {
    const { desiredCapabilities, properties } = link.attach;
    const epoch = properties.get('com.microsoft:epoch');
    this.#broker = broker;
    this.#link = link;
    this.#partition = partition;
    this.epoch = typeof epoch === 'number' ? epoch : undefined;
    this.name = String(properties.get('com.microsoft:receiver-name') ?? 'nil');
    this.#withMetrics = desiredCapabilities.includes(RUNTIME_METRICS);
    this.#sequence = partition.log.nextSequence;
  }

  /** Answers the attach of a receiver. */
  static attach(broker: Broker, link: OutgoingLink): void {
    const address = link.attach.sourceAddress ?? '';
    const [, hubName = '', groupName = '', partitionId = ''] = ADDRESS.exec(address) ?? [];
    const authorized = mayAccess(broker, link.session.connection, address);
    if (!authorized || broker.faults.draw('unauthorized')) {
      link.refuse(conditions.unauthorized(address));
      return;
    }
    const hub = hubName === '' ? undefined : broker.namespace.find(hubName);
    if (hub === undefined) {
      link.refuse(conditions.entityNotFound(address));
      return;
    }
    const partition = hub.partition(partitionId);
    if (partition === undefined) {
      link.refuse(conditions.partitionOutOfRange(hub.partitions.length));
      return;
    }
    const group = broker.namespace.findGroup(hub, groupName);
    if (group === undefined) {
      link.refuse(conditions.consumerGroupNotFound(hub.name, groupName));
      return;
    }
    new Receiver(broker, link, partition).#accept(hub, group.toLowerCase());
  }

  detach(error: AmqpCondition): void {
    this.#link.detach(error);
  }

  #accept(hub: Hub, group: string): void {
    const { log, receivers } = this.#partition;
    const others = receivers.get(group) ?? new Set<AttachedReceiver>();
    const refusal = this.#refusalBy(others);
    if (refusal !== undefined) {
      this.#link.refuse(refusal);
      return;
    }
    log.expire(wallMs(this.#broker.clock));
    const start = startPosition(log, selectorOf(this.#link));
    if (!start.ok) {
      this.#link.refuse(start.error);
      return;
    }
    this.#sequence = start.sequenceNumber;
    // The newcomer of an equal or higher epoch takes over: this is how consumers rebalance.
    if (this.epoch !== undefined)
      for (const other of [...others]) other.detach(conditions.stolen(this.name, this.epoch, other));
    receivers.set(group, others.add(this));
    const end = (): void => this.#link.detach(conditions.entityDeleted(hub.name));
    hub.links.add(end);
    const unsubscribe = log.subscribe(() => this.#link.wake());
    this.#link.accept({
      maxMessageSize: MAX_MESSAGE_BYTES,
      hasMore: () => this.#sequence < log.nextSequence && this.#delay !== 'waiting',
      pull: (budget) => this.#pull(budget),
      onClosed: () => {
        this.#gone.abort();
        unsubscribe();
        hub.links.delete(end);
        others.delete(this);
        if (others.size === 0 && receivers.get(group) === others) receivers.delete(group);
      },
    });
  }

  #refusalBy(others: ReadonlySet<AttachedReceiver>): AmqpCondition | undefined {
    const owner = [...others].find((other) => other.epoch !== undefined);
    if (owner?.epoch !== undefined) {
      if (this.epoch === undefined) return conditions.epochReceiverExists(owner.epoch);
      if (this.epoch < owner.epoch) return conditions.epochTooLow(this, owner.epoch);
    }
    if (this.epoch === undefined && others.size >= MAX_RECEIVERS)
      return conditions.tooManyReceivers(MAX_RECEIVERS);
    return undefined;
  }

  #pull(budget: SendBudget): void {
    if (this.#broker.faults.any && this.#meetsFault()) return;
    const { log } = this.#partition;
    const metrics = this.#withMetrics ? this.#encodeMetrics() : undefined;
    const first = this.#sequence;
    let skipped = 0;
    let segment = log.segmentOf(first);
    while (budget.bytes > 0 && this.#link.canSend) {
      if (segment === undefined || this.#sequence >= segment.baseSequence + segment.count) {
        if (this.#sequence < log.firstSequence) {
          // Retention was faster than this receiver.
          skipped += log.firstSequence - this.#sequence;
          this.#sequence = log.firstSequence;
        }
        segment = log.segmentOf(this.#sequence);
        if (segment === undefined) break;
      }
      const index = this.#sequence - segment.baseSequence;
      const message = { bytes: segment.bytes, start: segment.start(index), end: segment.end(index) };
      if (metrics === undefined) this.#link.send(message, budget);
      else this.#link.send({ ...message, insertAt: segment.headerEnd(index), insert: metrics }, budget);
      this.#sequence++;
    }
    this.#broker.counters.eventsOut += this.#sequence - first - skipped;
  }

  /** Once per turn of the link, that is per page of events. */
  #meetsFault(): boolean {
    const { clock, faults } = this.#broker;
    if (faults.draw('reset')) {
      this.#link.session.connection.reset();
      return true;
    }
    if (faults.draw('detach')) {
      this.#link.detach(conditions.injectedDetach());
      return true;
    }
    if (this.#delay === 'over') {
      this.#delay = 'none';
      return false;
    }
    const latency = faults.draw('latency');
    if (latency === undefined) return false;
    this.#delay = 'waiting';
    clock.sleep(latency.delayMs, this.#gone.signal).then(
      () => {
        this.#delay = 'over';
        this.#link.wake();
      },
      () => {},
    );
    return true;
  }

  /** Delivery annotations that tell the receiver how far behind it is. */
  #encodeMetrics(): Buffer {
    const { log } = this.#partition;
    const writer = new AmqpWriter();
    writer.descriptor(SECTION.deliveryAnnotations).map(5, () => {
      writer.symbol('last_enqueued_sequence_number_epoch').int(-1);
      writer.symbol('last_enqueued_sequence_number').long(log.nextSequence - 1);
      writer.symbol('last_enqueued_offset').string(String(log.lastOffset));
      writer.symbol('last_enqueued_time_utc').timestamp(log.lastEnqueuedMs);
      writer.symbol('runtime_info_retrieval_time_utc').timestamp(wallMs(this.#broker.clock));
    });
    return writer.bytes;
  }
}

/** Clients give the filter different names and descriptors; there is only ever one. */
function selectorOf(link: OutgoingLink): string | undefined {
  const { filters } = link.attach;
  const filter = filters.get(SELECTOR_FILTER) ?? [...filters.values()][0];
  return filter === undefined || filter === null ? undefined : String(filter);
}
