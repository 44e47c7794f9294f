import { randomBytes } from 'node:crypto';
import { BinaryHeap } from '../../util/binary-heap.ts';
import type { Clock } from '../../util/clock.ts';
import { Fifo } from '../../util/fifo.ts';
import type { GridEvent } from './schema.ts';

/** One event in the queue of a namespace subscription. */
export interface QueuedEvent {
  readonly publishId: number;
  readonly index: number;
  readonly event: GridEvent;
  readonly sizeBytes: number;
  readonly publishedMs: number;
  readonly publishedAt: number;
  deliveryCount: number;
  availableAt: number;
}

export interface PullOptions {
  readonly receiveLockDurationMs: number;
  readonly maxDeliveryCount: number;
  readonly eventTimeToLiveMs: number;
  readonly clock: Clock;
  /** The event was handed out, for the `deliveryCount`th time. */
  received(queued: QueuedEvent): void;
  /** The event is done with: acknowledged, or given up for `reason`. */
  settled(queued: QueuedEvent, reason: string | undefined): void;
}

export interface ReceivedEvent {
  readonly brokerProperties: { readonly lockToken: string; readonly deliveryCount: number };
  readonly event: GridEvent;
}

export interface SettleResult {
  readonly failedLockTokens: readonly {
    readonly lockToken: string;
    readonly error: { readonly code: string; readonly message: string };
  }[];
  readonly succeededLockTokens: readonly string[];
}

export interface PullSubscription {
  readonly backlog: number;
  readonly backlogBytes: number;
  add(queued: QueuedEvent): void;
  /** Up to `max` events, as soon as there is one; an empty list when `waitMs` passed or the signal was aborted. */
  receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly ReceivedEvent[]>;
  acknowledge(tokens: readonly string[]): SettleResult;
  /** Makes the events available again after `delayMs`. */
  release(tokens: readonly string[], delayMs: number): SettleResult;
  reject(tokens: readonly string[]): SettleResult;
  renewLock(tokens: readonly string[]): SettleResult;
  stop(): void;
}

interface Lock {
  readonly token: string;
  readonly queued: QueuedEvent;
  until: number;
}

interface Waiter {
  readonly max: number;
  resolve(events: readonly ReceivedEvent[]): void;
}

/**
 * Pull delivery with locks: a received event is invisible until it is settled or its lock expires; it comes again with a
 * higher delivery count until `maxDeliveryCount` is reached (Microsoft Learn: "Pull delivery overview for Event Grid
 * namespaces").
 */
export function createPullSubscription(options: PullOptions): PullSubscription {
  const { clock } = options;
  const ready = new Fifo<QueuedEvent>();
  const delayed = new BinaryHeap<QueuedEvent>((a, b) => a.availableAt < b.availableAt);
  const locks = new Map<string, Lock>();
  const waiters = new Fifo<Waiter>();
  const gone = new WeakSet<Waiter>();
  const stopping = new AbortController();
  let backlog = 0;
  let backlogBytes = 0;
  let wakeAt = Number.POSITIVE_INFINITY;
  let wake = new AbortController();

  function settle(queued: QueuedEvent, reason: string | undefined): void {
    backlog--;
    backlogBytes -= queued.sizeBytes;
    options.settled(queued, reason);
  }

  function requeue(queued: QueuedEvent, availableAt: number): void {
    if (queued.deliveryCount >= options.maxDeliveryCount) {
      settle(queued, 'MaxDeliveryCountExceeded');
      return;
    }
    queued.availableAt = availableAt;
    if (availableAt > clock.now()) delayed.push(queued);
    else ready.push(queued);
  }

  /** Locks are held in the order in which they were given; a renewed one moves to the end, so the first is the oldest. */
  function expire(now: number): void {
    for (const lock of locks.values()) {
      if (lock.until > now) break;
      locks.delete(lock.token);
      requeue(lock.queued, now);
    }
    for (let next = delayed.peek(); next !== undefined && next.availableAt <= now; next = delayed.peek()) {
      delayed.pop();
      ready.push(next);
    }
  }

  function take(max: number): ReceivedEvent[] {
    const now = clock.now();
    expire(now);
    const received: ReceivedEvent[] = [];
    while (received.length < max) {
      const queued = ready.shift();
      if (queued === undefined) break;
      if (now - queued.publishedAt > options.eventTimeToLiveMs) {
        settle(queued, 'TimeToLiveExceeded');
        continue;
      }
      queued.deliveryCount++;
      options.received(queued);
      const token = randomBytes(24).toString('base64');
      locks.set(token, { token, queued, until: now + options.receiveLockDurationMs });
      received.push({
        brokerProperties: { lockToken: token, deliveryCount: queued.deliveryCount },
        event: queued.event,
      });
    }
    return received;
  }

  function serve(): void {
    for (let waiter = waiters.peek(); waiter !== undefined; waiter = waiters.peek()) {
      if (gone.has(waiter)) {
        waiters.shift();
        continue;
      }
      const events = take(waiter.max);
      if (events.length === 0) break;
      waiters.shift();
      waiter.resolve(events);
    }
    if (waiters.size > 0) wakeForWaiters();
  }

  /** Somebody waits: be there when the next delay or lock runs out. */
  function wakeForWaiters(): void {
    const firstLock = locks.values().next().value as Lock | undefined;
    const at = Math.min(
      delayed.peek()?.availableAt ?? Number.POSITIVE_INFINITY,
      firstLock?.until ?? Number.POSITIVE_INFINITY,
    );
    if (at >= wakeAt) return;
    wakeAt = at;
    wake.abort();
    wake = new AbortController();
    clock.sleep(Math.max(1, at - clock.now()), wake.signal).then(
      () => {
        wakeAt = Number.POSITIVE_INFINITY;
        serve();
      },
      () => {},
    );
  }

  function each(tokens: readonly string[], apply: (lock: Lock) => void): SettleResult {
    expire(clock.now());
    const succeededLockTokens: string[] = [];
    const failedLockTokens: SettleResult['failedLockTokens'][number][] = [];
    for (const token of tokens) {
      const lock = locks.get(token);
      if (lock === undefined) {
        const error = { code: 'TokenLost', message: 'The token has expired, was used, or was never given.' };
        failedLockTokens.push({ lockToken: token, error });
        continue;
      }
      locks.delete(token);
      apply(lock);
      succeededLockTokens.push(token);
    }
    serve();
    return { failedLockTokens, succeededLockTokens };
  }

  return {
    get backlog() {
      return backlog;
    },
    get backlogBytes() {
      return backlogBytes;
    },
    add(queued) {
      backlog++;
      backlogBytes += queued.sizeBytes;
      ready.push(queued);
      if (waiters.size > 0) serve();
    },
    receive(max, waitMs, signal) {
      const events = take(max);
      if (events.length > 0) return Promise.resolve(events);
      return new Promise((resolve) => {
        const ended = AbortSignal.any([signal, stopping.signal]);
        const timer = new AbortController();
        const waiter: Waiter = {
          max,
          resolve(found) {
            gone.add(waiter);
            timer.abort();
            resolve(found);
          },
        };
        const giveUp = (): void => {
          if (!gone.has(waiter)) waiter.resolve([]);
        };
        clock.sleep(waitMs, AbortSignal.any([ended, timer.signal])).then(giveUp, giveUp);
        waiters.push(waiter);
        serve();
      });
    },
    acknowledge: (tokens) => each(tokens, ({ queued }) => settle(queued, undefined)),
    reject: (tokens) => each(tokens, ({ queued }) => settle(queued, 'EventRejected')),
    release: (tokens, delayMs) => each(tokens, ({ queued }) => requeue(queued, clock.now() + delayMs)),
    renewLock: (tokens) =>
      each(tokens, (lock) => {
        lock.until = clock.now() + options.receiveLockDurationMs;
        locks.set(lock.token, lock);
      }),
    stop() {
      stopping.abort();
      wake.abort();
    },
  };
}
