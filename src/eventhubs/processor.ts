import type { Clock } from '../util/clock.ts';
import { formatDurationMs } from '../util/duration.ts';
import { PipeError } from '../util/errors.ts';
import { type CheckpointStore, isOfHub, type PartitionOwnership } from './checkpoint-store.ts';
import type { EventHubsConnection } from './connection.ts';
import { DEFAULT_OWNERSHIP_EXPIRY_MS, DEFAULT_REBALANCE_MS, planBalance } from './processor-balance.ts';
import type { SdkPosition } from './processor-position.ts';
import { type PartitionReader, type PartitionReaders, partitionReaders } from './processor-readers.ts';
import type { ReceivedEvent } from './received-event.ts';

export interface PartitionHandler {
  /** The partition is ours from now on, and read after `sequenceNumber` (the checkpoint; `undefined` without one). */
  opened(partitionId: string, sequenceNumber: number | undefined): void;
  /** Takes one page, in order. The next one comes when the promise resolves: that is the back-pressure. */
  page(partitionId: string, events: readonly ReceivedEvent[]): Promise<void>;
  /**
   * No more pages of this partition; ownership is given up (`shutdown`) or was taken (`lost`) once the promise resolves. What
   * is on its way may be finished until `fence` is aborted; from then on another process writes, so nothing more may be sent.
   */
  closed(partitionId: string, reason: 'shutdown' | 'lost', fence: AbortSignal): Promise<void>;
  /** Something went wrong that is retried; `undefined` when it is about no partition in particular. */
  failed(partitionId: string | undefined, error: Error): void;
}

export interface ProcessorOptions {
  readonly connection: EventHubsConnection;
  readonly consumerGroup: string;
  /** Name of this process among the owners. */
  readonly ownerId: string;
  readonly checkpoints: CheckpointStore;
  /**
   * Where to start without a checkpoint, for every partition of the hub. Looked at with each balancing: a partition that is
   * added meanwhile is claimed as any other.
   */
  readonly positions: Readonly<Record<string, SdkPosition>>;
  /** When the hub was created: a checkpoint of another hub of the same name is not used. */
  readonly hubCreatedMs?: number;
  readonly handler: PartitionHandler;
  readonly clock: Clock;
  /** A page is handed over with so many messages, default 500; events that came in one read count as one, up to `prefetch` events. */
  readonly pageSize?: number;
  /** Most events of one partition that wait in memory behind the current page, default twice the page. */
  readonly prefetch?: number;
  /** How often ownership is renewed and balanced, default 2,000. */
  readonly rebalanceMs?: number;
  /** How long a process may be silent before others take its partitions, default 15,000. */
  readonly ownershipExpiryMs?: number;
}

/** `elsewhere`: another process works on it; `free`: nobody is known to; `opening`: ours, without a link at this moment. */
export type PartitionStatus = 'reading' | 'opening' | 'elsewhere' | 'free';

export interface Processor {
  status(partitionId: string): PartitionStatus;
  /** Gives the connection up that partitions are read over, and takes another. */
  reconnect(): void;
  /** Stops receiving, waits for `closed` of every partition, and gives the partitions up. */
  stop(): Promise<void>;
}

/** A process that cannot renew stops writing after this share of the expiry; the rest allows for clocks that differ. */
const TRUSTED_SHARE = 2 / 3;
const WATCH_MS = 250;
/** A process that ends does not wait longer than this for a checkpoint store that does not answer. */
const RELEASE_MS = 5_000;

/**
 * Receives from a fair share of the partitions, together with every other process that uses the same checkpoint store.
 *
 * Ownership is a claim in the store that is renewed every `rebalanceMs`. A partition is never written by two processes at a
 * time, as far as that can be had without the container's help:
 *
 *     old owner   ...writing | sees the claim, reads no more, finishes | fence: sends nothing more
 *     new owner          claim ............ waits twice the renewal ........... reads from the checkpoint
 *
 * A process that cannot renew raises its own fence at two thirds of the expiry, so before anybody else may claim. Whoever
 * attaches without waiting (a processor of the SDK) cuts the old owner off at the service, which raises the fence at once.
 */
export function startProcessor(options: ProcessorOptions): Processor {
  return new BalancedProcessor(options);
}

interface Holding {
  readonly partitionId: string;
  etag: string | undefined;
  /** Monotonic time until which nobody else can have claimed the partition. */
  trustedUntil: number;
  state: 'opening' | 'reading' | 'shutdown' | 'lost';
  reader: PartitionReader | undefined;
  /** Nothing of it is on its way any more. */
  done: boolean;
  readonly fence: AbortController;
  /** Aborted when reading ends, whatever the reason. */
  readonly ended: AbortController;
}

class BalancedProcessor implements Processor {
  readonly #options: ProcessorOptions;
  readonly #readers: PartitionReaders;
  readonly #rebalanceMs: number;
  readonly #expiryMs: number;
  readonly #held = new Map<string, Holding>();
  readonly #closing = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #stopped = new AbortController();
  readonly #loop: Promise<void>;
  #elsewhere: ReadonlySet<string> = new Set();
  #storeFailed = false;

  constructor(options: ProcessorOptions) {
    const { clock, connection, consumerGroup, handler, pageSize = 500 } = options;
    this.#options = options;
    this.#rebalanceMs = options.rebalanceMs ?? DEFAULT_REBALANCE_MS;
    this.#expiryMs = options.ownershipExpiryMs ?? DEFAULT_OWNERSHIP_EXPIRY_MS;
    this.#readers = partitionReaders({
      connection,
      consumerGroup,
      clock,
      pageSize,
      prefetch: options.prefetch ?? pageSize * 2,
      lost: (error) => handler.failed(undefined, error),
    });
    this.#loop = this.#run();
    void this.#watch();
  }

  status(partitionId: string): PartitionStatus {
    const holding = this.#held.get(partitionId);
    if (holding?.state === 'reading' && holding.reader?.attached) return 'reading';
    if (holding !== undefined && holding.state !== 'lost') return 'opening';
    return this.#elsewhere.has(partitionId) ? 'elsewhere' : 'free';
  }

  reconnect(): void {
    this.#readers.reconnect();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    // Renewing goes on meanwhile: draining may take longer than a claim lasts.
    for (const holding of [...this.#held.values()]) this.#close(holding, 'shutdown');
    while (this.#closing.size > 0) await Promise.all(this.#closing);
    await this.#readers.close();
    this.#stopped.abort();
    const released = this.#loop.then(() => this.#release()).catch(() => {});
    const patience = new AbortController();
    await Promise.race([released, this.#sleep(RELEASE_MS, patience.signal)]);
    patience.abort();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#balance();
        this.#storeFailed = false;
      } catch (error) {
        if (!this.#storeFailed) this.#tellStoreFailed(error);
        this.#storeFailed = true;
      }
      await this.#sleep(this.#rebalanceMs, this.#stopped.signal);
    }
  }

  #tellStoreFailed(error: unknown): void {
    const { connection, handler } = this.#options;
    const cause = connection.explain(error).message;
    handler.failed(undefined, new Error(`ownership cannot be renewed now, trying again (${cause})`));
  }

  async #balance(): Promise<void> {
    const { checkpoints, clock, positions } = this.#options;
    const startedAt = clock.now();
    const owners = await checkpoints.listOwnership(...this.#scope());
    const { ownerId: me } = this.#options;
    const known = new Map(owners.map((entry) => [entry.partitionId, entry]));
    for (const holding of this.#held.values()) {
      const owner = known.get(holding.partitionId)?.ownerId;
      if (owner !== undefined && owner !== '' && owner !== me) this.#close(holding, 'lost');
    }
    const nowMs = clock.epochMicros() / 1000;
    const view = { partitionIds: Object.keys(positions), owners, me, nowMs, expiryMs: this.#expiryMs };
    this.#elsewhere = new Set(
      owners
        .filter(({ ownerId, lastModifiedTimeInMs = 0 }) => {
          return ownerId !== '' && ownerId !== me && nowMs - lastModifiedTimeInMs < this.#expiryMs;
        })
        .map(({ partitionId }) => partitionId),
    );
    const stopping = this.#stopping.signal.aborted;
    // A partition that is still being closed is claimed again when that is done.
    const { take, steal } = stopping
      ? { take: [], steal: [] }
      : planBalance({ ...view, mine: new Set(this.#held.keys()) });
    const renewed = this.#dueForRenewal();
    const wanted = [...renewed.map(({ partitionId }) => partitionId), ...take, ...steal];
    if (wanted.length === 0) return;
    const won = await checkpoints.claimOwnership(
      wanted.map((partitionId) => this.#claim(partitionId, me, known.get(partitionId)?.etag)),
    );
    const etags = new Map(won.map(({ etag, partitionId }) => [partitionId, etag]));
    const trustedUntil = startedAt + this.#expiryMs * TRUSTED_SHARE;
    for (const holding of renewed) {
      if (etags.has(holding.partitionId)) {
        holding.etag = etags.get(holding.partitionId);
        holding.trustedUntil = trustedUntil;
      } else this.#close(holding, 'lost');
    }
    for (const partitionId of [...take, ...steal])
      if (etags.has(partitionId))
        this.#open(partitionId, { etag: etags.get(partitionId), trustedUntil }, steal.includes(partitionId));
  }

  /**
   * Claims are renewed three times while they last, a part of them each time, so that many partitions are an even load for
   * the store and not a burst.
   */
  #dueForRenewal(): readonly Holding[] {
    const everyMs = this.#expiryMs / 3;
    const trustedMs = this.#expiryMs * TRUSTED_SHARE;
    const dueBelow = this.#options.clock.now() + trustedMs - everyMs;
    const held = [...this.#held.values()].filter(({ state }) => state !== 'lost');
    const oldestFirst = held.sort((a, b) => a.trustedUntil - b.trustedUntil);
    const share = Math.ceil((held.length * this.#rebalanceMs) / everyMs);
    return oldestFirst.filter(({ trustedUntil }, index) => index < share || trustedUntil <= dueBelow);
  }

  #open(
    partitionId: string,
    { etag, trustedUntil }: Pick<Holding, 'etag' | 'trustedUntil'>,
    fromLiveOwner: boolean,
  ): void {
    const holding: Holding = {
      partitionId,
      etag,
      trustedUntil,
      state: 'opening',
      reader: undefined,
      done: false,
      fence: new AbortController(),
      ended: new AbortController(),
    };
    this.#held.set(partitionId, holding);
    if (this.#stopping.signal.aborted) this.#close(holding, 'shutdown');
    else void this.#begin(holding, fromLiveOwner ? 2 * this.#rebalanceMs + this.#finishMs() / 2 : 0);
  }

  /** How long an owner that lost its claim goes on with what it has received. */
  #finishMs(): number {
    return Math.min(this.#rebalanceMs, 2_000);
  }

  async #begin(holding: Holding, delayMs: number): Promise<void> {
    const { checkpoints, clock, handler, hubCreatedMs, positions } = this.#options;
    const { partitionId, ended } = holding;
    if (delayMs > 0) await this.#sleep(delayMs, ended.signal);
    for (let failures = 0; !ended.signal.aborted; failures++) {
      try {
        const checkpoint = (await checkpoints.listCheckpoints(...this.#scope())).find(
          (entry) => entry.partitionId === partitionId && isOfHub(entry, hubCreatedMs),
        );
        // An answer that took longer than the claim lasts is of no use.
        if (clock.now() > holding.trustedUntil) await this.#sleep(WATCH_MS, ended.signal);
        if (ended.signal.aborted || clock.now() > holding.trustedUntil) continue;
        holding.state = 'reading';
        handler.opened(partitionId, checkpoint?.sequenceNumber);
        const from = checkpoint === undefined ? positions[partitionId] : { offset: checkpoint.offset };
        holding.reader = this.#readers.read(partitionId, from ?? { offset: '-1' }, {
          page: (events) => handler.page(partitionId, events),
          stolen: () => this.#close(holding, 'lost', 'at once'),
          failed: (error) => handler.failed(partitionId, error),
        });
        return;
      } catch (error) {
        if (failures === 0) handler.failed(partitionId, this.#options.connection.explain(error));
        await this.#sleep(this.#rebalanceMs, ended.signal);
      }
    }
  }

  #close(holding: Holding, reason: 'shutdown' | 'lost', fence?: 'at once'): void {
    const { handler } = this.#options;
    const { partitionId, state } = holding;
    if (reason === 'lost') {
      if (fence === 'at once') holding.fence.abort();
      else if (state !== 'lost')
        void this.#sleep(this.#finishMs(), holding.fence.signal).then(() => holding.fence.abort());
    }
    const closing = state === 'shutdown' || state === 'lost';
    if (state !== 'lost') holding.state = reason;
    if (closing) return;
    holding.ended.abort();
    holding.reader?.stop();
    const closed = (
      state === 'reading' ? handler.closed(partitionId, reason, holding.fence.signal) : Promise.resolve()
    )
      .catch((error: Error) => handler.failed(partitionId, error))
      .then(() => {
        this.#closing.delete(closed);
        holding.fence.abort();
        holding.done = true;
        // What was given up in order is released when all of it is.
        if (holding.state === 'lost') this.#held.delete(partitionId);
      });
    this.#closing.add(closed);
  }

  /** The fence of a process that does not hear from the store: in its own time, whatever the calls to the store do. */
  async #watch(): Promise<void> {
    const { clock, handler } = this.#options;
    while (!this.#stopped.signal.aborted) {
      for (const holding of this.#held.values()) {
        if (holding.state === 'lost' || holding.done || clock.now() <= holding.trustedUntil) continue;
        const silence = formatDurationMs(this.#expiryMs * TRUSTED_SHARE);
        handler.failed(
          holding.partitionId,
          new PipeError('E_UNREACHABLE', `given up: its ownership was not renewed for ${silence}`, {
            hint: 'check the checkpoint store; the partition is taken again when it answers',
          }),
        );
        this.#close(holding, 'lost', 'at once');
      }
      await this.#sleep(WATCH_MS, this.#stopped.signal);
    }
  }

  async #release(): Promise<void> {
    const claims = [...this.#held.values()].map(({ etag, partitionId }) =>
      this.#claim(partitionId, '', etag),
    );
    if (claims.length > 0) await this.#options.checkpoints.claimOwnership(claims);
  }

  #claim(partitionId: string, ownerId: string, etag: string | undefined): PartitionOwnership {
    const [fullyQualifiedNamespace, eventHubName, consumerGroup] = this.#scope();
    return {
      fullyQualifiedNamespace,
      eventHubName,
      consumerGroup,
      partitionId,
      ownerId,
      ...(etag === undefined ? {} : { etag }),
    };
  }

  #scope(): [string, string, string] {
    const { connection, consumerGroup } = this.#options;
    return [connection.host, connection.eventHub, consumerGroup];
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal).catch(() => {});
  }
}
