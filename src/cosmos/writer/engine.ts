import type { RuOperation, RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { PipeError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';
import type { BulkWriter, Settled, WriteOperation, WriterSnapshot } from '../write-operation.ts';
import { type HashKey, KeyDirectory, type RangeMap } from './key-directory.ts';
import {
  appendPending,
  type Batch,
  createRangeLane,
  type KeyLane,
  type Pending,
  prependPending,
  pushReady,
  type RangeLane,
  shiftPending,
  shiftReady,
  takeBatch,
  unshiftReady,
} from './lanes.ts';
import { refusalReason, verdictOfOperation, verdictOfRequest } from './verdict.ts';
import {
  type BulkReply,
  type BulkTransport,
  encodeOperation,
  type OperationReply,
  type RangeBounds,
} from './wire.ts';

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
/** Characters around a body in the request. */
const ENCODING_OVERHEAD_BYTES = 120;
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

const ABORTED = 'the writer was aborted';

/** Batches, paces, retries and reorders nothing; see `BulkWriter` for the contract and docs/architecture.md for the idea. */
export class WriterEngine implements BulkWriter {
  readonly #options: EngineOptions;
  readonly #clock: Clock;
  readonly #keys: KeyDirectory;
  #buffered = 0;
  #bufferedBytes = 0;
  #inFlight = 0;
  #requests = 0;
  #ruPerSecond: number | undefined;
  #flushing = 0;
  #closed: boolean = false;
  #refreshing: boolean = false;
  readonly #waiting = new Set<RangeLane>();
  #room: Gate | undefined;
  #empty: Gate | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#ruPerSecond = options.ruPerSecond;
    this.#keys = new KeyDirectory(this.#mapOf(options.ranges, new Map()), options.hash);
    options.signal?.addEventListener('abort', () => this.#abandonQueued(), { once: true });
  }

  write(operation: WriteOperation, settled: Settled): Promise<void> | undefined {
    if (this.#closed) throw new PipeError('E_INTERNAL', 'write after close');
    if (this.#options.signal?.aborted) {
      settled({ ok: false, statusCode: 0, reason: ABORTED, poison: false, attempts: 0 });
      return undefined;
    }
    const lane = this.#keys.laneOf(operation.partitionKey);
    const sizeBytes = Buffer.byteLength(operation.body) + ENCODING_OVERHEAD_BYTES;
    const pending: Pending = {
      operation,
      settled,
      lane,
      sizeBytes,
      acceptedAt: this.#clock.now(),
      attempts: 0,
      companyLimit: this.#options.maxOperations,
      unsure: false,
      next: undefined,
    };
    this.#buffered++;
    this.#bufferedBytes += sizeBytes + OPERATION_OVERHEAD_BYTES;
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
      const factor = range.requestsInFlight > 0 ? WAIT_FOR_ANSWER : (patience?.() ?? 1);
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
    if (range.distinctKeys > 0) range.distinctKeys--;
    range.requestsInFlight++;
    range.inFlight += operations.length;
    this.#requests++;
    this.#inFlight += operations.length;
    recorder?.inFlight(this.#inFlight);
    const expected = range.budget?.spend(operations.length) ?? 0;
    const reply = await transport.send({
      rangeId: range.id,
      body: encodeBatch(operations),
      operationCount: operations.length,
      continueOnError: !batch.repeatsKeys,
    });
    const now = this.#clock.now();
    range.requestsInFlight--;
    range.inFlight -= operations.length;
    this.#requests--;
    this.#inFlight -= operations.length;
    recorder?.inFlight(this.#inFlight);
    const timing = { startedAt, now, expected };
    const again =
      'replies' in reply && reply.replies.length === operations.length
        ? this.#readReplies(batch, reply.replies, timing)
        : this.#readFailure(batch, reply, timing);
    this.#requeue(batch, again, now);
    this.#pumpAfter(range);
    this.#openGates();
  }

  /** Settles what is decided. Returns what must travel again. */
  #readReplies(
    { range, operations, full }: Batch,
    replies: readonly OperationReply[],
    { startedAt, now, expected }: Timing,
  ): readonly Pending[] {
    const again: Pending[] = [];
    const { recorder, ru } = this.#options;
    const charges = new Map<RuOperation, { charge: number; count: number }>();
    let charged = 0;
    let written = 0;
    let writtenBytes = 0;
    let throttled = 0;
    let retryAfterMs = 0;
    let unavailable = false;
    let moved = false;
    for (let i = 0; i < operations.length; i++) {
      const pending = operations[i] as Pending;
      const {
        statusCode,
        requestCharge = 0,
        retryAfterMilliseconds = 0,
        message,
      } = replies[i] as OperationReply;
      const { kind } = pending.operation;
      if (requestCharge > 0) {
        charged += requestCharge;
        const sum = charges.get(kind);
        if (sum === undefined) charges.set(kind, { charge: requestCharge, count: 1 });
        else {
          sum.charge += requestCharge;
          sum.count++;
        }
      }
      const verdict = verdictOfOperation(statusCode);
      if (verdict !== 'skipped') pending.attempts++;
      switch (verdict) {
        case 'stored':
          written++;
          writtenBytes += pending.sizeBytes - ENCODING_OVERHEAD_BYTES;
          this.#settle(pending, { ok: true, statusCode, requestCharge, attempts: pending.attempts });
          continue;
        case 'refused':
          range.distinctKeys = DISTINCT_REQUESTS;
          this.#refuse(pending, statusCode, message);
          continue;
        case 'throttled':
          throttled++;
          retryAfterMs = Math.max(retryAfterMs, retryAfterMilliseconds);
          break;
        case 'moved':
          moved = true;
          break;
        case 'unavailable':
          unavailable = true;
          pending.unsure = true;
          break;
        case 'again':
          pending.lane.restUntil = now + retryDelay(pending.attempts, LONGEST_REST_MS, this.#options.random);
          break;
        default: // skipped: at once
      }
      again.push(pending);
    }
    range.requestCharge += charged;
    range.written += written;
    range.budget?.settle(expected, charged, written, now);
    for (const [kind, { charge, count }] of charges) ru?.charge(kind, range.id, charge, count);
    if (written > 0) {
      recorder?.done(written, writtenBytes);
      recorder?.serviceTime((now - startedAt) * 1000, written);
    }
    if (written > 0 || throttled > 0) range.failures = 0;
    if (throttled > 0)
      this.#throttle(range, { count: throttled, stored: written, retryAfterMs, startedAt, now });
    else if (unavailable && !this.#backOff(range, now))
      return this.#giveUp(again, 503, 'service unavailable');
    else if (again.length === 0 && full) range.window.widen(startedAt, now);
    if (moved) this.#refresh(range);
    return again;
  }

  /** The request failed as a whole. Returns what must travel again. */
  #readFailure(
    { range, operations }: Batch,
    reply: BulkReply,
    { startedAt, now, expected }: Timing,
  ): readonly Pending[] {
    range.budget?.settle(expected, 0, 0, now);
    const failure =
      'replies' in reply
        ? { statusCode: 0, retryAfterMs: undefined, message: 'the answer does not match the request' }
        : reply;
    const verdict = verdictOfRequest(failure.statusCode);
    for (const pending of operations) {
      pending.attempts++;
      // 410, 429 and 4xx promise that nothing was applied; without an answer, or with 5xx and 408, nobody knows.
      if (verdict === 'unavailable') pending.unsure = true;
    }
    switch (verdict) {
      case 'throttled':
        range.failures = 0;
        this.#throttle(range, {
          count: operations.length,
          stored: 0,
          retryAfterMs: failure.retryAfterMs ?? 0,
          startedAt,
          now,
        });
        break;
      case 'moved':
        this.#refresh(range);
        break;
      case 'unavailable':
        if (this.#backOff(range, now)) break;
        return this.#giveUp(operations, failure.statusCode, failure.message);
      case 'unusable':
        return this.#giveUp(operations, failure.statusCode, failure.message);
      default:
        // Some operation makes the service refuse the request: halve the company until it is alone with its error.
        if (operations.length === 1) {
          this.#refuse(operations[0] as Pending, failure.statusCode, failure.message);
          return [];
        }
        for (const pending of operations) pending.companyLimit = Math.ceil(operations.length / 2);
    }
    return operations;
  }

  #giveUp(operations: readonly Pending[], statusCode: number, message: string): readonly Pending[] {
    const reason = `the service could not be used (${statusCode === 0 ? '' : `${statusCode} `}${message})`;
    for (const pending of operations) this.#abandon(pending, statusCode, reason);
    return [];
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
      if (lane.count === 0) {
        lane.state = 'idle';
        lane.restUntil = 0;
      } else if (lane.restUntil > now) {
        lane.state = 'resting';
        void this.#clock.sleep(lane.restUntil - now).then(() => {
          lane.restUntil = 0;
          this.#makeReady(lane, true);
          this.#pump(lane.range);
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

  #throttle(
    range: RangeLane,
    push: { count: number; stored: number; retryAfterMs: number; startedAt: number; now: number },
  ): void {
    const { count, stored, retryAfterMs, startedAt, now } = push;
    range.throttled += count;
    this.#options.recorder?.throttled(count);
    this.#options.ru?.throttled(range.id, count);
    range.window.narrow(startedAt, now, stored);
    range.pausedUntil = Math.max(range.pausedUntil, now + Math.max(LEAST_PAUSE_MS, retryAfterMs));
  }

  /** False when the range has failed for so long that there is no point in trying again. */
  #backOff(range: RangeLane, now: number): boolean {
    if (range.failures === 0) range.failingSince = now;
    range.failures++;
    const delayMs = retryDelay(range.failures, LONGEST_BACKOFF_MS, this.#options.random);
    range.pausedUntil = Math.max(range.pausedUntil, now + delayMs);
    return now - range.failingSince <= this.#options.giveUpMs;
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
    const { transport, signal, random } = this.#options;
    for (let attempt = 1; !signal?.aborted; attempt++) {
      try {
        this.#install(await transport.ranges());
        return;
      } catch {
        await this.#clock.sleep(retryDelay(attempt, LONGEST_BACKOFF_MS, random));
      }
    }
  }

  #install(ranges: readonly RangeBounds[]): void {
    const before = this.#keys.map;
    const now = this.#clock.now();
    const known = new Map(before.lanes.map((range) => [range.id, range]));
    const map = this.#mapOf(ranges, known);
    const kept = new Set(map.lanes);
    this.#keys.replaceMap(map);
    for (const range of before.lanes) {
      if (kept.has(range)) {
        // Still listed although it answered 410: a split that is not finished, or a key that was hashed for another range.
        if (range.stale) void this.#backOff(range, now);
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

  #refuse(pending: Pending, statusCode: number, message: string | undefined): void {
    this.#options.recorder?.failed(String(statusCode), 1);
    const { operation, attempts, unsure } = pending;
    const reason = refusalReason(operation, statusCode, message, unsure);
    this.#settle(pending, { ok: false, statusCode, reason, poison: true, attempts });
  }

  #abandon(pending: Pending, statusCode: number, reason: string): void {
    this.#options.recorder?.failed(String(statusCode), 1);
    this.#settle(pending, { ok: false, statusCode, reason, poison: false, attempts: pending.attempts });
  }

  /** After an abort: everything that is not on the wire fails. */
  #abandonQueued(): void {
    for (const range of this.#keys.map.lanes) {
      for (let lane = shiftReady(range); lane !== undefined; lane = shiftReady(range)) {
        lane.state = 'idle';
        while (lane.head !== undefined) this.#abandon(shiftPending(lane), 0, ABORTED);
      }
    }
    this.#openGates();
  }

  #settle(pending: Pending, outcome: Parameters<Settled>[0]): void {
    pending.lane.range.pending--;
    this.#buffered--;
    this.#bufferedBytes -= pending.sizeBytes + OPERATION_OVERHEAD_BYTES;
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

interface Gate {
  readonly promise: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Exponential with jitter, in milliseconds; `attempt` counts from 1. */
function retryDelay(attempt: number, longestMs: number, random: Random): number {
  return Math.min(longestMs, FIRST_BACKOFF_MS * 2 ** (attempt - 1)) * (0.5 + random.next() / 2);
}

function encodeBatch(operations: readonly Pending[]): string {
  let text = '[';
  for (const { operation, lane } of operations) {
    if (text.length > 1) text += ',';
    text +=
      operation.kind === 'upsert' && operation.ifMatch === undefined
        ? `${lane.upsertPrefix}${operation.body}}`
        : encodeOperation(operation, lane.encodedPartitionKey);
  }
  return `${text}]`;
}
