import type { Clock } from '../../util/clock.ts';
import type { DocumentStore, StoredDocument } from '../document-store.ts';
import { type LeaseDocument, positionOf } from './lease.ts';
import type { RangePosition } from './types.ts';

/** A lease that this process holds: its position, and the one place that writes it. */
export interface OwnedLease {
  readonly id: string;
  /** Position of the last page that was handled, stored or not. */
  position: RangePosition;
  /** Aborts when the range must not be read any further: lost, asked for by another process, or stopping. */
  readonly signal: AbortSignal;
  /** Stops the reading; what was handled is still stored. */
  stop(): void;
  /** Another process owns the lease now: nothing is written any more. */
  lose(): void;
  readonly lost: boolean;
  /** False once the lease was not renewed for so long that another process may have taken it. */
  isSafe(): boolean;
  /** Stores the position and shows that the owner lives. False when the lease is lost. */
  checkpoint(): Promise<boolean>;
  /** Checkpoints when the last write is older than `ageMs`. */
  checkpointIfOlder(ageMs: number): Promise<void>;
  /** Stores the position and gives the lease up. */
  release(): Promise<void>;
  /** Deletes the lease, after its children exist. */
  remove(): Promise<void>;
}

export interface OwnedLeaseOptions {
  readonly store: DocumentStore<LeaseDocument>;
  readonly clock: Clock;
  readonly expiryMs: number;
}

export function ownLease(
  { document, etag: firstEtag }: StoredDocument<LeaseDocument>,
  { store, clock, expiryMs }: OwnedLeaseOptions,
): OwnedLease {
  const stopping = new AbortController();
  let etag = firstEtag;
  let isLost = false;
  let isClosed = false;
  let writtenAt = clock.now();
  let last: Promise<unknown> = Promise.resolve();

  /** Writes to one lease go one after the other, because each needs the ETag of the one before. */
  const exclusively = <T>(action: () => Promise<T>): Promise<T> => {
    const result = last.then(action);
    last = result.catch(() => undefined);
    return result;
  };

  /** Repeats a write guarded by ETag as long as this process owns the lease; a request to hand over changes the ETag only. */
  const guarded = (action: (etag: string) => Promise<boolean>): Promise<boolean> =>
    exclusively(async () => {
      for (let attempt = 0; attempt < 3 && !isLost && !isClosed; attempt++) {
        if (await action(etag)) return true;
        const stored = await store.read(document.id, document.id);
        if (stored?.document.Owner !== document.Owner) lease.lose();
        else {
          etag = stored.etag;
          if (stored.document.properties.requestedBy !== undefined) lease.stop();
        }
      }
      return false;
    });

  const write = (owner: string | null): Promise<boolean> =>
    guarded(async (ifMatch) => {
      const startedAt = clock.now();
      const replaced = await store.replace(current(owner), document.id, ifMatch);
      if (replaced === undefined) return false;
      etag = replaced.etag;
      writtenAt = startedAt;
      isClosed = owner === null;
      return true;
    });

  const current = (owner: string | null): LeaseDocument => ({
    ...document,
    Owner: owner,
    ContinuationToken: lease.position.continuation ?? null,
    properties: {},
    timestamp: new Date(clock.epochMicros() / 1000).toISOString(),
  });

  const lease: OwnedLease = {
    id: document.id,
    position: positionOf(document),
    signal: stopping.signal,
    stop: () => stopping.abort(),
    lose() {
      isLost = true;
      stopping.abort();
    },
    get lost() {
      return isLost;
    },
    isSafe: () => clock.now() - writtenAt < expiryMs,
    checkpoint: () => write(document.Owner),
    async checkpointIfOlder(ageMs) {
      if (clock.now() - writtenAt >= ageMs) await write(document.Owner);
    },
    async release() {
      await write(null);
    },
    async remove() {
      isClosed = await guarded((ifMatch) => store.delete(document.id, document.id, ifMatch));
    },
  };
  return lease;
}
