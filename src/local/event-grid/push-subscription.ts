import { BinaryHeap } from '../../util/binary-heap.ts';
import type { Clock } from '../../util/clock.ts';
import { Fifo } from '../../util/fifo.ts';
import type { Random } from '../../util/random.ts';
import {
  type DeliveryOutcome,
  FAILURES_BEFORE_PROBATION,
  isPermanent,
  outcomeOf,
  probationMs,
  retryWaitMs,
} from './retry-schedule.ts';
import type { GridEvent } from './schema.ts';

/** One event on its way to one subscription. */
export interface PendingEvent {
  /** Identity in the journal. */
  readonly publishId: number;
  readonly index: number;
  /** In the delivery schema. */
  readonly event: GridEvent;
  readonly json: string;
  /** Milliseconds since the Unix epoch, and on the service's clock. */
  readonly publishedMs: number;
  readonly publishedAt: number;
  attempts: number;
  dueAt: number;
  lastOutcome: string;
  lastAttemptMs: number;
}

export interface AttemptResult {
  readonly status: number | undefined;
  readonly outcome: DeliveryOutcome;
}

export interface PushOptions {
  readonly maxDeliveryAttempts: number;
  readonly eventTimeToLiveMs: number;
  readonly maxEventsPerBatch: number;
  readonly preferredBatchBytes: number;
  readonly maxConcurrency: number;
  readonly clock: Clock;
  readonly random: Random;
  /** One delivery of a batch; never rejects. */
  attempt(batch: readonly PendingEvent[]): Promise<AttemptResult>;
  /** The event is done with: delivered, or given up for `reason`. */
  settled(pending: PendingEvent, reason: string | undefined): void;
  /** An attempt has ended; another one follows after `retryMs`, or none when it is `undefined`: the event is settled next. */
  attempted(pending: PendingEvent, result: AttemptResult, retryMs: number | undefined): void;
}

export interface PushSubscription {
  /** Events that are not settled. */
  readonly backlog: number;
  readonly backlogBytes: number;
  add(pending: PendingEvent): void;
  /** Starts deliveries: nothing is sent before the endpoint proved that it wants events. */
  start(): void;
  /** Ends without another attempt; resolves when those under way have ended. */
  stop(): Promise<void>;
}

/**
 * Delivers at least once, in no promised order: fresh events first come first served, failed ones again when their wait
 * is over, a batch whole or not at all, an endpoint that keeps failing less often (probation).
 */
export function createPushSubscription(options: PushOptions): PushSubscription {
  const { clock, random } = options;
  const ready = new Fifo<PendingEvent>();
  const waiting = new BinaryHeap<PendingEvent>((a, b) => a.dueAt < b.dueAt);
  const stopping = new AbortController();
  const underWay = new Set<Promise<void>>();
  let started = false;
  let backlog = 0;
  let backlogBytes = 0;
  let failures = 0;
  let probationUntil = 0;
  let wakeAt = Number.POSITIVE_INFINITY;
  let wake = new AbortController();

  function settle(pending: PendingEvent, reason: string | undefined): void {
    backlog--;
    backlogBytes -= pending.json.length;
    options.settled(pending, reason);
  }

  function pump(): void {
    if (!started || stopping.signal.aborted) return;
    const now = clock.now();
    for (let next = waiting.peek(); next !== undefined && next.dueAt <= now; next = waiting.peek()) {
      waiting.pop();
      ready.push(next);
    }
    while (ready.size > 0 && underWay.size < options.maxConcurrency && now >= probationUntil) {
      const batch = takeBatch(now);
      if (batch.length > 0) launch(batch);
    }
    const next = ready.size > 0 && now < probationUntil ? probationUntil : waiting.peek()?.dueAt;
    if (next !== undefined && next < wakeAt) wakeUpAt(next);
  }

  function wakeUpAt(at: number): void {
    wakeAt = at;
    wake.abort();
    wake = new AbortController();
    clock.sleep(Math.max(0, at - clock.now()), wake.signal).then(
      () => {
        wakeAt = Number.POSITIVE_INFINITY;
        pump();
      },
      () => {},
    );
  }

  /**
   * Never waits to fill a batch; an event larger than the preferred size goes alone. The time to live is looked at here
   * only: "Event Grid checks for expiration at the time of the next delivery attempt".
   */
  function takeBatch(now: number): PendingEvent[] {
    const batch: PendingEvent[] = [];
    let bytes = 0;
    for (let next = ready.peek(); next !== undefined; next = ready.peek()) {
      if (now - next.publishedAt > options.eventTimeToLiveMs) {
        ready.shift();
        settle(next, 'TimeToLiveExceeded');
        continue;
      }
      bytes += next.json.length;
      const full = batch.length >= options.maxEventsPerBatch || bytes > options.preferredBatchBytes;
      if (batch.length > 0 && full) break;
      ready.shift();
      batch.push(next);
    }
    return batch;
  }

  function launch(batch: readonly PendingEvent[]): void {
    const attemptedMs = Date.now();
    for (const pending of batch) {
      pending.attempts++;
      pending.lastAttemptMs = attemptedMs;
    }
    const delivery = options.attempt(batch).then((result) => {
      underWay.delete(delivery);
      // What was delivered while stopping is not delivered again.
      if (!stopping.signal.aborted || result.outcome === 'Delivered') conclude(batch, result);
      pump();
    });
    underWay.add(delivery);
  }

  function conclude(batch: readonly PendingEvent[], result: AttemptResult): void {
    const { outcome, status } = result;
    if (outcome === 'Delivered') {
      failures = 0;
      for (const pending of batch) {
        options.attempted(pending, result, undefined);
        settle(pending, undefined);
      }
      return;
    }
    const now = clock.now();
    failures++;
    if (failures >= FAILURES_BEFORE_PROBATION) probationUntil = now + probationMs(outcome);
    for (const pending of batch) {
      pending.lastOutcome = outcome;
      const reason = isPermanent(status)
        ? outcome
        : pending.attempts >= options.maxDeliveryAttempts
          ? 'MaxDeliveryAttemptsExceeded'
          : undefined;
      if (reason !== undefined) {
        options.attempted(pending, result, undefined);
        settle(pending, reason);
        continue;
      }
      const retryMs = retryWaitMs(pending.attempts, status, random);
      pending.dueAt = now + retryMs;
      options.attempted(pending, result, retryMs);
      waiting.push(pending);
    }
  }

  return {
    get backlog() {
      return backlog;
    },
    get backlogBytes() {
      return backlogBytes;
    },
    add(pending) {
      backlog++;
      backlogBytes += pending.json.length;
      ready.push(pending);
      if (started) queueMicrotask(pump);
    },
    start() {
      started = true;
      pump();
    },
    async stop() {
      stopping.abort();
      wake.abort();
      await Promise.all(underWay);
    },
  };
}

/** The result of an HTTP reply, or of none. */
export function resultOf(reply: { readonly status: number } | DeliveryOutcome): AttemptResult {
  if (typeof reply === 'string') return { status: undefined, outcome: reply };
  return { status: reply.status, outcome: outcomeOf(reply.status) };
}
