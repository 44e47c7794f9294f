import type { RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';
import type {
  BulkWriter,
  Settled,
  WriteFence,
  WriteOperation,
  WriteOutcome,
  WriterSnapshot,
} from '../write-operation.ts';
import { type Answer, giveUp, readAnswer } from './answer.ts';
import { type Batch, encodeBatch, RequestMemory, takeBatch } from './batch.ts';
import { type Gate, gate } from './gate.ts';
import { type HashKey, KeyDirectory, type RangeMap } from './key-directory.ts';
import {
  appendPending,
  createRangeLane,
  type KeyLane,
  type Pending,
  prependPending,
  pushReady,
  type RangeLane,
  shiftPending,
  shiftReady,
  unshiftReady,
  withdrawPending,
} from './lanes.ts';
import type { BulkTransport, RangeBounds } from './wire.ts';

export interface EngineOptions {
  readonly transport: BulkTransport;
  /** The ranges to start with, ascending. */
  readonly ranges: readonly RangeBounds[];
  readonly hash: HashKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal?: AbortSignal;
  readonly recorder?: StageRecorder;
  readonly ru?: RuRecorder;
  /** A partial batch leaves this long after its oldest operation came. */
  readonly maxWaitMs: number;
  /** Multiplies `maxWaitMs` while the process has no time to spare (1 = it has): fewer, fuller requests cost less. */
  readonly patience?: () => number;
  readonly maxBufferedBytes: number;
  readonly maxOperations: number;
  readonly maxRequestBytes: number;
  /** Requests on the wire, all ranges together, and of one range. */
  readonly maxRequests: number;
  readonly maxRequestsPerRange: number;
  /** Whole budget; every range has an equal share, as the service divides what is provisioned. */
  readonly ruPerSecond?: number;
  /** Gives an operation up when its range answered nothing useful for this long. */
  readonly giveUpMs: number;
}

/** Beside its body an operation costs memory too: its object, its closure, its place in the lists. */
const OPERATION_OVERHEAD_BYTES = 200;
const FIRST_BACKOFF_MS = 20;
const LONGEST_BACKOFF_MS = 5_000;
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
  readonly #keys: KeyDirectory;
  #buffered = 0;
  #bufferedBytes = 0;
  #inFlight = 0;
  #requests = 0;
  #known: readonly RangeBounds[];
  #ruPerSecond: number | undefined;
  #flushing = 0;
  #closed: boolean = false;
  #refreshing: boolean = false;
  readonly #waiting = new Set<RangeLane>();
  readonly #memory = new RequestMemory();
  #room: Gate | undefined;
  #empty: Gate | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#ruPerSecond = options.ruPerSecond;
    this.#known = options.ranges;
    this.#keys = new KeyDirectory(this.#mapOf(options.ranges, new Map()), options.hash);
    options.signal?.addEventListener('abort', () => this.#abandonQueued(), { once: true });
  }

  write(operation: WriteOperation, settled: Settled, fence?: WriteFence): Promise<void> | undefined {
    if (this.#closed) throw new PipeError('E_INTERNAL', 'write after close');
    if (this.#options.signal?.aborted || fence?.raised) {
      settled({ ...(fence?.raised ? WITHDRAWN : ABORTED), attempts: 0 });
      return undefined;
    }
    const lane = this.#keys.laneOf(operation.partitionKey);
    const bodyBytes = Buffer.byteLength(operation.body) + (operation.bodyStart?.length ?? 0);
    const pending: Pending = {
      operation,
      settled,
      fence,
      lane,
      bodyBytes,
      acceptedAt: this.#clock.now(),
      attempts: 0,
      companyLimit: this.#options.maxOperations,
      unsure: false,
      next: undefined,
    };
    this.#buffered++;
    this.#bufferedBytes += bodyBytes + OPERATION_OVERHEAD_BYTES;
    this.#options.recorder?.offered(1);
    appendPending(lane, pending);
    if (lane.state === 'idle') pushReady(lane);
    // Most writes only join a batch that somebody will come back for.
    const { range } = lane;
    if (range.wakeAt === Number.POSITIVE_INFINITY || range.readyCount >= range.window.operations)
      this.#pump(range);
    if (this.#bufferedBytes < this.#options.maxBufferedBytes) return undefined;
    this.#room ??= gate();
    return this.#room.promise;
  }

  withdraw(fence: WriteFence): void {
    fence.raised = true;
    for (const range of this.#keys.map.lanes) {
      const lanes: KeyLane[] = [];
      for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
        lane.state = 'busy';
        lanes.push(lane);
      }
      for (const lane of lanes) {
        this.#withdraw(lane);
        if (lane.count === 0) lane.state = 'idle';
        else pushReady(lane);
      }
    }
    this.#openGates();
  }

  /** What of a key is behind a raised fence fails; the key is in no list of ready keys. */
  #withdraw(lane: KeyLane): void {
    for (const pending of withdrawPending(lane))
      this.#settle(pending, { ...WITHDRAWN, attempts: pending.attempts });
  }

  async flush(): Promise<void> {
    if (this.#buffered === 0) return;
    this.#flushing++;
    for (const range of this.#keys.map.lanes) this.#pump(range);
    this.#empty ??= gate();
    await this.#empty.promise;
    this.#flushing--;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  snapshot(): WriterSnapshot {
    return {
      inFlight: this.#inFlight,
      buffered: this.#buffered,
      bufferedBytes: this.#bufferedBytes,
      perRange: this.#keys.map.lanes.map((range) => ({
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
    this.#ruPerSecond = ruPerSecond;
    const { lanes } = this.#keys.map;
    for (const range of lanes) range.budget?.setShare(ruPerSecond / lanes.length, this.#clock.now());
  }

  /** Sends whatever of a range may leave now, and makes sure that somebody comes back for the rest. */
  #pump(range: RangeLane): void {
    const { maxOperations, maxRequestBytes, maxRequests, signal } = this.#options;
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
        this.#wake(range, at, now);
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
      const oldest = (range.readyHead as KeyLane).head?.acceptedAt ?? now;
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
    this.#openGates();
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
    if (unavailable !== undefined) this.#backOff(range, now);
    if (moved) this.#refresh(range);
    if ((unavailable !== undefined || moved) && range.failures > 0 && now - range.failingSince > giveUpMs) {
      const { statusCode, message } = unavailable ?? { statusCode: 410, message: 'the range is gone' };
      giveUp(answer, again, statusCode, message);
      return [];
    }
    return again;
  }

  /** Puts what must travel again at the head of its keys, in order, and sets the keys free. */
  #requeue({ lanes }: Batch, again: readonly Pending[], now: number): void {
    const returned = new Set<KeyLane>();
    for (let i = again.length - 1; i >= 0; i--) {
      const pending = again[i] as Pending;
      prependPending(pending.lane, pending);
      returned.add(pending.lane);
    }
    for (let i = lanes.length - 1; i >= 0; i--) {
      const lane = lanes[i] as KeyLane;
      if (lane.head?.fence?.raised) this.#withdraw(lane);
      if (lane.count === 0) {
        lane.state = 'idle';
        lane.restUntil = 0;
      } else if (lane.restUntil > now) {
        lane.state = 'resting';
        void this.#clock.sleep(lane.restUntil - now).then(() => {
          lane.restUntil = 0;
          if (lane.head?.fence?.raised) this.#withdraw(lane);
          if (lane.count === 0) lane.state = 'idle';
          else this.#makeReady(lane, true);
          this.#pump(lane.range);
          this.#openGates();
        });
      } else this.#makeReady(lane, returned.has(lane));
    }
  }

  #makeReady(lane: KeyLane, first: boolean): void {
    if (lane.range.gone) this.#move(lane);
    if (first) unshiftReady(lane);
    else pushReady(lane);
  }

  #move(lane: KeyLane): void {
    lane.range.pending -= lane.count;
    this.#keys.reroute(lane);
    lane.range.pending += lane.count;
  }

  #backOff(range: RangeLane, now: number): void {
    if (range.failures === 0) range.failingSince = now;
    range.failures++;
    const delayMs = retryDelay(range.failures, LONGEST_BACKOFF_MS, this.#options.random);
    range.pausedUntil = Math.max(range.pausedUntil, now + delayMs);
  }

  /** Reads the ranges anew, once for all who ask meanwhile, and moves the work of ranges that are gone. */
  #refresh(range: RangeLane): void {
    if (range.gone) return; // a late answer; the new ranges are known
    range.stale = true;
    if (this.#refreshing) return;
    this.#refreshing = true;
    void this.#readRanges().then(() => {
      this.#refreshing = false;
      for (const lane of this.#keys.map.lanes) this.#pump(lane);
      this.#openGates();
    });
  }

  async #readRanges(): Promise<void> {
    const { transport, signal, random, giveUpMs } = this.#options;
    const startedAt = this.#clock.now();
    for (let attempt = 1; !signal?.aborted; attempt++) {
      try {
        this.#install(await transport.ranges());
        return;
      } catch (error) {
        // Sending to the ranges that are known brings up what is wrong, operation by operation.
        if (error instanceof PipeError || this.#clock.now() - startedAt > giveUpMs) {
          this.#install(this.#known);
          return;
        }
        await this.#clock.sleep(retryDelay(attempt, LONGEST_BACKOFF_MS, random));
      }
    }
  }

  #install(ranges: readonly RangeBounds[]): void {
    const before = this.#keys.map;
    const now = this.#clock.now();
    const known = new Map(before.lanes.map((range) => [range.id, range]));
    const map = this.#mapOf(ranges, known);
    this.#known = ranges;
    const kept = new Set(map.lanes);
    this.#keys.replaceMap(map);
    for (const range of before.lanes) {
      if (kept.has(range)) {
        // Still listed although it answered 410: a split that is not finished, or a key that was hashed for another range.
        if (range.stale) this.#backOff(range, now);
        range.stale = false;
        continue;
      }
      range.gone = true;
      this.#waiting.delete(range);
      for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
        this.#move(lane);
        pushReady(lane);
      }
    }
    if (this.#ruPerSecond !== undefined) this.setBudget(this.#ruPerSecond);
  }

  #mapOf(ranges: readonly RangeBounds[], known: ReadonlyMap<string, RangeLane>): RangeMap {
    const { maxRequestsPerRange, maxOperations } = this.#options;
    const window = { maxRequests: maxRequestsPerRange, maxOperations };
    const share = this.#ruPerSecond === undefined ? undefined : this.#ruPerSecond / ranges.length;
    const now = this.#clock.now();
    return {
      minInclusive: ranges.map((range) => range.minInclusive),
      lanes: ranges.map(({ id }) => known.get(id) ?? createRangeLane(id, window, share, now)),
    };
  }

  /** After an abort: everything that is not on the wire fails. */
  #abandonQueued(): void {
    for (const range of this.#keys.map.lanes) {
      for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
        lane.state = 'idle';
        while (lane.head !== undefined) {
          const pending = shiftPending(lane);
          this.#settle(pending, { ...ABORTED, attempts: pending.attempts });
        }
      }
    }
    this.#openGates();
  }

  #settle(pending: Pending, outcome: WriteOutcome): void {
    if (!outcome.ok) this.#options.recorder?.failed(String(outcome.statusCode), 1);
    pending.lane.range.pending--;
    this.#buffered--;
    this.#bufferedBytes -= pending.bodyBytes + OPERATION_OVERHEAD_BYTES;
    pending.settled(outcome);
  }

  #pumpAfter(range: RangeLane): void {
    for (const waiting of this.#waiting) {
      if (this.#requests >= this.#options.maxRequests) break;
      this.#waiting.delete(waiting);
      this.#pump(waiting);
    }
    if (range.gone) for (const heir of this.#keys.map.lanes) this.#pump(heir);
    else this.#pump(range);
  }

  #openGates(): void {
    // A little below the bound, so that a waiting writer wakes to room for more than one operation.
    if (this.#room !== undefined && this.#bufferedBytes < this.#options.maxBufferedBytes * 0.9) {
      this.#room.open();
      this.#room = undefined;
    }
    if (this.#empty !== undefined && this.#buffered === 0) {
      this.#empty.open();
      this.#empty = undefined;
    }
  }
}

interface Timing {
  readonly startedAt: number;
  readonly now: number;
  /** Request units the budget was charged in advance. */
  readonly expected: number;
}

/** Exponential with jitter, in milliseconds; `attempt` counts from 1. */
function retryDelay(attempt: number, longestMs: number, random: Random): number {
  return Math.min(longestMs, FIRST_BACKOFF_MS * 2 ** (attempt - 1)) * (0.5 + random.next() / 2);
}
