import type { Clock } from '../util/clock.ts';
import { Histogram, type HistogramSummary } from './histogram.ts';
import { Series, SlotClock } from './series.ts';
import type { StageRecorder } from './types.ts';

/** One hour at one second; longer runs have coarser slots. */
const MAX_SLOTS = 3_600;
/** Most latencies between two looks at the clock; fewer while a second has few, which would all miss their second. */
const CLOCK_EVERY = 64;
/** The clock is looked at again after a sixteenth of what the second has, as a power of two. */
const CLOCK_SHIFT = 4;

/** Parallel arrays, one value per slot of `intervalMs`. Percentiles of a slot are of its worst second. */
export interface StageSeries {
  readonly intervalMs: number;
  readonly offered: readonly number[];
  readonly done: readonly number[];
  readonly failed: readonly number[];
  readonly throttled: readonly number[];
  readonly inFlightMax: readonly number[];
  readonly latencyP50Ms: readonly number[];
  readonly latencyP99Ms: readonly number[];
}

/** Everything one stage did in a run. */
export interface StageSummary {
  readonly name: string;
  /** Start of the recording, microseconds since the Unix epoch. */
  readonly startedMicros: number;
  /** From the first to the last work recorded; the rates are over this time, or over a second where it is less. */
  readonly activeMs: number;
  readonly offered: number;
  readonly done: number;
  readonly sizeBytes: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly throttled: number;
  readonly inFlightMax: number;
  readonly offeredPerSecond: number;
  readonly donePerSecond: number;
  readonly serviceTime: HistogramSummary;
  readonly latency: HistogramSummary;
  readonly series: StageSeries;
}

/** What a live view needs, cheap enough to ask for several times a second. */
export interface StageSnapshot {
  readonly name: string;
  readonly offered: number;
  readonly done: number;
  readonly sizeBytes: number;
  readonly failed: number;
  readonly throttled: number;
  readonly inFlight: number;
  /** Latency percentiles of the last whole second that had any. */
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
}

export interface RecordingStage extends StageRecorder {
  summary(): StageSummary;
  snapshot(): StageSnapshot;
}

/** Events a second over a time, or over a second where the time is less: a few events at once are no rate. */
export function ratePerSecond(count: number, activeMs: number): number {
  return (count * 1_000) / Math.max(1_000, activeMs);
}

/** A recorder of one stage; some tens of nanoseconds per event, memory independent of the length of the run. */
export function createStageRecorder(name: string, options: { readonly clock: Clock }): RecordingStage {
  return new Recorder(name, options.clock);
}

class Recorder implements RecordingStage {
  readonly name: string;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #startedMicros: number;
  readonly #errors = new Map<string, number>();
  readonly #serviceTime = new Histogram();
  readonly #latency = new Histogram();
  /** Latencies since the last second began; added to the total when the second ends. */
  readonly #second = new Histogram();
  readonly #series = {
    offered: new Series('sum'),
    done: new Series('sum'),
    failed: new Series('sum'),
    throttled: new Series('sum'),
    inFlightMax: new Series('max'),
    latencyP50Ms: new Series('max'),
    latencyP99Ms: new Series('max'),
  };
  readonly #slots: SlotClock;
  #slot = 0;
  #secondStartMs: number;
  #untilClock = 0;
  #firstMs = Number.NaN;
  #lastMs = Number.NaN;
  #offered = 0;
  #done = 0;
  #sizeBytes = 0;
  #failed = 0;
  #throttled = 0;
  #inFlight = 0;
  #inFlightMax = 0;
  #recentP50Ms = 0;
  #recentP99Ms = 0;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
    this.#startMs = clock.now();
    this.#startedMicros = clock.epochMicros();
    this.#secondStartMs = this.#startMs;
    this.#slots = new SlotClock(this.#startMs, MAX_SLOTS, () => {
      for (const series of Object.values(this.#series)) series.halve();
    });
  }

  offered(count: number): void {
    this.#work(count);
    this.#offered += count;
    this.#series.offered.record(this.#slot, count);
  }

  done(count: number, sizeBytes: number): void {
    this.#work(count);
    this.#done += count;
    this.#sizeBytes += sizeBytes;
    this.#series.done.record(this.#slot, count);
  }

  failed(kind: string, count: number): void {
    this.#work(count);
    this.#failed += count;
    this.#errors.set(kind, (this.#errors.get(kind) ?? 0) + count);
    this.#series.failed.record(this.#slot, count);
  }

  throttled(count: number): void {
    this.#tick();
    this.#throttled += count;
    this.#series.throttled.record(this.#slot, count);
  }

  inFlight(current: number): void {
    this.#inFlight = current;
    if (current > this.#inFlightMax) this.#inFlightMax = current;
    this.#series.inFlightMax.record(this.#slot, current);
  }

  serviceTime(micros: number, count = 1): void {
    this.#serviceTime.record(micros, count);
  }

  latency(micros: number, count = 1): void {
    this.#untilClock -= 1;
    if (this.#untilClock <= 0) this.#tick();
    this.#second.record(micros, count);
  }

  snapshot(): StageSnapshot {
    this.#tick();
    return {
      name: this.name,
      offered: this.#offered,
      done: this.#done,
      sizeBytes: this.#sizeBytes,
      failed: this.#failed,
      throttled: this.#throttled,
      inFlight: this.#inFlight,
      latencyP50Ms: this.#recentP50Ms,
      latencyP99Ms: this.#recentP99Ms,
    };
  }

  summary(): StageSummary {
    this.#endSecond();
    const activeMs = Number.isNaN(this.#firstMs) ? 0 : this.#lastMs - this.#firstMs;
    const length = this.#slot + 1;
    const series = this.#series;
    return {
      name: this.name,
      startedMicros: this.#startedMicros,
      activeMs,
      offered: this.#offered,
      done: this.#done,
      sizeBytes: this.#sizeBytes,
      failed: this.#failed,
      errors: Object.fromEntries(this.#errors),
      throttled: this.#throttled,
      inFlightMax: this.#inFlightMax,
      offeredPerSecond: ratePerSecond(this.#offered, activeMs),
      donePerSecond: ratePerSecond(this.#done, activeMs),
      serviceTime: this.#serviceTime.summary(),
      latency: this.#latency.summary(),
      series: {
        intervalMs: this.#slots.intervalMs,
        offered: series.offered.toArray(length),
        done: series.done.toArray(length),
        failed: series.failed.toArray(length),
        throttled: series.throttled.toArray(length),
        inFlightMax: series.inFlightMax.toArray(length),
        latencyP50Ms: series.latencyP50Ms.toArray(length),
        latencyP99Ms: series.latencyP99Ms.toArray(length),
      },
    };
  }

  #work(count: number): void {
    const nowMs = this.#tick();
    // A poll that brought nothing is no work: a reader polls before and after the load too.
    if (count === 0) return;
    this.#lastMs = nowMs;
    if (Number.isNaN(this.#firstMs)) this.#firstMs = this.#lastMs;
  }

  /** Looks at the clock and closes the current second when it is over. */
  #tick(): number {
    const nowMs = this.#clock.now();
    if (nowMs - this.#secondStartMs >= 1_000) {
      this.#endSecond();
      this.#secondStartMs = nowMs - ((nowMs - this.#startMs) % 1_000);
      this.#slot = this.#slots.slotAt(nowMs);
    }
    this.#untilClock = Math.min(CLOCK_EVERY, this.#second.count >> CLOCK_SHIFT);
    return nowMs;
  }

  #endSecond(): void {
    if (this.#second.count === 0) return;
    this.#recentP50Ms = this.#second.percentile(50) / 1000;
    this.#recentP99Ms = this.#second.percentile(99) / 1000;
    this.#series.latencyP50Ms.record(this.#slot, this.#recentP50Ms);
    this.#series.latencyP99Ms.record(this.#slot, this.#recentP99Ms);
    this.#latency.add(this.#second);
    this.#second.reset();
  }
}
