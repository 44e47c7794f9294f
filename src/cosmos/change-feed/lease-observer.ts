import type { Clock } from '../../util/clock.ts';
import type { StoredDocument } from '../document-store.ts';
import type { LeaseState } from './balance.ts';
import type { LeaseDocument } from './lease.ts';

export interface LeaseObserver {
  observe(leases: readonly StoredDocument<LeaseDocument>[]): void;
  /** `ownedHere`: this process's name when it is reading the range, which counts more than what is stored. */
  stateOf(lease: StoredDocument<LeaseDocument>, ownedHere: string | undefined): LeaseState;
}

/**
 * Tells living owners from dead ones without comparing clocks of different machines: an owner is dead when its lease has not
 * changed for `expiryMs` on the watch of this process. Only a lease that is older than three times that when first seen
 * counts as abandoned at once, so that a restart after a crash need not wait; clocks may differ by twice the expiry.
 */
export function createLeaseObserver(clock: Clock, expiryMs: number): LeaseObserver {
  const seen = new Map<string, { readonly etag: string; readonly sinceMs: number }>();
  const isAbandoned = ({ document, etag }: StoredDocument<LeaseDocument>): boolean => {
    const first = seen.get(document.id);
    if (first?.etag === etag && clock.now() - first.sinceMs >= expiryMs) return true;
    return clock.epochMicros() / 1000 - Date.parse(document.timestamp) >= 3 * expiryMs;
  };
  return {
    observe(leases) {
      const ids = new Set(leases.map(({ document }) => document.id));
      for (const id of seen.keys()) if (!ids.has(id)) seen.delete(id);
      for (const { document, etag } of leases)
        if (seen.get(document.id)?.etag !== etag) seen.set(document.id, { etag, sinceMs: clock.now() });
    },
    stateOf(lease, ownedHere) {
      const { id, Owner, properties } = lease.document;
      const isAlive = Owner !== null && !isAbandoned(lease);
      return {
        id,
        owner: ownedHere ?? (isAlive ? Owner : undefined),
        requestedBy: isAlive ? properties.requestedBy : undefined,
      };
    },
  };
}
