import type { Clock } from '../../util/clock.ts';
import type { Connection } from '../amqp/connection.ts';
import type { AmqpCondition } from '../amqp/errors.ts';
import type { Faults } from '../faults/faults.ts';
import type { Claims, SharedAccessPolicy } from './authorization.ts';
import type { Namespace } from './namespace.ts';
import type { PartitionLog } from './partition-log.ts';
import type { ReplyLinks } from './replies.ts';
import type { ThroughputLimit } from './throughput.ts';

/** What belongs to one connection beyond AMQP. */
export interface Peer {
  readonly claims: Claims;
  readonly replies: ReplyLinks;
}

/** A publisher as others see it. */
export interface AttachedPublisher {
  detach(error: AmqpCondition): void;
  detachIfIdle(limitMs: number): void;
}

/** The state that all links of the service share. */
export interface Broker {
  readonly namespace: Namespace;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly policy: SharedAccessPolicy;
  readonly throughput: ThroughputLimit | undefined;
  readonly counters: { eventsIn: number; eventsOut: number; throttled: number };
  /** Logs with events that are not committed yet. */
  readonly dirty: Set<PartitionLog>;
  readonly publishers: Set<AttachedPublisher>;
  peer(connection: Connection): Peer;
}

/** Wall clock of the service in milliseconds. */
export function wallMs(clock: Clock): number {
  return Math.floor(clock.epochMicros() / 1000);
}

export function mayAccess(broker: Broker, connection: Connection, address: string): boolean {
  return connection.authenticated || broker.peer(connection).claims.cover(address, wallMs(broker.clock));
}
