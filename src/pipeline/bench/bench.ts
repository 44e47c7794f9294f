import { Histogram, type HistogramSummary } from '../../metrics/histogram.ts';
import {
  type ProcessMonitor,
  type ProcessSummary,
  startProcessMonitor,
} from '../../metrics/process-monitor.ts';
import { createRuRecorder, type RuSnapshot, type RuSummary } from '../../metrics/ru-recorder.ts';
import { createStageRecorder, type StageSnapshot, type StageSummary } from '../../metrics/stage-recorder.ts';
import type { Clock } from '../../util/clock.ts';
import { watchQuiet } from '../../util/quiet.ts';
import type { ProduceResult } from '../produce/types.ts';
import { Ledger } from '../verify/ledger.ts';
import { isUnreadable, type Observer, observer } from '../verify/observation.ts';
import { createVerifier, type Place, type Verdict, type Verifier } from '../verify/verify.ts';
import type { BenchCache, BenchChange, BenchStages, StageContext } from './stages.ts';

/** Without any progress for this long, what is missing counts as lost. */
const QUIET_MS = 10_000;
const POLL_MS = 50;

type BenchPhase = 'starting' | 'running' | 'draining' | 'verifying' | 'done';

/** State of a running bench for a live view; cheap to ask for. */
export interface BenchSnapshot {
  readonly phase: BenchPhase;
  /** Since the load began. */
  readonly elapsedMs: number;
  /** In pipeline order. */
  readonly stages: readonly StageSnapshot[];
  readonly acknowledged: number;
  readonly ru: RuSnapshot;
  /** Event-loop delay (p99) of the measuring process since the last snapshot. */
  readonly loopDelayMs: number;
}

/** What can be known of a run before its end. */
export type InterimResult = Pick<BenchResult, 'stages' | 'endToEnd' | 'ru'>;

export interface BenchOptions {
  readonly run: string;
  readonly clock: Clock;
  /** Aborting it stops the load; what was sent is still carried through and verified. */
  readonly signal: AbortSignal;
  /** Fields of the body that must agree with the envelope. */
  readonly bodyFields?: { readonly key?: string; readonly sequence?: string };
  readonly quietMs?: number;
  /** An event that takes longer from its intended send time to the feed is late. Default: never. */
  readonly lateAfterMs?: number;
  /** Called some time ahead of the first arrival with when that is due, microseconds since the Unix epoch. */
  readonly onLoad?: (startMicros: number) => void;
  /** Called when everything is sent, while what was sent is still on its way. */
  readonly onSent?: () => Promise<void>;
  /** Called when nothing more is on its way, before the places are read. */
  readonly onDrained?: () => Promise<void>;
}

export interface BenchResult {
  readonly run: string;
  readonly startedMicros: number;
  /** From the start of the load until the last event had gone through. */
  readonly durationMs: number;
  readonly produce: ProduceResult;
  readonly stages: readonly StageSummary[];
  /** From the intended send time to the end of the last stage. */
  readonly endToEnd: HistogramSummary;
  readonly ru: RuSummary;
  readonly provisionedRuPerSecond?: number;
  readonly verdict: Verdict;
  readonly process: ProcessSummary;
  /** The key of most acknowledged events; absent where several have as many. */
  readonly hottestKey?: { readonly key: string; readonly events: number };
  /** The load was cut short; what was sent is carried through and verified whenever the signal comes. */
  readonly interrupted: boolean;
}

export interface Bench {
  snapshot(): BenchSnapshot;
  /** The figures so far. Costs some milliseconds: for once a second, not for every frame. */
  interim(): InterimResult;
  /** Resolves when everything is verified; rejects with the first error of a stage. */
  readonly result: Promise<BenchResult>;
}

/**
 * Puts a load through all stages at once, waits until everything has arrived or nothing moves any more, and holds store,
 * feed and cache against what was acknowledged.
 */
export function startBench(stages: BenchStages, options: BenchOptions): Bench {
  const run = new BenchRun(stages, options);
  return { snapshot: () => run.snapshot(), interim: () => run.interim(), result: run.start() };
}

class BenchRun {
  readonly #stages: BenchStages;
  readonly #options: BenchOptions;
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #observe: Observer;
  readonly #verifier: Verifier;
  readonly #ru;
  readonly #recorders;
  readonly #endToEnd = new Histogram();
  /** Ends the stages that would go on forever; aborted with the error when one of them fails. */
  readonly #end = new AbortController();
  #monitor: ProcessMonitor | undefined;
  #failure: { readonly error: unknown } | undefined;
  #phase: BenchPhase = 'starting';
  /** Of the load, by the monotonic clock. */
  #startMs = Number.NaN;
  #arrived = 0;

  constructor(stages: BenchStages, options: BenchOptions) {
    const { clock, run } = options;
    const recorder = (name: string) => createStageRecorder(name, { clock });
    this.#stages = stages;
    this.#options = options;
    this.#clock = clock;
    this.#ledger = new Ledger(run);
    this.#observe = observer({ ...(options.bodyFields && { body: options.bodyFields }) });
    this.#ru = createRuRecorder({ clock });
    this.#recorders = {
      produce: recorder('produce'),
      ingest: recorder('ingest'),
      feed: recorder('feed'),
      ...(stages.openCache && { cache: recorder('cache') }),
    };
    const places: Place[] = stages.openCache ? ['store', 'feed', 'cache'] : ['store', 'feed'];
    this.#verifier = createVerifier({
      ledgers: new Map([[run, this.#ledger]]),
      places,
      ...(options.lateAfterMs !== undefined && { lateAfterMs: options.lateAfterMs }),
    });
  }

  interim(): InterimResult {
    return {
      stages: Object.values(this.#recorders).map((recorder) => recorder.summary()),
      endToEnd: this.#endToEnd.summary(),
      ru: this.#ru.summary(),
    };
  }

  snapshot(): BenchSnapshot {
    return {
      phase: this.#phase,
      elapsedMs: Number.isNaN(this.#startMs) ? 0 : Math.max(0, this.#clock.now() - this.#startMs),
      stages: Object.values(this.#recorders).map((recorder) => recorder.snapshot()),
      acknowledged: this.#ledger.acknowledgedCount,
      ru: this.#ru.snapshot(),
      loopDelayMs: this.#monitor?.recentDelayMs() ?? 0,
    };
  }

  async start(): Promise<BenchResult> {
    const clock = this.#clock;
    const monitor = startProcessMonitor();
    this.#monitor = monitor;
    let cache: BenchCache | undefined;
    try {
      cache = await this.#stages.openCache?.(this.#context(this.#recorders.cache ?? this.#recorders.feed));
      const feed = this.#feed(cache);
      await feed.ready;
      this.#throwIfFailed();
      const produce = await this.#load();
      await this.#drained();
      const durationMs = (clock.epochMicros() - produce.startMicros) / 1000;
      const process = monitor.summary();
      this.#end.abort();
      await feed.ended;
      this.#throwIfFailed();
      await this.#options.onDrained?.();
      this.#phase = 'verifying';
      const measured = this.interim();
      await this.#readStore(cache);
      this.#phase = 'done';
      const { provisionedRuPerSecond } = this.#stages;
      return {
        run: this.#options.run,
        startedMicros: produce.startMicros,
        durationMs,
        produce,
        ...measured,
        ...(provisionedRuPerSecond !== undefined && { provisionedRuPerSecond }),
        verdict: this.#verifier.verdict(),
        process,
        ...this.#hottestKey(),
        interrupted: produce.interrupted,
      };
    } finally {
      this.#end.abort();
      monitor.stop();
      await cache?.close();
    }
  }

  /** Produces and ingests; resolves when everything acknowledged is stored. */
  async #load(): Promise<ProduceResult> {
    const producing = this.#stages.produce({
      ...this.#context(this.#recorders.produce),
      signal: AbortSignal.any([this.#options.signal, this.#end.signal]),
      ledger: this.#ledger,
      started: (startMicros) => this.#started(startMicros),
    });
    const ingesting = this.#stages.ingest({
      ...this.#context(this.#recorders.ingest),
      drainAfter: producing,
    });
    try {
      const sent = producing.then(() => {
        this.#phase = 'draining';
        return this.#options.onSent?.();
      });
      const [result] = await Promise.all([producing, ingesting, sent]);
      return result;
    } catch (error) {
      this.#end.abort();
      await Promise.allSettled([producing, ingesting]);
      throw error;
    } finally {
      this.#throwIfFailed();
    }
  }

  /** Links and threads are open: from here on the run has a clock. */
  #started(startMicros: number): void {
    this.#startMs = this.#clock.now() + (startMicros - this.#clock.epochMicros()) / 1000;
    this.#phase = 'running';
    this.#options.onLoad?.(startMicros);
  }

  /** Starts the feed. A failure of it ends the other stages, and is thrown when they have. */
  #feed(cache: BenchCache | undefined): { readonly ready: Promise<void>; readonly ended: Promise<void> } {
    let ready: () => void = () => {};
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const ended = this.#stages
      .feed({
        ...this.#context(this.#recorders.feed),
        ready,
        handle: (changes, receivedMs) => this.#handle(changes, receivedMs, cache),
      })
      .catch((error: unknown) => {
        this.#failure = { error };
        this.#end.abort();
      });
    return { ready: Promise.race([isReady, ended]), ended };
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #handle(
    changes: readonly BenchChange[],
    receivedMs: number,
    cache: BenchCache | undefined,
  ): Promise<void> {
    const { feed } = this.#recorders;
    const intended: number[] = [];
    const mine: BenchChange[] = [];
    for (const change of changes) {
      const found = this.#observe(change.item);
      // What carries no run, or another one, was not written by this bench.
      if (found.run !== this.#options.run) continue;
      if (isUnreadable(found)) this.#verifier.corrupted('feed', found);
      else {
        this.#verifier.observe('feed', found, receivedMs);
        if (found.intendedMicros !== undefined) {
          intended.push(found.intendedMicros);
          feed.latency(receivedMs * 1000 - found.intendedMicros);
        }
      }
      mine.push(change);
    }
    feed.offered(mine.length);
    feed.done(mine.length, 0);
    if (cache !== undefined && mine.length > 0) await cache.write(mine);
    const endMicros = cache === undefined ? receivedMs * 1000 : this.#clock.epochMicros();
    for (const micros of intended) this.#endToEnd.record(endMicros - micros);
    this.#arrived += mine.length;
  }

  /** Waits until every acknowledged event has gone through, or nothing has moved for a while. */
  async #drained(): Promise<void> {
    const { quietMs = QUIET_MS } = this.#options;
    const quiet = watchQuiet(this.#clock, POLL_MS);
    let moved = -1;
    while (this.#verifier.eventsAt('feed') < this.#ledger.acknowledgedCount || this.#inHand()) {
      if (this.#end.signal.aborted) return;
      if (this.#arrived !== moved) {
        moved = this.#arrived;
        quiet.broken();
      }
      if (quiet.lookMs() >= quietMs) return;
      await this.#clock.sleep(POLL_MS);
    }
  }

  /** Changes that the feed handed over and the cache has not confirmed. */
  #inHand(): boolean {
    return this.#recorders.feed.snapshot().done > this.#arrived;
  }

  async #readStore(cache: BenchCache | undefined): Promise<void> {
    // The reading is part of the proof and not of the load: it has a recorder of its own, that nobody shows.
    const context = {
      ...this.#context(createStageRecorder('verify', { clock: this.#clock })),
      ru: createRuRecorder({ clock: this.#clock }),
      signal: new AbortController().signal,
    };
    for await (const items of this.#stages.readStore(context)) {
      for (const item of items) this.#report('store', item);
      if (cache === undefined) continue;
      for (const value of await cache.read(items)) if (value !== undefined) this.#report('cache', value);
    }
  }

  #report(place: Place, item: unknown): void {
    const found = this.#observe(item);
    if (isUnreadable(found)) this.#verifier.corrupted(place, found);
    else this.#verifier.observe(place, found);
  }

  #hottestKey(): Pick<BenchResult, 'hottestKey'> {
    let hottest = { key: '', events: 0 };
    let second = 0;
    for (const [key, { size }] of this.#ledger.keys) {
      if (size <= hottest.events) second = Math.max(second, size);
      else {
        second = hottest.events;
        hottest = { key, events: size };
      }
    }
    return hottest.events > second ? { hottestKey: hottest } : {};
  }

  #context(recorder: StageContext['recorder']): StageContext {
    return { recorder, ru: this.#ru, signal: this.#end.signal };
  }
}
