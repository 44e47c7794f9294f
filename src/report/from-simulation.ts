import type { Cost } from '../capacity/cost.ts';
import { type Simulation, WAITED_MS } from '../capacity/simulate.ts';
import type { Outage, PipelineModel } from '../capacity/simulation-model.ts';
import type { RuSummary } from '../metrics/ru-recorder.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import { formatDurationMs } from '../util/duration.ts';
import { findBottleneck } from './bottleneck.ts';
import { formatCount } from './format.ts';
import { environmentOf } from './from-bench.ts';
import { chargePerSecond } from './ranges.ts';
import {
  type Bottleneck,
  RUN_REPORT_VERSION,
  type RunReport,
  type RuReport,
  type Threshold,
} from './run-report.ts';
import { evaluateThresholds } from './thresholds.ts';

export interface SimulationReportContext {
  readonly title: string;
  readonly run: string;
  readonly startedMs: number;
  readonly toolVersion: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly thresholds: readonly Threshold[];
  readonly cost?: Cost;
  /** How long the hub keeps an event. */
  readonly hubRetentionMs: number;
}

/** A simulation in the form of a measured run, so that it is read, compared and gated on in the same way. */
export function reportOfSimulation(
  simulation: Simulation,
  model: PipelineModel,
  context: SimulationReportContext,
): RunReport {
  const { events, durationMs, stepMs } = simulation;
  const { ruPerSecond, ruPerWrite } = model.store;
  const stages = simulation.stages.map((stage) => withLastStep(stage, stepMs));
  const ru: RuReport = {
    ...simulation.ru,
    perSecond: chargePerSecond(simulation.ru, durationMs),
    ranges: rangesOf(simulation.ru, model),
    ...(Number.isFinite(ruPerSecond) && { provisionedPerSecond: ruPerSecond }),
    perWrite: Math.round(ruPerWrite * 100) / 100,
  };
  const doubts = doubtsAbout(simulation, context);
  const bottleneck =
    throttledAtTheDoor(simulation, model) ?? slowedOnTheWayOut(findBottleneck(stages, ru), model);
  const endToEnd = stages.at(-1)?.latency;
  const scheduleMs = durationMs - simulation.drainMs;
  const report: RunReport = {
    schemaVersion: RUN_REPORT_VERSION,
    kind: 'simulate',
    toolVersion: context.toolVersion,
    run: context.run,
    title: context.title,
    startedAt: new Date(context.startedMs).toISOString(),
    durationMs,
    valid: doubts.length === 0,
    doubts,
    environment: environmentOf(context.env),
    config: context.config,
    load: {
      requestedEvents: events,
      requestedPerSecond: (events * 1000) / scheduleMs,
      achievedPerSecond: stages[0]?.donePerSecond ?? 0,
      sent: stages[0]?.done ?? 0,
      dropped: 0,
      late: 0,
    },
    stages,
    ...(endToEnd && { endToEnd }),
    ru,
    ...(context.cost && { cost: context.cost }),
    thresholds: [],
    ...(bottleneck && { bottleneck: withLag(bottleneck, simulation, model) }),
  };
  return { ...report, thresholds: evaluateThresholds(report, context.thresholds) };
}

/** A step is as long as what happens in it; the recorder knows only when it began. */
function withLastStep(stage: StageSummary, stepMs: number): StageSummary {
  const activeMs = stage.activeMs + stepMs;
  const perSecond = (count: number): number => (count * 1000) / activeMs;
  return {
    ...stage,
    activeMs,
    offeredPerSecond: perSecond(stage.offered),
    donePerSecond: perSecond(stage.done),
  };
}

/** Every physical partition, with nothing where no key is: what is fair is a share of all of them. */
function rangesOf({ ranges }: RuSummary, { load }: PipelineModel): RuReport['ranges'] {
  const [any] = Object.values(ranges);
  const none = (any?.requestChargeSeries ?? []).map(() => 0);
  const idle = { requestCharge: 0, throttled: 0, requestChargeSeries: none, throttledSeries: none };
  return Object.fromEntries(
    load.store.map(({ name, lanes }) => {
      const range = ranges[name] ?? idle;
      return [name, lanes === 1 ? range : { ...range, alike: lanes }];
    }),
  );
}

/** What came through behind the schedule, in one line. */
export function drainSentence(simulation: Simulation): string {
  const { maxBacklog, maxQueuedMs, behindUntilMs, drainMs, drained } = simulation;
  if (!drained) return `the backlog does not drain; it reached ${formatCount(maxBacklog)} events`;
  if (maxQueuedMs < WAITED_MS) return 'nothing queued for a second';
  const end =
    drainMs > 0
      ? `drained ${formatDurationMs(drainMs)} after the end of the load`
      : `caught up ${formatDurationMs(behindUntilMs)} after the start of the load`;
  return `backlog up to ${formatCount(maxBacklog)} events, lag up to ${formatDurationMs(maxQueuedMs)}, ${end}`;
}

/** The verdict with what queued; parts that were down explain it better than stages that kept up with what came. */
function withLag(found: Bottleneck, simulation: Simulation, { outages = [] }: PipelineModel): Bottleneck {
  if (simulation.drained && simulation.maxQueuedMs < WAITED_MS) return found;
  const down = outages.map(
    ({ part, startMs, durationMs }) =>
      `${part} was down for ${formatDurationMs(durationMs)} from ${formatDurationMs(startMs)} on`,
  );
  const { reason, sentence } = found;
  const explained = reason === 'throttled' || (reason === 'saturated' && down.length === 0);
  const causes = explained ? [sentence, ...down] : down.length > 0 ? down : shortFor(simulation);
  return { ...found, sentence: [...causes, drainSentence(simulation)].join('; ') };
}

/** Which stage was short for a while, of a pipeline that made up for it: the one that adds most to the slowest event. */
function shortFor({ stages }: Simulation): string[] {
  const added = stages.map(({ latency }, index) => latency.maxMs - (stages[index - 1]?.latency.maxMs ?? 0));
  const slowest = stages[added.indexOf(Math.max(...added))];
  if (slowest === undefined) return [];
  const refused =
    slowest.throttled > 0 ? `, in which ${formatCount(slowest.throttled)} operations were throttled` : '';
  return [`${slowest.name} kept up but for a while${refused}`];
}

function doubtsAbout(simulation: Simulation, { hubRetentionMs }: SimulationReportContext): string[] {
  const doubts: string[] = [];
  if (!simulation.drained)
    doubts.push(
      'the backlog had not drained when the simulation gave up: latencies and lag are lower than they would be',
    );
  if (simulation.maxQueuedMs > hubRetentionMs)
    doubts.push(
      `events waited ${formatDurationMs(simulation.maxQueuedMs)}, longer than the hub keeps them (${formatDurationMs(hubRetentionMs)}): they would be lost`,
    );
  return doubts;
}

/** Share of the load that may still be unsent at its end without the hub's door being what limits the pipeline. */
const UNSENT_TOLERANCE = 0.05;

/** Stages are judged by what the one before them did; what the namespace did not let in shows at the producer itself. */
function throttledAtTheDoor(
  { events, atEnd }: Simulation,
  { hub, outages = [], schedule }: PipelineModel,
): Bottleneck | undefined {
  const { unsent, behind } = atEnd;
  const enough = hub.ingressPerSecond * schedule.durationMs >= events * 1000;
  if (enough && (hub.ingressPerSecond === Number.POSITIVE_INFINITY || outages.some(isOfHub)))
    return undefined;
  if (unsent <= UNSENT_TOLERANCE * events || unsent < behind) return undefined;
  return {
    stage: 'produce',
    reason: 'throttled',
    sentence: `${formatCount(unsent)} events could not be sent while the load lasted: the namespace lets ${formatCount(hub.ingressPerSecond)} events/s in`,
  };
}

/** Consumers that could read faster than the namespace lets them. */
function slowedOnTheWayOut(
  found: Bottleneck | undefined,
  { hub, ingest }: PipelineModel,
): Bottleneck | undefined {
  if (found?.stage !== 'ingest' || found.reason !== 'saturated') return found;
  if (hub.egressPerSecond >= ingest.consumers * ingest.capacityPerSecond) return found;
  return {
    ...found,
    sentence: `${found.sentence}, as the namespace lets ${formatCount(hub.egressPerSecond)} events/s out to each consumer group`,
  };
}

function isOfHub({ part }: Outage): boolean {
  return part === 'event-hubs';
}
