import type { Connection } from './connection.ts';
import type { IncomingLink } from './incoming-link.ts';
import type { OutgoingLink } from './outgoing-link.ts';

/** What a server built on this AMQP stack decides; the protocol itself is not its business. */
export interface AmqpApplication {
  /** Container id of our open frame. */
  readonly containerId: string;
  /** SASL mechanisms offered, in order of preference of the service that is emulated. */
  readonly saslMechanisms: readonly string[];
  /** Checks the credentials of SASL PLAIN. */
  authenticate(connection: Connection, username: string, password: string): boolean;
  /** The peer wants to send: call `accept` or `refuse` on the link. */
  onIncomingLink(link: IncomingLink): void;
  /** The peer wants to receive: call `accept` or `refuse` on the link. */
  onOutgoingLink(link: OutgoingLink): void;
  /**
   * Runs after all frames of one socket read and before anything is acknowledged: makes durable what was taken in.
   * When it throws, the deliveries of this read are rejected instead of accepted.
   */
  commit(): void;
  onClosed(connection: Connection): void;
}

export interface ConnectionLimits {
  /** Largest frame that we accept, announced in our open. The service: 65536. */
  readonly maxFrameSize: number;
  /** Announced in our open; a peer that is silent for twice as long is dropped. The service: 120000. */
  readonly idleTimeoutMs: number;
  /** A connection without links is closed after this time. The service: 300000. */
  readonly unusedTimeoutMs: number;
}

export const SERVICE_LIMITS: ConnectionLimits = {
  maxFrameSize: 65_536,
  idleTimeoutMs: 120_000,
  unusedTimeoutMs: 300_000,
};
