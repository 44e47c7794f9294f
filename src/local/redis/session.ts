import type { Database } from './database.ts';
import type { Protocol, Reply } from './reply.ts';
import type { Request } from './request.ts';

/** What commands know of a connection: its protocol version, database, transaction and subscriptions. */
export interface Session {
  readonly id: number;
  readonly address: string;
  readonly channels: Set<string>;
  readonly patterns: Set<string>;
  readonly watched: Set<string>;
  /** By the server's clock, milliseconds. */
  readonly connectedAt: number;
  name: string;
  library: string;
  libraryVersion: string;
  protocol: Protocol;
  authenticated: boolean;
  database: Database;
  transaction: { readonly requests: Request[]; broken: boolean } | undefined;
  /** A watched key changed: the next EXEC does nothing. */
  watchBroken: boolean;
  /** The connection ends after the current reply. */
  closing: boolean;
  /** Only (un)subscribing is allowed: RESP2 cannot tell a message from a reply. */
  readonly subscribedOnly: boolean;
  /** Sends what no request asked for: a message of a channel. */
  push(items: readonly Reply[]): void;
  unwatch(): void;
  disconnect(): void;
}
