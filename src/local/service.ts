import type { Certificate } from './tls/certificate.ts';

/** What every embedded service shares, so that the stack starts, stops and describes them alike. */
export interface ServiceOptions {
  /** Address to bind, loopback by default. */
  readonly host?: string;
  /** TCP port; 0 takes a free one. */
  readonly port?: number;
  /** Folder for the append-only logs; in memory when absent. */
  readonly dataDir?: string;
  /** Has the service take TLS on the same port as well; plain connections only when absent. */
  readonly certificate?: Certificate;
}

export interface LocalService {
  readonly host: string;
  readonly port: number;
  /** Environment variables with which an unmodified SDK program reaches this service. */
  readonly environment: Readonly<Record<string, string>>;
  /** Flushes, closes every connection and releases the port. */
  stop(): Promise<void>;
}
