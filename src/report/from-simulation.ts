import type { Cost } from '../capacity/cost.ts';
import { type Simulation, WAITED_MS } from '../capacity/simulate.ts';
import type { PipelineModel } from '../capacity/simulation-model.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import { formatDurationMs } from '../util/duration.ts';
import { findBottleneck } from './bottleneck.ts';
import { formatCount } from './format.ts';
import { environmentOf } from './from-bench.ts';
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
  const { stages, events, durationMs } = simulation;
  const { ruPerSecond, ruPerWrite } = model.store;
  const ru: RuReport = {
    ...simulation.ru,
    ranges: Object.fromEntries(
      Object.entries(simulation.ru.ranges).map(([id, range]) => {
        const lanes = model.load.store.find(({ name }) => name === id)?.lanes ?? 1;
        return [id, lanes === 1 ? range : { ...range, alike: lanes }];
      }),
    ),
    ...(Number.isFinite(ruPerSecond) && { provisionedPerSecond: ruPerSecond }),
    perWrite: Math.round(ruPerWrite * 100) / 100,
  };
  const doubts = doubtsAbout(simulation, context);
  const bottleneck = throttledAtTheDoor(simulation, model) ?? findBottleneck(stages, ru);
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
      achievedPerSecond: achievedPerSecond(stages[0], simulation.stepMs),
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
function achievedPerSecond(produce: StageSummary | undefined, stepMs: number): number {
  return produce === undefined ? 0 : (produce.done * 1000) / (produce.activeMs + stepMs);
}

/** What came through behind the schedule, in one line. */
export function drainSentence(simulation: Simulation): string {
  const { maxBacklog, maxQueuedMs, behindUntilMs, drainMs, drained } = simulation;
  if (!drained) return `the backlog does not drain; it reached ${formatCount(maxBacklog)} events`;
  if (maxQueuedMs < WAITED_MS) return 'nothing queued for a second';
  const end =
    drainMs > 0
      ? `drained ${formatDurationMs(drainMs)} after the end of the load`
      : `caught up ${formatDurationMs(behindUntilMs)} after its start`;
  return `backlog up to ${formatCount(maxBacklog)} events, lag up to ${formatDurationMs(maxQueuedMs)}, ${end}`;
}

/** The verdict with what queued; parts that were down explain it better than stages that kept up with what came. */
function withLag(found: Bottleneck, simulation: Simulation, { outages = [] }: PipelineModel): Bottleneck {
  if (simulation.maxQueuedMs < WAITED_MS) return found;
  const down = outages.map(
    ({ part, startMs, durationMs }) =>
      `${part} was down for ${formatDurationMs(durationMs)} from ${formatDurationMs(startMs)} on`,
  );
  const causes = down.length > 0 && found.reason === 'latency' ? down : [found.sentence, ...down];
  return { ...found, sentence: [...causes, drainSentence(simulation)].join('; ') };
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
  { stages }: Simulation,
  { hub, schedule }: PipelineModel,
): Bottleneck | undefined {
  const [produce] = stages;
  if (produce === undefined || !Number.isFinite(hub.ingressPerSecond)) return undefined;
  const { series } = produce;
  const until = Math.ceil(schedule.durationMs / series.intervalMs);
  const sum = (values: readonly number[]): number =>
    values.slice(0, until).reduce((total, value) => total + value, 0);
  const unsent = sum(series.offered) - sum(series.done);
  if (unsent <= UNSENT_TOLERANCE * produce.offered) return undefined;
  return {
    stage: 'produce',
    reason: 'throttled',
    sentence: `${formatCount(unsent)} events could not be sent while the load lasted: the namespace lets ${formatCount(hub.ingressPerSecond)} events/s in`,
  };
}
