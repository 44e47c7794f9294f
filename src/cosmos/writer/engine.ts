import type { RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type {
  BulkWriter,
  Settled,
  WriteFence,
  WriteOperation,
  WriteOutcome,
  WriterSnapshot,
} from '../write-operation.ts';
import { type Answer, giveUp, readAnswer } from './answer.ts';
import { Backlog } from './backlog.ts';
import { backOff, retryDelay } from './backoff.ts';
import { type Batch, encodeBatch, RequestMemory, takeBatch } from './batch.ts';
import {
  appendPending,
  type KeyLane,
  type Pending,
  prependPending,
  pushReady,
  type RangeLane,
  withdrawPending,
  withdrawReady,
} from './lanes.ts';
import { ownOldBytes } from './own-bytes.ts';
import { RangeRouting, type RoutingOptions } from './routing.ts';
import { Turns } from './turns.ts';

export interface EngineOptions extends RoutingOptions {
  readonly recorder?: StageRecorder;
  readonly ru?: RuRecorder;
  /** A partial batch leaves this long after its oldest operation came. */
  readonly maxWaitMs: number;
  /** Multiplies `maxWaitMs` while the process has no time to spare (1 = it has): fewer, fuller requests cost less. */
  readonly patience?: () => number;
  readonly maxBufferedBytes: number;
  readonly maxRequestBytes: number;
  /** Requests on the wire, all ranges together; `maxRequestsPerRange` bounds those of one range. */
  readonly maxRequests: number;
}

/**
 * After a 429 a range pauses at least this long, however soon the service would take the next operation: budgets are per
 * second, so nothing is lost, and requests of one or two operations cost more than they carry.
 */
const LEAST_PAUSE_MS = 25;
/** A single operation that keeps failing with 449 or 5xx is delayed by up to this. */
const LONGEST_REST_MS = 1_000;
/** How long a refused operation makes its range send each key once per request (see takeBatch). */
const DISTINCT_REQUESTS = 8;
/** A partial batch does not wait longer than this many times `maxWaitMs` for the answer to the request before it. */
const WAIT_FOR_ANSWER = 4;

/** How soon a range that waits is looked at again: patience ends when the load does. */
const RECONSIDER_MS = 100;

const ABORTED = { ok: false, statusCode: 0, reason: 'the writer was aborted', poison: false } as const;
const WITHDRAWN = {
  ok: false,
  statusCode: 0,
  reason: 'another process writes it now',
  poison: false,
} as const;

/**
 * The bulk writer without its surroundings: transport, clock and randomness come in, so that the simulation can run it.
 *
 *     write -> lane of the key -> ready keys of its range -> batch -> request -> answer -> settled | back to the lane
 *
 * A range sends as much at once as its window allows, when a batch is full or due, within its share of the RU budget. The
 * order within a key holds because a key is part of one request at a time and a request that repeats a key stops at its
 * first failure.
 */
export class WriterEngine implements BulkWriter {
  readonly #options: EngineOptions;
  readonly #clock: Clock;
  readonly #routing: RangeRouting;
  readonly #backlog: Backlog;
  #inFlight = 0;
  #requests = 0;
  #flushing = 0;
  #closed: boolean = false;
  readonly #turns = new Turns();
  readonly #waiting = new Set<RangeLane>();
  readonly #memory = new RequestMemory();
  /** When what had waited was looked through last, and the bytes that came since. */
  #sweptAt = Number.NEGATIVE_INFINITY;
  #bytesSinceSwept = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#backlog = new Backlog(options.maxBufferedBytes);
    this.#routing = new RangeRouting(options, () => {
      for (const range of this.#routing.ranges) this.#pump(range);
      this.#backlog.openGates();
    });
    options.signal?.addEventListener('abort', () => this.#abandonQueued(), { once: true });
  }

  write(operation: WriteOperation, settled: Settled, fence?: WriteFence): Promise<void> | undefined {
    if (this.#closed) throw new PipeError('E_INTERNAL', 'write after close');
    if (this.#options.signal?.aborted || fence?.raised) {
      settled({ ...(fence?.raised ? WITHDRAWN : ABORTED), attempts: 0 });
      return undefined;
    }
    const lane = this.#routing.laneOf(operation.partitionKey);
    const now = this.#clock.now();
    const bodyBytes = Buffer.byteLength(operation.body) + (operation.bodyStart?.length ?? 0);
    const pending: Pending = {
      operation,
      settled,
      fence,
      lane,
      bodyBytes,
      acceptedAt: now,
      turn: this.#turns.next(fence, now),
      attempts: 0,
      companyLimit: this.#options.maxOperations,
      unsure: false,
      next: undefined,
    };
    this.#backlog.add(pending);
    this.#options.recorder?.offered(1);
    appendPending(lane, pending);
    this.#bytesSinceSwept += bodyBytes;
    if (this.#bytesSinceSwept > this.#options.maxBufferedBytes / 2) this.#sweep(now);
    if (lane.state === 'idle') pushReady(lane);
    // Most writes only join a batch that somebody will come back for.
    const { range } = lane;
    if (range.wakeAt === Number.POSITIVE_INFINITY || range.readyCount >= range.window.operations)
      this.#pump(range);
    return this.#backlog.untilRoom();
  }

  withdraw(fence: WriteFence): void {
    fence.raised = true;
    for (const range of this.#routing.ranges) this.#fail(withdrawReady(range, isFenced), WITHDRAWN);
    this.#backlog.openGates();
  }

  async flush(): Promise<void> {
    if (this.#backlog.operations === 0) return;
    this.#flushing++;
    for (const range of this.#routing.ranges) this.#pump(range);
    await this.#backlog.untilEmpty();
    this.#flushing--;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  snapshot(): WriterSnapshot {
    return {
      inFlight: this.#inFlight,
      buffered: this.#backlog.operations,
      bufferedBytes: this.#backlog.sizeBytes,
      perRange: this.#routing.ranges.map((range) => ({
        rangeId: range.id,
        queued: range.pending - range.inFlight,
        requestsInFlight: range.requestsInFlight,
        window: range.window.requests,
        requestCharge: range.requestCharge,
        throttled: range.throttled,
        written: range.written,
      })),
    };
  }

  /** Changes the whole budget, for example when the provisioned throughput changed. */
  setBudget(ruPerSecond: number): void {
    this.#routing.setBudget(ruPerSecond);
  }

  /** Bounds the memory behind the bodies that wait, to that of twice `maxBufferedBytes` of bodies. */
  #sweep(now: number): void {
    ownOldBytes(this.#routing.lanes(), this.#sweptAt);
    this.#sweptAt = now;
    this.#bytesSinceSwept = 0;
  }

  /** Sends whatever of a range may leave now, and makes sure that somebody comes back for the rest. */
  #pump(range: RangeLane): void {
    const { maxOperations, maxRequestBytes, maxRequests, patience, signal } = this.#options;
    if (signal?.aborted) this.#abandonQueued();
    // With the window full, the next answer pumps again.
    while (
      range.readyCount > 0 &&
      !range.stale &&
      !range.gone &&
      range.requestsInFlight < range.window.requests
    ) {
      const now = this.#clock.now();
      const at = this.#sendableAt(range, now);
      if (at > now) {
        this.#wake(range, patience === undefined ? at : Math.min(at, now + RECONSIDER_MS), now);
        return;
      }
      if (this.#requests >= maxRequests) {
        this.#waiting.add(range);
        return;
      }
      const allowance = range.budget?.allowance() ?? maxOperations;
      const batch = takeBatch(range, {
        maxOperations: Math.min(range.window.operations, allowance),
        maxBytes: maxRequestBytes,
      });
      void this.#send(batch, now);
    }
  }

  /** When the next request of a range may leave: after its pause, when its batch is full or due, and within the budget. */
  #sendableAt(range: RangeLane, now: number): number {
    const { maxWaitMs, patience } = this.#options;
    let at = Math.max(range.pausedUntil, range.budget?.readyAt(now) ?? 0);
    if (range.readyCount < range.window.operations && this.#flushing === 0) {
      const oldest = range.ready.peek()?.head?.acceptedAt ?? now;
      const factor = Math.max(range.requestsInFlight > 0 ? WAIT_FOR_ANSWER : 1, patience?.() ?? 1);
      at = Math.max(at, oldest + maxWaitMs * factor);
    }
    return at;
  }

  #wake(range: RangeLane, at: number, now: number): void {
    if (range.wakeAt <= at) return;
    range.wakeAt = at;
    void this.#clock.sleep(Math.ceil(at - now)).then(() => {
      if (range.wakeAt !== at) return; // an earlier wake-up took its place
      range.wakeAt = Number.POSITIVE_INFINITY;
      this.#pump(range);
    });
  }

  async #send(batch: Batch, startedAt: number): Promise<void> {
    const { range, operations } = batch;
    const { transport, recorder } = this.#options;
    // Otherwise a range that is out of request units refuses the whole rest one by one.
    const continueOnError = range.distinctKeys > 0 && !batch.repeatsKeys;
    if (range.distinctKeys > 0) range.distinctKeys--;
    range.requestsInFlight++;
    range.inFlight += operations.length;
    this.#requests++;
    this.#inFlight += operations.length;
    recorder?.inFlight(this.#inFlight);
    const expected = range.budget?.spend(operations.length) ?? 0;
    const body = encodeBatch(operations, this.#memory);
    const reply = await transport.send({
      rangeId: range.id,
      body,
      operationCount: operations.length,
      continueOnError,
    });
    // Whoever answers every operation has read the whole request.
    if ('replies' in reply) this.#memory.giveBack(body);
    const now = this.#clock.now();
    range.requestsInFlight--;
    range.inFlight -= operations.length;
    this.#requests--;
    this.#inFlight -= operations.length;
    recorder?.inFlight(this.#inFlight);
    const answer = readAnswer(operations, reply);
    const again = this.#react(batch, answer, { startedAt, now, expected });
    for (let i = 0; i < answer.settled.length; i++)
      this.#settle(answer.settled[i] as Pending, answer.outcomes[i] as WriteOutcome);
    this.#requeue(batch, again, now);
    this.#pumpAfter(range);
    this.#backlog.openGates();
  }

  /** Draws the consequences of an answer for the range. Returns the operations that travel again. */
  #react({ range, full }: Batch, answer: Answer, { startedAt, now, expected }: Timing): readonly Pending[] {
    const { recorder, ru, random, giveUpMs } = this.#options;
    const { again, written, requestCharge, throttled, unavailable, moved } = answer;
    range.requestCharge += requestCharge;
    range.written += written;
    range.budget?.settle(expected, requestCharge, written, now);
    for (const [kind, { charge, count }] of answer.charges) ru?.charge(kind, range.id, charge, count);
    if (written > 0) {
      recorder?.done(written, answer.writtenBytes);
      recorder?.serviceTime((now - startedAt) * 1000, written);
    }
    if (answer.refused > 0) range.distinctKeys = DISTINCT_REQUESTS;
    for (const { attempts, lane } of answer.resting)
      lane.restUntil = now + retryDelay(attempts, LONGEST_REST_MS, random);
    if (written > 0 || throttled > 0) range.failures = 0;
    if (throttled > 0) {
      range.throttled += throttled;
      recorder?.throttled(throttled);
      ru?.throttled(range.id, throttled);
      range.window.narrow(startedAt, now, written);
      range.pausedUntil = Math.max(range.pausedUntil, now + Math.max(LEAST_PAUSE_MS, answer.retryAfterMs));
    } else if (again.length === 0 && full) range.window.widen(startedAt, now);
    if (unavailable !== undefined) backOff(range, now, random);
    if (moved) this.#routing.refresh(range);
    if ((unavailable !== undefined || moved) && range.failures > 0 && now - range.failingSince > giveUpMs) {
      const { statusCode, message } = unavailable ?? { statusCode: 410, message: 'the range is gone' };
      giveUp(answer, again, statusCode, message);
      return [];
    }
    return again;
  }

  /** Puts what must travel again at the head of its keys, in order, and sets the keys free. */
  #requeue({ lanes }: Batch, again: readonly Pending[], now: number): void {
    for (let i = again.length - 1; i >= 0; i--) {
      const pending = again[i] as Pending;
      prependPending(pending.lane, pending);
    }
    for (const lane of lanes) {
      if (lane.head !== undefined && isFenced(lane.head))
        this.#fail(withdrawPending(lane, isFenced), WITHDRAWN);
      if (lane.count === 0) {
        lane.state = 'idle';
        lane.restUntil = 0;
      } else if (lane.restUntil > now) {
        lane.state = 'resting';
        void this.#clock.sleep(lane.restUntil - now).then(() => {
          lane.restUntil = 0;
          if (lane.head !== undefined && isFenced(lane.head))
            this.#fail(withdrawPending(lane, isFenced), WITHDRAWN);
          if (lane.count === 0) lane.state = 'idle';
          else this.#makeReady(lane);
          this.#pump(lane.range);
          this.#backlog.openGates();
        });
      } else this.#makeReady(lane);
    }
  }

  #makeReady(lane: KeyLane): void {
    if (lane.range.gone) this.#routing.move(lane);
    pushReady(lane);
  }

  /** After an abort: everything that is not on the wire fails. */
  #abandonQueued(): void {
    for (const range of this.#routing.ranges)
      this.#fail(
        withdrawReady(range, () => true),
        ABORTED,
      );
    this.#backlog.openGates();
  }

  #fail(operations: readonly Pending[], outcome: typeof ABORTED | typeof WITHDRAWN): void {
    for (const pending of operations) this.#settle(pending, { ...outcome, attempts: pending.attempts });
  }

  #settle(pending: Pending, outcome: WriteOutcome): void {
    if (!outcome.ok) this.#options.recorder?.failed(String(outcome.statusCode), 1);
    pending.lane.range.pending--;
    this.#backlog.remove(pending);
    pending.settled(outcome);
  }

  #pumpAfter(range: RangeLane): void {
    for (const waiting of this.#waiting) {
      if (this.#requests >= this.#options.maxRequests) break;
      this.#waiting.delete(waiting);
      this.#pump(waiting);
    }
    if (range.gone) for (const heir of this.#routing.ranges) this.#pump(heir);
    else this.#pump(range);
  }
}

const isFenced = ({ fence }: Pending): boolean => fence?.raised === true;

interface Timing {
  readonly startedAt: number;
  readonly now: number;
  /** Request units the budget was charged in advance. */
  readonly expected: number;
}
