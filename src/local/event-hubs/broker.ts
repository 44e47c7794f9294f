import type { Clock } from '../../util/clock.ts';
import type { Connection } from '../amqp/connection.ts';
import type { Faults } from '../faults/faults.ts';
import type { Claims, SharedAccessPolicy } from './authorization.ts';
import type { Namespace } from './namespace.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Publisher } from './publisher.ts';
import type { ReplyLinks } from './replies.ts';
import type { ThroughputLimit } from './throughput.ts';

/** As the service: standard tier messages, and the 100 requests that it lets wait on a request link. */
export const MAX_MESSAGE_BYTES = 1_048_576;
export const REQUEST_CREDIT = 100;

/** What belongs to one connection beyond AMQP. */
export interface Peer {
  readonly claims: Claims;
  readonly replies: ReplyLinks;
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
  readonly publishers: Set<Publisher>;
  peer(connection: Connection): Peer;
}

/** Wall clock of the service in milliseconds. */
export function wallMs(clock: Clock): number {
  return Math.floor(clock.epochMicros() / 1000);
}

export function mayAccess(broker: Broker, connection: Connection, address: string): boolean {
  return connection.authenticated || broker.peer(connection).claims.cover(address, wallMs(broker.clock));
}
