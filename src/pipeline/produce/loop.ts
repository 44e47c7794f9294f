import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { EncodedBatch, EventProperties } from '../../eventhubs/encoded-batch.ts';
import type { SendFailure } from '../../eventhubs/producer.ts';
import { FAULT_NAMES, FaultKind } from '../../workload/faults.ts';
import type { EventStream } from '../../workload/stream.ts';
import type { Lane, LaneEvents } from './lane.ts';
import type { ShareOptions, ShareResult } from './types.ts';

/** Taken up later than this after its time, an arrival says something about the generator. */
const LATE_MICROS = 50_000;
/** Events made before the sockets get their turn. */
const EVENTS_PER_TURN = 256;
/** Timers below this are not worth asking for. */
const SHORTEST_SLEEP_MS = 1;
const LINGER_MS = 5;
/** Handing a batch over costs 120 to 300 us in the SDK whatever its size, so these many leave most of a core. */
const FLUSHES_PER_MS = 0.5;

export interface LoopParts {
  readonly lanes: readonly Lane[];
  readonly laneOf: (keyIndex: number) => number;
  readonly newBatch: (bytes: number) => EncodedBatch;
  readonly capacityBytes: number;
  readonly bufferBytes: number;
  readonly maxLatenessMs: number;
}

/** The sending loop: takes up what is due, renders it into the batch of its lane, and hands batches over. */
export class SendingLoop implements LaneEvents {
  /** Set when the service refuses us altogether. */
  fatal: Error | undefined;
  readonly #options: ShareOptions;
  readonly #stream: EventStream;
  readonly #properties: EventProperties | undefined;
  readonly #startMs: number;
  readonly #startMicros: number;
  readonly #lingerMs: number;
  /** A linger that was asked for is kept; by itself it grows when there are many lanes at a high rate. */
  readonly #flushesPerMs: number;
  readonly #closedModel: boolean;
  #parts!: LoopParts;
  #laneOfKey = new Int32Array(1024).fill(-1);
  readonly #free: EncodedBatch[] = [];
  #usedBytes = 0;
  #inFlightEvents = 0;
  #wake: (() => void) | undefined;
  #offered = 0;
  #sent = 0;
  #sizeBytes = 0;
  #batches = 0;
  #throttled = 0;
  #resent = 0;
  #unknown = 0;
  #late = 0;
  #dropped = 0;
  #flushCredit = 0;
  #flushedAtMs = 0;
  /** Lane to look at first, so that no lane waits for the others forever. */
  #flushFrom = 0;
  #lastOffsetMs = 0;
  #lastAcknowledgedMs = 0;
  readonly #failed: Record<string, number> = {};
  readonly #misbehaviour: Record<string, number> = {};
  readonly #partitions: Record<string, number> = {};

  constructor(
    options: ShareOptions,
    stream: EventStream,
    startMs: number,
    startMicros: number,
    lingerMs: number | undefined,
    closedModel: boolean,
  ) {
    this.#options = options;
    this.#stream = stream;
    if (stream.variableProperties.length > 0)
      this.#properties = (position, out, at) => stream.renderProperty(position, out, at);
    this.#startMs = startMs;
    this.#startMicros = startMicros;
    this.#lingerMs = lingerMs ?? LINGER_MS;
    this.#flushesPerMs = lingerMs === undefined ? FLUSHES_PER_MS : Number.POSITIVE_INFINITY;
    this.#closedModel = closedModel;
  }

  begin(parts: LoopParts): void {
    this.#parts = parts;
    for (const lane of parts.lanes) this.#partitions[lane.partitionId] = 0;
  }

  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    const stream = this.#stream;
    const { lanes } = this.#parts;
    let state = stream.advance();
    while (state !== 'end' && !signal?.aborted && !this.fatal) {
      if (state === 'wait') {
        await this.#refill();
        if (!signal?.aborted) state = stream.advance();
        continue;
      }
      const nowMs = clock.now() - this.#startMs;
      let made = 0;
      let stalled = false;
      const untilMs = this.#closedModel ? Number.POSITIVE_INFINITY : nowMs;
      while (state === 'event' && stream.offsetMs <= untilMs && made < EVENTS_PER_TURN) {
        if (!this.#take(nowMs)) {
          stalled = true;
          break;
        }
        made += 1;
        state = stream.advance();
      }
      if (made > 0) this.#options.recorder.offered(made);
      if (state === 'wait') continue;
      const nextFlushMs = this.#flushDue(nowMs);
      if (stalled) await this.#released(signal);
      else if (made === EVENTS_PER_TURN) await yieldToEvents();
      else if (state === 'event') {
        const sleepMs = Math.max(SHORTEST_SLEEP_MS, Math.min(stream.offsetMs, nextFlushMs) - nowMs);
        await clock.sleep(sleepMs, signal).catch(() => {});
      }
    }
    for (const lane of lanes) lane.flush();
  }

  /** Waits for data; what is already in a batch is not kept waiting longer than its linger. */
  async #refill(): Promise<void> {
    const { clock, signal } = this.#options;
    let reading = true;
    const refilled = this.#stream.refill().finally(() => {
      reading = false;
    });
    while (reading && !signal?.aborted) {
      await Promise.race([
        refilled,
        clock.sleep(Math.max(SHORTEST_SLEEP_MS, this.#lingerMs), signal).catch(() => {}),
      ]);
      if (reading) this.#flushIdle();
    }
    if (!reading) await refilled;
    else refilled.catch(() => {});
  }

  #flushIdle(): void {
    for (const lane of this.#parts.lanes) if (lane.idle) lane.flush();
  }

  /** Takes up the current event; false when no buffer is free for it. */
  #take(nowMs: number): boolean {
    const stream = this.#stream;
    const intendedMicros = Math.round(
      this.#startMicros + (this.#closedModel ? nowMs : stream.offsetMs) * 1000,
    );
    this.#lastOffsetMs = stream.offsetMs;
    const lateMicros = this.#closedModel ? 0 : (nowMs - stream.offsetMs) * 1000;
    if (lateMicros > this.#parts.maxLatenessMs * 1000) {
      this.#offered += 1;
      this.#dropped += 1;
      this.#options.recorder.failed('dropped', 1);
      return true;
    }
    const { keyIndex, keys, maxBodyBytes, partitionKeys } = stream;
    const lane = this.#laneFor(keyIndex);
    const keyBytes = Math.max(keys.lengthOf(keyIndex), partitionKeys.lengthOf(keyIndex));
    // What the service may refuse for its size travels alone, or it would be refused with everything around it.
    const alone = maxBodyBytes + 2 * keyBytes > this.#parts.capacityBytes;
    let batch = lane.current;
    if (batch && (alone || !batch.hasRoomFor(maxBodyBytes, keyBytes))) {
      lane.flush();
      batch = undefined;
    }
    if (!batch) {
      batch = this.#buffer(maxBodyBytes, keyBytes);
      if (!batch) return false;
      lane.current = batch;
      lane.currentSinceMs = nowMs;
    }
    const at = batch.begin(keys, partitionKeys, keyIndex, stream.sequence, intendedMicros, this.#properties);
    batch.commit(stream.render(batch.buffer, at));
    this.#offered += 1;
    this.#options.scheduling.record(lateMicros);
    if (lateMicros > LATE_MICROS) this.#late += 1;
    if (stream.fault !== FaultKind.none) this.#injected(FAULT_NAMES[stream.fault]);
    if (stream.skewed) this.#injected('clockSkew');
    if (alone) lane.flush();
    return true;
  }

  #injected(name: string): void {
    const { keyIndex, keys, sequence } = this.#stream;
    this.#misbehaviour[name] = (this.#misbehaviour[name] ?? 0) + 1;
    this.#options.ledger?.injected(name, keys.name(keyIndex), sequence);
  }

  #laneFor(keyIndex: number): Lane {
    if (keyIndex >= this.#laneOfKey.length) {
      const grown = new Int32Array(Math.max(keyIndex + 1, this.#laneOfKey.length * 2)).fill(-1);
      grown.set(this.#laneOfKey);
      this.#laneOfKey = grown;
    }
    let lane = this.#laneOfKey[keyIndex] as number;
    if (lane < 0) {
      lane = this.#parts.laneOf(keyIndex);
      this.#laneOfKey[keyIndex] = lane;
    }
    return this.#parts.lanes[lane] as Lane;
  }

  /** A buffer with room for the event, `undefined` when all are in use. */
  #buffer(bodyBytes: number, keyBytes: number): EncodedBatch | undefined {
    const { bufferBytes, capacityBytes, newBatch } = this.#parts;
    const free = this.#free.at(-1);
    if (free?.hasRoomFor(bodyBytes, keyBytes)) return this.#free.pop();
    const needed = bodyBytes + 2 * keyBytes + 2_000;
    const bytes = Math.max(capacityBytes, needed);
    if (this.#usedBytes + bytes > bufferBytes && this.#usedBytes > 0) {
      // Part-filled batches hold the memory that we are waiting for.
      this.#flushIdle();
      return undefined;
    }
    this.#usedBytes += bytes;
    return newBatch(bytes);
  }

  /** Hands over batches that waited long enough on idle lanes; returns when to look again, in run time. */
  #flushDue(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    if (this.#closedModel) return nextMs;
    const { lanes } = this.#parts;
    const earned = (nowMs - this.#flushedAtMs) * this.#flushesPerMs;
    // What is not used up lets every lane flush at once after a quiet moment.
    this.#flushCredit = Math.min(lanes.length, this.#flushCredit + Math.max(0, earned));
    this.#flushedAtMs = nowMs;
    const from = this.#flushFrom;
    for (let step = 0; step < lanes.length; step += 1) {
      const index = (from + step) % lanes.length;
      const lane = lanes[index] as Lane;
      if (!lane.current) continue;
      const dueMs = lane.currentSinceMs + this.#lingerMs;
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs);
      // A busy lane is looked at again after another linger, its answer may be there by then.
      else if (!lane.idle) nextMs = Math.min(nextMs, nowMs + this.#lingerMs);
      else if (this.#flushCredit < 1) {
        this.#flushFrom = index;
        return Math.min(nextMs, nowMs + 1 / this.#flushesPerMs);
      } else {
        this.#flushCredit -= 1;
        lane.flush();
      }
    }
    return nextMs;
  }

  #released(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = undefined;
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#wake = done;
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  sending(batch: EncodedBatch): void {
    this.#inFlightEvents += batch.count;
    this.#options.recorder.inFlight(this.#inFlightEvents);
  }

  acknowledged(batch: EncodedBatch, sentMs: number): void {
    const { clock, ledger, recorder } = this.#options;
    const { count, intendedMicros, keyIndexes, sequences } = batch;
    const nowMs = clock.now();
    this.#lastAcknowledgedMs = nowMs - this.#startMs;
    const ackMicros = this.#startMicros + this.#lastAcknowledgedMs * 1000;
    recorder.serviceTime((nowMs - sentMs) * 1000, count);
    let from = 0;
    for (let event = 1; event <= count; event += 1) {
      // Events due within the resolution of the histogram are recorded together.
      const first = intendedMicros[from] as number;
      if (event < count && Math.abs((intendedMicros[event] as number) - first) * 1024 < ackMicros - first)
        continue;
      recorder.latency(ackMicros - first, event - from);
      from = event;
    }
    if (ledger) {
      const { keys } = this.#stream;
      for (let start = 0; start < count; ) {
        const keyIndex = keyIndexes[start] as number;
        let end = start;
        while (
          end + 1 < count &&
          keyIndexes[end + 1] === keyIndex &&
          sequences[end + 1] === (sequences[end] as number) + 1
        )
          end += 1;
        ledger.acknowledged(keys.name(keyIndex), sequences[start] as number, sequences[end] as number);
        start = end + 1;
      }
    }
    this.#sent += count;
    this.#sizeBytes += batch.bodyBytes;
    this.#batches += 1;
    this.#partitions[batch.partitionId] = (this.#partitions[batch.partitionId] ?? 0) + count;
    recorder.done(count, batch.bodyBytes);
  }

  givenUp(batch: EncodedBatch, { error, kind, name }: SendFailure, mayBeStored: boolean): void {
    if (kind === 'fatal') this.fatal ??= error;
    const reason = kind === 'tooLarge' ? 'oversized' : name;
    this.#failed[reason] = (this.#failed[reason] ?? 0) + batch.count;
    this.#options.recorder.failed(reason, batch.count);
    if (!mayBeStored) return;
    this.#unknown += batch.count;
    this.#tellOfEach(batch, 'unknown');
  }

  throttled(): void {
    this.#throttled += 1;
    this.#options.recorder.throttled(1);
  }

  resending(batch: EncodedBatch): void {
    this.#resent += batch.count;
    this.#tellOfEach(batch, 'resent');
  }

  #tellOfEach({ count, keyIndexes, sequences }: EncodedBatch, kind: string): void {
    const { ledger } = this.#options;
    if (!ledger) return;
    const { keys } = this.#stream;
    for (let event = 0; event < count; event += 1)
      ledger.injected(kind, keys.name(keyIndexes[event] as number), sequences[event] as number);
  }

  released(batch: EncodedBatch, reusable: boolean): void {
    this.#inFlightEvents -= batch.count;
    this.#options.recorder.inFlight(this.#inFlightEvents);
    if (reusable && batch.maxSizeInBytes === this.#parts.capacityBytes) {
      batch.reset();
      this.#free.push(batch);
    } else this.#usedBytes -= batch.maxSizeInBytes;
    this.#wake?.();
  }

  result(): ShareResult {
    return {
      offered: this.#offered,
      sent: this.#sent,
      sizeBytes: this.#sizeBytes,
      batches: this.#batches,
      failed: this.#failed,
      throttled: this.#throttled,
      resent: this.#resent,
      unknown: this.#unknown,
      late: this.#late,
      dropped: this.#dropped,
      injected: this.#misbehaviour,
      partitions: this.#partitions,
      lastOffsetMs: this.#lastOffsetMs,
      lastAcknowledgedMs: this.#lastAcknowledgedMs,
      startMicros: this.#startMicros,
      closedModel: this.#closedModel,
      interrupted: this.#options.signal?.aborted ?? false,
    };
  }
}
