import { createRuRecorder, type RuSummary } from '../metrics/ru-recorder.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { RuRecorder } from '../metrics/types.ts';
import type { Clock } from '../util/clock.ts';
import { type AgeTeller, type ArrivalCurve, ages, arrivalCurve } from './arrival-curve.ts';
import { Lanes } from './lanes.ts';
import type { OutagePart, PipelineModel } from './simulation-model.ts';
import { createStageTrack, type StageTrack } from './stage-track.ts';
import { wholes } from './wholes.ts';

/** What queued in a simulated run. */
export interface Queues {
  readonly events: number;
  /** From the first event that was due to the last one through the pipeline. */
  readonly durationMs: number;
  /** From the end of the schedule to the last event through the pipeline. */
  readonly drainMs: number;
  /** False when events were left after {@link PipelineModel.maxDrainMs}. */
  readonly drained: boolean;
  /** Greatest time that an event lost in queues. */
  readonly maxQueuedMs: number;
  /** When the last event that had waited for longer than {@link WAITED_MS} (or a step) was through; 0 when none had. */
  readonly behindUntilMs: number;
  /** Most events that were due and not through. */
  readonly maxBacklog: number;
  /** When the load ended: events that the namespace had not let in, and events behind its door that were not through. */
  readonly atEnd: { readonly unsent: number; readonly behind: number };
  /** RU/s of the pipeline in the busiest second of each hour of the schedule: what autoscale bills. */
  readonly hourPeaksRu: readonly number[];
  readonly stepMs: number;
}

export interface Simulation extends Queues {
  /** In pipeline order, in the form of a measured run. */
  readonly stages: readonly StageSummary[];
  readonly ru: RuSummary;
}

/** Below this a wait is no backlog: budgets are given by the second. */
export const WAITED_MS = 1_000;
/** Short runs show how a second's budget is spent within the second. */
const FINE_STEP_MS = 100;
const FINE_UP_TO_MS = 600_000;
/** A recorder keeps an hour of seconds; its slots double for longer runs, and a step that divides them does not beat with them. */
const SECONDS_UP_TO_MS = 4 * 3_600_000;
/** Below this an amount of the fluid is no event. */
const NOTHING = 1e-6;
/** What the sums of a day may be off by, of all events: far less than one of them. */
const ROUNDING = 1e-11;

/**
 * Runs a pipeline as a fluid: in each step events flow as far as the throughput units, the consumers, the budget of each
 * physical partition and the reader of the feed let them. Order within a lane is first in, first out, so the age of what
 * leaves a queue follows from the curve of arrivals. Millions of events a second cost as much as ten.
 */
export function simulate(
  model: PipelineModel,
  startEpochMicros: number,
  stepMs = stepFor(model.schedule.durationMs),
): Simulation {
  const { clock, set } = steppedClock(startEpochMicros);
  const { latency, feed, cache } = model;
  const ru = createRuRecorder({ clock });
  const tracks = {
    produce: createStageTrack('produce', latency.produce, clock),
    ingest: createStageTrack('ingest', latency.ingest, clock),
    feed: createStageTrack('feed', latency.feed, clock),
    cache: createStageTrack('cache', latency.cache, clock),
  };
  const queues = runThrough(model, stepMs, { ...tracks, ru }, set);
  const there = [
    tracks.produce,
    tracks.ingest,
    ...(feed ? [tracks.feed, ...(cache ? [tracks.cache] : [])] : []),
  ];
  return { ...queues, stages: there.map((track) => track.summary()), ru: ru.summary() };
}

/** What queues in a run that nothing is recorded of: less than half of the work, for who tries many. */
export function simulateQueues(model: PipelineModel, stepMs: number): Queues {
  return runThrough(model, stepMs, NOT_RECORDED, () => {});
}

function runThrough(
  model: PipelineModel,
  stepMs: number,
  recording: Recording,
  setClock: (ms: number) => void,
): Queues {
  const { schedule } = model;
  const curve = arrivalCurve(schedule, stepMs);
  const run = new Run(model, curve, recording);
  const lastStep = Math.ceil((schedule.durationMs + model.maxDrainMs) / stepMs);
  let step = 0;
  do {
    run.advance(step, setClock);
    step += 1;
  } while ((step < curve.cumulative.length || !run.empty) && step < lastStep);
  return run.result(schedule.durationMs);
}

/** Where a run books what happens in it. */
interface Recording {
  readonly produce: Track;
  readonly ingest: Track;
  readonly feed: Track;
  readonly cache: Track;
  readonly ru: RuRecorder;
}

type Track = Omit<StageTrack, 'summary'>;

const NO_TRACK: Track = { offered() {}, done() {}, throttled() {}, latency() {} };
const NOT_RECORDED: Recording = {
  produce: NO_TRACK,
  ingest: NO_TRACK,
  feed: NO_TRACK,
  cache: NO_TRACK,
  ru: { charge() {}, throttled() {} },
};

function stepFor(durationMs: number): number {
  if (durationMs <= FINE_UP_TO_MS) return FINE_STEP_MS;
  return 1_000 * 2 ** Math.max(0, Math.ceil(Math.log2(durationMs / SECONDS_UP_TO_MS)));
}

class Run {
  readonly #model: PipelineModel;
  readonly #curve: ArrivalCurve;
  readonly #lanes: Lanes;
  /** How often the partitions' budgets are refilled: every second, or every step when that is longer. */
  readonly #budgetMs: number;
  readonly #recording: Recording;
  readonly #sentAges: AgeTeller;
  readonly #writtenAges: readonly AgeTeller[];
  readonly #readAges: readonly AgeTeller[];
  readonly #wholeWrites = wholes();
  readonly #wholeRefusals = wholes();
  #unsent = 0;
  #uncached = 0;
  #finished = 0;
  #lastWorkMs = 0;
  #maxQueuedMs = 0;
  #behindUntilMs = 0;
  #maxBacklog = 0;
  #atEnd = { unsent: 0, behind: 0 };
  #budgetRu = 0;
  readonly #hourPeaks: number[] = [];

  constructor(model: PipelineModel, curve: ArrivalCurve, recording: Recording) {
    const { load } = model;
    this.#model = model;
    this.#curve = curve;
    this.#lanes = new Lanes(model, curve.stepMs);
    this.#budgetMs = Math.max(1_000, curve.stepMs);
    this.#recording = recording;
    this.#sentAges = ages(curve, 1);
    this.#writtenAges = load.store.map(({ share }) => ages(curve, share));
    this.#readAges = load.store.map(({ share }) => ages(curve, share));
  }

  get empty(): boolean {
    const feedless = this.#model.feed === undefined;
    const left = this.#unsent + this.#lanes.pending + (feedless ? 0 : this.#uncached);
    return left < Math.max(NOTHING, ROUNDING * this.#curve.total);
  }

  advance(step: number, setClock: (ms: number) => void): void {
    const { stepMs, cumulative, total } = this.#curve;
    const startMs = step * stepMs;
    const endMs = startMs + stepMs;
    const seconds = stepMs / 1000;
    setClock(startMs);
    if (startMs % this.#budgetMs === 0) this.#startBudget(startMs);
    const due = cumulative[step] ?? total;
    const up = (part: OutagePart): number => upShare(this.#model.outages, part, startMs, endMs);
    const hub = up('event-hubs');
    const ingest = up('ingest');
    this.#send(due - (step === 0 ? 0 : (cumulative[step - 1] ?? total)), seconds * hub, endMs);
    this.#recording.ingest.offered(this.#lanes.receive(seconds * Math.min(hub, ingest)));
    this.#readFromOutside(seconds);
    const before = this.#finished;
    this.#store(seconds, endMs, up);
    if (this.#finished - before > NOTHING) this.#lastWorkMs = endMs;
    this.#maxBacklog = Math.max(this.#maxBacklog, due - this.#finished);
    if (step === cumulative.length - 1)
      this.#atEnd = {
        unsent: Math.round(this.#unsent),
        behind: Math.round(due - this.#finished - this.#unsent),
      };
  }

  result(scheduleMs: number): Queues {
    this.#closeBudget(this.#lastWorkMs);
    const { total, stepMs } = this.#curve;
    const durationMs = Math.max(this.#lastWorkMs, scheduleMs);
    return {
      events: Math.round(total),
      durationMs,
      drainMs: durationMs - scheduleMs,
      drained: this.empty,
      maxQueuedMs: this.#maxQueuedMs,
      behindUntilMs: this.#behindUntilMs,
      maxBacklog: Math.round(this.#maxBacklog),
      atEnd: this.#atEnd,
      hourPeaksRu: Array.from(
        { length: Math.max(1, Math.ceil(scheduleMs / 3_600_000)) },
        (_, hour) => this.#hourPeaks[hour] ?? 0,
      ),
      stepMs,
    };
  }

  #startBudget(startMs: number): void {
    this.#closeBudget(startMs);
    this.#lanes.refill(this.#budgetMs / 1000);
  }

  /** Books how often the time that ends at `endMs` refused, and its charge as a candidate for the peak of its hour. */
  #closeBudget(endMs: number): void {
    const seconds = this.#budgetMs / 1000;
    for (const [group, perSecond] of this.#lanes.refusals()) {
      const count = this.#wholeRefusals(perSecond * seconds);
      this.#recording.ingest.throttled(count);
      this.#recording.ru.throttled(this.#rangeName(group), count);
    }
    const hour = Math.floor(Math.max(0, endMs - 1) / 3_600_000);
    this.#hourPeaks[hour] = Math.max(this.#hourPeaks[hour] ?? 0, this.#budgetRu / seconds);
    this.#budgetRu = 0;
  }

  #send(arrived: number, seconds: number, endMs: number): void {
    const { hub, producer } = this.#model;
    this.#recording.produce.offered(arrived);
    this.#unsent += arrived;
    const sent = Math.min(
      this.#unsent,
      within(hub.ingressPerSecond, seconds),
      within(producer.capacityPerSecond, seconds),
    );
    if (hub.ingressPerSecond * seconds < this.#unsent && hub.ingressPerSecond <= producer.capacityPerSecond)
      this.#recording.produce.throttled(this.#model.store.refusedPerSecond * seconds);
    this.#unsent -= sent;
    this.#lanes.accept(sent);
    this.#recording.produce.done(sent, 0);
    if (sent > NOTHING)
      this.#sentAges(sent, endMs, (events, queuedMs) => this.#recording.produce.latency(events, queuedMs));
  }

  /** What others read is consumed, although it is no event of the pipeline. */
  #readFromOutside(seconds: number): void {
    const { load, store } = this.#model;
    if (store.readRuPerSecond === undefined || store.readRuPerSecond === 0) return;
    const perLane = (Math.min(store.readRuPerSecond, store.ruPerSecond) * seconds) / store.physicalPartitions;
    for (const { lanes, name } of load.store) this.#recording.ru.charge('read', name, perLane * lanes, 0);
  }

  #store(seconds: number, endMs: number, up: (part: OutagePart) => number): void {
    const { store, feed } = this.#model;
    const cosmos = up('cosmos');
    const { written, read, requestUnits } = this.#lanes.writeAndRead(
      seconds,
      Math.min(cosmos, up('ingest')),
      Math.min(cosmos, up('feed')),
    );
    let stored = 0;
    let changed = 0;
    for (let group = 0; group < written.length; group += 1) {
      const count = written[group] as number;
      const changes = read[group] as number;
      stored += count;
      changed += changes;
      this.#budgetRu += requestUnits[group] as number;
      if (count > NOTHING) {
        const age = this.#writtenAges[group] as AgeTeller;
        const longestMs = age(count, endMs, (events, queuedMs) =>
          this.#recording.ingest.latency(events, queuedMs),
        );
        this.#recording.ru.charge(
          'upsert',
          this.#rangeName(group),
          count * store.ruPerWrite,
          this.#wholeWrites(count),
        );
        if (feed === undefined) this.#through(endMs, longestMs);
      }
      if (changes > NOTHING) {
        const age = this.#readAges[group] as AgeTeller;
        const cacheDelayMs = this.#cacheDelayMs();
        const longestMs = age(changes, endMs, (events, queuedMs) => {
          this.#recording.feed.latency(events, queuedMs);
          this.#recording.cache.latency(events, queuedMs + cacheDelayMs);
        });
        this.#recording.ru.charge(
          'changeFeed',
          this.#rangeName(group),
          changes * (feed?.ruPerChange ?? 0),
          0,
        );
        this.#through(endMs, longestMs + cacheDelayMs);
      }
    }
    this.#recording.ingest.done(stored, 0);
    this.#recording.feed.offered(stored);
    this.#recording.feed.done(changed, 0);
    this.#finish(feed === undefined ? stored : changed, seconds);
  }

  #through(endMs: number, queuedMs: number): void {
    this.#maxQueuedMs = Math.max(this.#maxQueuedMs, queuedMs);
    if (queuedMs > Math.max(WAITED_MS, this.#curve.stepMs)) this.#behindUntilMs = endMs;
  }

  /** The last stage: the cache where there is one, else whatever comes to the end. */
  #finish(arrived: number, seconds: number): void {
    const { cache, feed } = this.#model;
    if (feed === undefined || cache === undefined) {
      this.#finished += arrived;
      return;
    }
    this.#recording.cache.offered(arrived);
    this.#uncached += arrived;
    const done = Math.min(this.#uncached, cache.capacityPerSecond * seconds);
    this.#uncached -= done;
    this.#finished += done;
    this.#recording.cache.done(done, 0);
  }

  #cacheDelayMs(): number {
    const capacity = this.#model.cache?.capacityPerSecond ?? Number.POSITIVE_INFINITY;
    return (this.#uncached / capacity) * 1000;
  }

  #rangeName(group: number): string {
    return this.#model.load.store[group]?.name ?? '*';
  }
}

/** What a rate carries in a time; nothing in no time, although the rate may be infinite. */
function within(perSecond: number, seconds: number): number {
  return seconds === 0 ? 0 : perSecond * seconds;
}

/** The part of a step in which a part of the pipeline is up. */
function upShare(
  outages: PipelineModel['outages'],
  part: OutagePart,
  startMs: number,
  endMs: number,
): number {
  let downMs = 0;
  for (const outage of outages ?? [])
    if (outage.part === part)
      downMs += Math.max(
        0,
        Math.min(endMs, outage.startMs + outage.durationMs) - Math.max(startMs, outage.startMs),
      );
  return Math.max(0, 1 - downMs / (endMs - startMs));
}

function steppedClock(startEpochMicros: number): { readonly clock: Clock; set(ms: number): void } {
  let nowMs = 0;
  return {
    clock: {
      now: () => nowMs,
      epochMicros: () => startEpochMicros + nowMs * 1000,
      sleep: () => Promise.resolve(),
    },
    set(ms) {
      nowMs = ms;
    },
  };
}
