import { type Clock, systemClock } from '../../util/clock.ts';
import type { CosmosConnection } from '../client.ts';
import type { DocumentStore } from '../document-store.ts';
import { toPipeError } from '../errors.ts';
import { planBalance } from './balance.ts';
import { type LeaseDocument, leasePrefix, newLease, positionOf, uncovered } from './lease.ts';
import { createLeaseObserver } from './lease-observer.ts';
import { type OwnedLease, ownLease } from './owned-lease.ts';
import { type PoisonPolicy, withPoisonPolicy } from './poison.ts';
import { pollIntervals } from './polling.ts';
import { readRange, sleep } from './read-range.ts';
import { type FeedSource, openFeedSource } from './sdk-feed.ts';
import type { FeedHandler, FeedMode, FeedPage, FeedRange, FeedStart, RangePosition } from './types.ts';

export interface FeedProcessorOptions {
  /** Processes with the same name share the ranges of the container; another name reads everything again. */
  readonly name: string;
  /** Unique to this process, such as `host-pid-random`. */
  readonly owner: string;
  /** Where ranges without a lease begin; afterwards the leases say. */
  readonly start: FeedStart;
  readonly mode?: FeedMode;
  /** Most changes per page, default 1000. */
  readonly pageSize?: number;
  /** As in `ChangeFeedOptions`. */
  readonly texts?: boolean;
  /** Longest wait between two requests of an idle range, default 500 ms. */
  readonly pollMs?: number;
  /** A lease that was not renewed for this long is taken over, default 30 s. Renewed three times as often. */
  readonly leaseExpiryMs?: number;
  /** How often the shares are compared, default 5 s. */
  readonly balanceMs?: number;
  /** Longest time that handled pages stay without a checkpoint, default 1 s; 0 writes one for every page. */
  readonly checkpointMs?: number;
  /** Default: three attempts, then the error stops the processor. */
  readonly poison?: PoisonPolicy;
  readonly clock?: Clock;
  /** Ends the processing: pages being handled are finished and stored, the leases given up. */
  readonly signal: AbortSignal;
  onEvent?(event: ProcessorEvent): void;
}

export type ProcessorEvent =
  | { readonly kind: 'acquired' | 'released' | 'lost' | 'requested'; readonly range: FeedRange }
  | { readonly kind: 'split'; readonly range: FeedRange; readonly into: readonly FeedRange[] }
  | { readonly kind: 'retry'; readonly range: FeedRange; readonly reason: string }
  | { readonly kind: 'trouble'; readonly reason: string };

export interface FeedProcessor {
  /**
   * Takes a fair share of the ranges and hands their pages to `handler`, as `ChangeFeed.run` does. A position is stored
   * only after the handler has succeeded: every change is handed over at least once, in order within its range; after a
   * crash, again from the last checkpoint. Resolves when the signal aborts. Rejects with the handler's error (see
   * {@link PoisonPolicy}) or a PipeError, after every range has been given up.
   */
  run(handler: FeedHandler): Promise<void>;
  /** The ranges that this process reads now. */
  owned(): readonly RangePosition[];
}

const DEFAULT_POISON: PoisonPolicy = { attempts: 3, backoffMs: 100 };
/** While a lease is on its way from another process, the wait for it is short. */
const HAND_OVER_POLL_MS = 250;

/**
 * The change feed processor that the JavaScript SDK does not have. `leases` is a container partitioned by `/id`
 * (`createDocumentStore`); it may hold the leases of many processors.
 */
export async function openFeedProcessor(
  connection: CosmosConnection,
  leases: DocumentStore<LeaseDocument>,
  options: FeedProcessorOptions,
): Promise<FeedProcessor> {
  const source = await openFeedSource(connection, options.mode ?? 'latestVersion', options);
  const processor = createFeedProcessor(source, leases, options);
  return {
    ...processor,
    async run(handler) {
      try {
        await processor.run(handler);
      } catch (error) {
        throw toPipeError(error, connection.target);
      }
    },
  };
}

/** {@link openFeedProcessor} on any source of changes. */
export function createFeedProcessor(
  source: FeedSource,
  store: DocumentStore<LeaseDocument>,
  options: FeedProcessorOptions,
): FeedProcessor {
  const { owner, signal } = options;
  const clock = options.clock ?? systemClock;
  const expiryMs = options.leaseExpiryMs ?? 30_000;
  const balanceMs = options.balanceMs ?? 5_000;
  const checkpointMs = options.checkpointMs ?? 1_000;
  const prefix = leasePrefix(options.name, source.rid);
  const epochMs = (): number => clock.epochMicros() / 1000;
  const observer = createLeaseObserver(clock, expiryMs);
  const working = new Map<string, { readonly lease: OwnedLease; readonly done: Promise<void> }>();
  const failed = new AbortController();
  const stopping = AbortSignal.any([signal, failed.signal]);
  let failure: { readonly error: unknown } | undefined;

  const stored = async () => (await store.list()).filter(({ document }) => document.id.startsWith(prefix));

  /** Adds the leases that are missing; a process that does the same at the same time creates the same ones. */
  const ensureLeases = async (): Promise<void> => {
    const [ranges, existing] = await Promise.all([source.ranges(), stored()]);
    const missing = uncovered(
      ranges,
      existing.map(({ document }) => document.FeedRange.Range),
    );
    for (const range of missing) await store.create(newLease(prefix, range, null, epochMs()));
  };

  const read = (lease: OwnedLease, handler: FeedHandler) => {
    const onPage = async (page: FeedPage): Promise<void> => {
      // A process that was asleep past the expiry of its lease must not speak for the range any more. The page is then not
      // handled, so nothing may be stored either.
      if (!lease.isSafe() && !(await lease.checkpoint())) return lease.lose();
      await handler(page);
      const { min, max } = lease.position;
      const { feedRange, continuation } = page;
      if (feedRange.min !== min || feedRange.max !== max) return;
      lease.position = { min, max, continuation };
      // Without a checkpoint the work goes on, as long as the lease is safe: at worst it is done again.
      await lease.checkpointIfOlder(checkpointMs).catch(trouble);
    };
    return readRange({
      source,
      position: lease.position,
      start: options.start,
      pageSize: options.pageSize ?? 1000,
      poll: pollIntervals(options.pollMs ?? 500),
      clock,
      signal: AbortSignal.any([lease.signal, stopping]),
      onPage,
      async onEmpty({ min, max, continuation }) {
        const { position } = lease;
        if (min !== position.min || max !== position.max || continuation === position.continuation) return;
        lease.position = { min, max, ...(continuation === undefined ? {} : { continuation }) };
        // From here on "now" is a place in the log, which a crash must not move.
        if (position.continuation === undefined) await lease.checkpoint();
      },
      onRetry: (reason) => options.onEvent?.({ kind: 'retry', range: lease.position, reason }),
    });
  };

  /** The children begin where the parent stands. Those that exist already are further on, so they stay as they are. */
  const splitLease = async (
    lease: OwnedLease,
    children: readonly RangePosition[],
    handler: FeedHandler,
  ): Promise<void> => {
    options.onEvent?.({ kind: 'split', range: lease.position, into: children });
    if (!(await lease.checkpoint())) return;
    for (const child of children) {
      const created = await store.create(newLease(prefix, child, owner, epochMs()));
      if (created) work(ownLease(created, { store, clock, expiryMs }), handler);
    }
    await lease.remove();
  };

  const work = (lease: OwnedLease, handler: FeedHandler): void => {
    const run = async (): Promise<void> => {
      try {
        const end = await read(lease, handler);
        if (end.kind === 'split' && !lease.lost) return await splitLease(lease, end.children, handler);
      } catch (error) {
        failure ??= { error };
        failed.abort();
      }
      if (!lease.lost) await lease.release();
      options.onEvent?.({ kind: lease.lost ? 'lost' : 'released', range: lease.position });
    };
    const done = run()
      .catch(trouble)
      .finally(() => working.delete(lease.id));
    working.set(lease.id, { lease, done });
  };

  const trouble = (error: unknown): void => {
    options.onEvent?.({ kind: 'trouble', reason: error instanceof Error ? error.message : String(error) });
  };

  /** One round: keep what is ours, take what is free, ask for what is missing. True when a lease is on its way here. */
  const balance = async (handler: FeedHandler): Promise<boolean> => {
    const all = await stored();
    observer.observe(all);
    for (const { document } of all) {
      const mine = working.get(document.id)?.lease;
      if (mine === undefined) continue;
      if (document.Owner !== owner) mine.lose();
      else if (document.properties.requestedBy !== undefined) mine.stop();
      else await mine.checkpointIfOlder(expiryMs / 3);
    }
    const byId = new Map(all.map((lease) => [lease.document.id, lease]));
    const plan = planBalance(
      all.map((lease) => observer.stateOf(lease, working.has(lease.document.id) ? owner : undefined)),
      owner,
    );
    const claim = (id: string, change: Partial<LeaseDocument>) => {
      const lease = byId.get(id);
      if (lease === undefined || stopping.aborted) return undefined;
      return store.replace({ ...lease.document, ...change }, id, lease.etag);
    };
    for (const id of plan.take) {
      const timestamp = new Date(epochMs()).toISOString();
      const taken = await claim(id, { Owner: owner, properties: {}, timestamp });
      if (taken === undefined) continue;
      options.onEvent?.({ kind: 'acquired', range: positionOf(taken.document) });
      work(ownLease(taken, { store, clock, expiryMs }), handler);
    }
    for (const id of plan.request) {
      const asked = await claim(id, { properties: { requestedBy: owner } });
      if (asked) options.onEvent?.({ kind: 'requested', range: positionOf(asked.document) });
    }
    return plan.request.length > 0 || all.some(({ document }) => document.properties.requestedBy === owner);
  };

  return {
    owned: () => [...working.values()].map(({ lease }) => lease.position),
    async run(handler) {
      const safe = withPoisonPolicy(handler, options.poison ?? DEFAULT_POISON, clock, stopping);
      await ensureLeases();
      while (!stopping.aborted) {
        let isExpecting = false;
        try {
          isExpecting = await balance(safe);
        } catch (error) {
          trouble(error);
        }
        await sleep(clock, isExpecting ? Math.min(balanceMs, HAND_OVER_POLL_MS) : balanceMs, stopping);
      }
      while (working.size > 0) await Promise.all([...working.values()].map(({ done }) => done));
      if (failure) throw failure.error;
    },
  };
}
