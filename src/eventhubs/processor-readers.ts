import type { EventHubConsumerClient, Subscription } from '@azure/event-hubs';
import type { Clock } from '../util/clock.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { type EventHubsConnection, errorNameOf, lastFailure, RETRY_OPTIONS } from './connection.ts';
import { limitCredit } from './processor-credit.ts';
import { decodeTransfers, receivedEvents } from './processor-decode.ts';
import { destroySocket, type LinkEnding, listenToLinks } from './processor-links.ts';
import type { SdkPosition } from './processor-position.ts';
import type { ReceivedEvent } from './received-event.ts';

export interface ReaderHooks {
  /** Takes one page, in order. The next one comes when the promise resolves: that is the back-pressure. */
  page(events: readonly ReceivedEvent[]): Promise<void>;
  /** Another reader of the consumer group has taken the partition at the service; nothing comes any more. */
  stolen(): void;
  /** Told of a failure that is being retried. */
  failed(error: Error): void;
}

export interface PartitionReader {
  /** A link to the partition is open. */
  readonly attached: boolean;
  /** No page is handed over after this returns; one that is being taken may still go on. */
  stop(): void;
}

/** Reads partitions over one connection, which is replaced when it is lost or does not answer. */
export interface PartitionReaders {
  read(partitionId: string, from: SdkPosition, hooks: ReaderHooks): PartitionReader;
  /** Gives the connection up and reads on over a new one. */
  reconnect(): void;
  close(): Promise<void>;
}

export interface ReadersOptions {
  readonly connection: EventHubsConnection;
  readonly consumerGroup: string;
  readonly clock: Clock;
  readonly pageSize: number;
  readonly prefetch: number;
  /** Told that the connection was lost, once per outage. */
  readonly lost: (error: Error) => void;
  /** A partition without a link after this time is a sign that the connection does not answer; default 10,000. */
  readonly attachMs?: number;
}

/** Pages that are not full come 20 ms after their first event whatever this says; it only bounds the wait for the first one. */
const MAX_WAIT_SECONDS = 60;
const DEFAULT_ATTACH_MS = 10_000;
/** Attempts to reconnect, or to open a link again, start at the first and slow down to the last of these. */
const RETRY_DELAY_MS = { first: 50, last: 2_000 } as const;
/** The service asks for this pause in so many words: "Please wait 4 seconds and try again". */
const BUSY_DELAY_MS = 4_000;
/** A failure that goes on is told again after this time. */
const TELL_AGAIN_MS = 15_000;
/** Time that a connection has to close in order before its socket is closed under it. */
const CLOSE_MS = 2_000;
/** The SDK would start a failed partition again after this time; here it never gets that far. */
const NEVER_MS = 24 * 3_600_000;

/** With a checkpoint store a client attaches with owner level 0, so that the service cuts off whoever lost a partition. */
const OWNER_LEVEL_ZERO: CheckpointStore = {
  listOwnership: async () => [],
  claimOwnership: async () => [],
  updateCheckpoint: async () => {},
  listCheckpoints: async () => [],
};

/**
 * Opens nothing yet; the first `read` does.
 *
 * The SDK does the protocol. What it makes of failures is not used, because it makes too little of them (see
 * {@link listenToLinks}): whatever ends a link or a connection ends the SDK's subscription or client here too, and another
 * one goes on after the last event that was handed over.
 */
export function partitionReaders(options: ReadersOptions): PartitionReaders {
  return new Readers(options);
}

class Readers implements PartitionReaders {
  readonly #options: ReadersOptions;
  readonly #readers = new Set<Reader>();
  readonly #closing = new AbortController();
  #watching: Promise<void> | undefined;
  #client: EventHubConsumerClient | undefined;
  #connecting = false;
  #failures = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  read(partitionId: string, from: SdkPosition, hooks: ReaderHooks): PartitionReader {
    const { attachMs = DEFAULT_ATTACH_MS, clock, connection, pageSize, prefetch } = this.#options;
    const reader = new Reader({
      partitionId,
      from,
      hooks,
      clock,
      pageSize,
      prefetch,
      explain: connection.explain,
      client: () => this.#client,
      ended: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    if (this.#client === undefined && !this.#connecting) this.#connect();
    else reader.subscribe();
    this.#watching ??= this.#watch(attachMs);
    return reader;
  }

  reconnect(): void {
    if (this.#connecting || this.#closing.signal.aborted) return;
    const old = this.#client;
    this.#client = undefined;
    this.#connecting = true;
    for (const reader of this.#readers) reader.unsubscribe();
    if (old !== undefined) void this.#dispose(old);
    const delayMs = retryDelayMs(this.#failures);
    this.#failures += 1;
    this.#options.clock.sleep(delayMs, this.#closing.signal).then(
      () => this.#connect(),
      () => {},
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const reader of [...this.#readers]) reader.stop();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await this.#dispose(client);
  }

  #connect(): void {
    const { connection, consumerGroup, pageSize, prefetch } = this.#options;
    this.#connecting = false;
    const client = connection.consumer(consumerGroup, OWNER_LEVEL_ZERO, {
      retryOptions: { ...RETRY_OPTIONS, maxRetries: 0 },
      loadBalancingOptions: { updateIntervalInMs: NEVER_MS },
    });
    this.#client = client;
    const creditLimit = Math.max(prefetch, pageSize);
    const current = () => this.#client === client;
    const readerOf = (partitionId: string) =>
      [...this.#readers].find((reader) => reader.partitionId === partitionId);
    listenToLinks(client, {
      opened: (link, partitionId) => {
        limitCredit(link, creditLimit);
        decodeTransfers(link);
        if (!current()) return;
        this.#failures = 0;
        this.#toldAt = Number.NEGATIVE_INFINITY;
        readerOf(partitionId)?.opened(link);
      },
      ended: (link, partitionId, ending) => {
        if (current()) readerOf(partitionId)?.linkEnded(link, ending);
      },
      disconnected: () => {
        if (!current()) return;
        this.#tellLost();
        this.reconnect();
      },
    });
    for (const reader of this.#readers) reader.subscribe();
  }

  #tellLost(): void {
    const { clock, connection, lost } = this.#options;
    if (clock.now() - this.#toldAt < TELL_AGAIN_MS) return;
    this.#toldAt = clock.now();
    lost(connection.explain(new Error('connection lost: failed to connect, or reset; connecting again')));
  }

  /** An answer that never comes looks like a partition without events, unless somebody looks. */
  async #watch(attachMs: number): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    const waitingSince = new WeakMap<Reader, number>();
    while (!signal.aborted) {
      await clock.sleep(attachMs / 4, signal).catch(() => {});
      const now = clock.now();
      let longest = 0;
      for (const reader of this.#readers) {
        if (!reader.waitsForLink || !waitingSince.has(reader)) waitingSince.set(reader, now);
        longest = Math.max(longest, now - (waitingSince.get(reader) ?? now));
      }
      if (longest < attachMs || this.#client === undefined) continue;
      for (const reader of this.#readers) waitingSince.set(reader, now);
      this.#tellLost();
      this.reconnect();
    }
  }

  async #dispose(client: EventHubConsumerClient): Promise<void> {
    const closed = client.close().catch(() => {});
    const late = new AbortController();
    const timer = this.#options.clock.sleep(CLOSE_MS, late.signal).then(
      () => destroySocket(client),
      () => {},
    );
    await Promise.race([closed, timer]);
    late.abort();
  }
}

interface ReaderSetup {
  readonly partitionId: string;
  readonly from: SdkPosition;
  readonly hooks: ReaderHooks;
  readonly clock: Clock;
  readonly pageSize: number;
  readonly prefetch: number;
  readonly explain: (error: unknown) => Error;
  /** The client to subscribe with now; none while the connection is being replaced. */
  readonly client: () => EventHubConsumerClient | undefined;
  readonly ended: () => void;
}

/** One partition, through any number of subscriptions, one after the other. */
class Reader implements PartitionReader {
  readonly partitionId: string;
  readonly #setup: ReaderSetup;
  readonly #stopping = new AbortController();
  #subscription: Subscription | undefined;
  #link: unknown;
  #next: SdkPosition;
  /** The page being taken. A new subscription waits for it, so that pages of two never overlap. */
  #page: Promise<void> = Promise.resolve();
  #failures = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(setup: ReaderSetup) {
    this.#setup = setup;
    this.partitionId = setup.partitionId;
    this.#next = setup.from;
  }

  get attached(): boolean {
    return this.#link !== undefined;
  }

  get stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** False during the pause before a subscription is made again. */
  get waitsForLink(): boolean {
    return this.#subscription !== undefined && this.#link === undefined;
  }

  subscribe(): void {
    const { pageSize, prefetch } = this.#setup;
    const client = this.#setup.client();
    if (client === undefined || this.stopped || this.#subscription !== undefined) return;
    const subscription: Subscription = client.subscribe(
      this.partitionId,
      {
        processEvents: (events) => {
          if (events.length === 0 || this.#subscription !== subscription) return Promise.resolve();
          this.#failures = 0;
          return this.#take(receivedEvents(events));
        },
        processError: async (error) => {
          if (this.#subscription === subscription) this.#failed(error);
        },
      },
      {
        startPosition: this.#next,
        maxBatchSize: pageSize,
        maxWaitTimeInSeconds: MAX_WAIT_SECONDS,
        prefetchCount: prefetch,
        skipParsingBodyAsJson: true,
      },
    );
    this.#subscription = subscription;
  }

  opened(link: unknown): void {
    if (this.#subscription !== undefined) this.#link = link;
  }

  linkEnded(link: unknown, { stolen }: LinkEnding): void {
    if (this.#link !== link) return;
    if (stolen) this.#stolen();
    else this.#again(retryDelayMs(this.#failures));
  }

  /** The SDK's own closing goes on in the background; it hands nothing over any more. */
  unsubscribe(): void {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    this.#link = undefined;
    subscription?.close().catch(() => {});
  }

  stop(): void {
    if (this.stopped) return;
    this.#stopping.abort();
    this.unsubscribe();
    this.#setup.ended();
  }

  async #take(events: readonly ReceivedEvent[]): Promise<void> {
    const { explain, hooks } = this.#setup;
    // From here on these events are on their way, whatever becomes of this subscription.
    this.#next = { sequenceNumber: events.at(-1)?.sequenceNumber ?? -1, isInclusive: false };
    const before = this.#page;
    const taken = (async () => {
      await before;
      if (!this.stopped) await hooks.page(events);
    })().catch((error) => hooks.failed(explain(error)));
    this.#page = taken;
    await taken;
  }

  #stolen(): void {
    this.stop();
    this.#setup.hooks.stolen();
  }

  #failed(error: unknown): void {
    const { clock, explain, hooks } = this.#setup;
    const name = errorNameOf(lastFailure(error));
    if (name === 'ReceiverDisconnectedError') {
      this.#stolen();
      return;
    }
    if (clock.now() - this.#toldAt >= TELL_AGAIN_MS) {
      this.#toldAt = clock.now();
      hooks.failed(explain(error));
    }
    this.#again(name === 'ServerBusyError' ? BUSY_DELAY_MS : retryDelayMs(this.#failures));
  }

  #again(delayMs: number): void {
    this.unsubscribe();
    this.#failures += 1;
    this.#setup.clock.sleep(delayMs, this.#stopping.signal).then(
      () => this.subscribe(),
      () => {},
    );
  }
}

/** Exponential, in milliseconds; `failures` in a row so far. */
function retryDelayMs(failures: number): number {
  return Math.min(RETRY_DELAY_MS.last, RETRY_DELAY_MS.first * 2 ** Math.min(failures, 10));
}
