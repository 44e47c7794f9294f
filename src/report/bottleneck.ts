import type { StageSummary } from '../metrics/stage-recorder.ts';
import { formatDurationMs } from '../util/duration.ts';
import type { RuReport } from './run-report.ts';

/** The stage that limits the pipeline, and the figures that say so. */
export interface Bottleneck {
  readonly stage: string;
  /** `saturated`: it could not keep up; `latency`: everything kept up, and this stage adds most of the delay. */
  readonly reason: 'saturated' | 'throttled' | 'latency';
  /** One sentence for a person. */
  readonly sentence: string;
}

/** Share of what a stage was given by the end of the load that may still be on its way without it being behind. */
const BACKLOG_TOLERANCE = 0.05;
const MIN_BACKLOG = 100;
const THROTTLED_SHARE = 0.01;

/**
 * Names the limiting stage of a run: a stage that left a backlog while the load lasted (throttled by the service, or busy
 * itself), else the stage that adds most to the latency. `stages` are in pipeline order.
 */
export function findBottleneck(stages: readonly StageSummary[], ru?: RuReport): Bottleneck | undefined {
  const [source] = stages;
  if (source === undefined || source.done === 0) return undefined;
  const backlogs = stages
    .slice(1)
    .map((stage, index) => backlogAtEndOfLoad(stages[index] as StageSummary, stage));
  const worst = indexOfMax(backlogs.map(({ events }) => events));
  const backlog = backlogs[worst];
  const stage = stages[worst + 1];
  if (
    stage !== undefined &&
    backlog !== undefined &&
    backlog.share > BACKLOG_TOLERANCE &&
    backlog.events > MIN_BACKLOG
  ) {
    const behind = `${stage.name} was ${count(backlog.events)} events behind when the load ended`;
    if (stage.throttled > THROTTLED_SHARE * stage.done) {
      const provisioned = ru?.provisionedPerSecond;
      const budget =
        provisioned === undefined
          ? ''
          : `, ${count(ru?.busiestPerSecond ?? 0)} RU in the busiest second of ${count(provisioned)} provisioned`;
      return {
        stage: stage.name,
        reason: 'throttled',
        sentence: `${behind}: ${count(stage.throttled)} operations were throttled${budget}`,
      };
    }
    return {
      stage: stage.name,
      reason: 'saturated',
      sentence: `${behind}: it finished ${count(stage.donePerSecond)} events/s of ${count(source.donePerSecond)} sent`,
    };
  }
  return largestDelay(stages);
}

function largestDelay(stages: readonly StageSummary[]): Bottleneck | undefined {
  const measured = stages.filter((stage) => stage.latency.count > 0);
  const added = measured.map((stage, index) =>
    Math.max(0, stage.latency.p50Ms - (measured[index - 1]?.latency.p50Ms ?? 0)),
  );
  const worst = indexOfMax(added);
  const stage = measured[worst];
  const total = measured.at(-1)?.latency.p50Ms ?? 0;
  if (stage === undefined || total === 0) return undefined;
  const share = Math.round(((added[worst] as number) / total) * 100);
  const part = `${formatDurationMs(added[worst] as number)} of ${formatDurationMs(total)} at the median (${share}%)`;
  return {
    stage: stage.name,
    reason: 'latency',
    sentence:
      stage === stages[0]
        ? `${stage.name} adds most of the delay, ${part}: the load came late or Event Hubs took it slowly`
        : `every stage kept up; ${stage.name} adds most of the delay, ${part}`,
  };
}

/** Events that the stage before had finished and this one had not, in the last slot in which the source was sending. */
function backlogAtEndOfLoad(
  before: StageSummary,
  stage: StageSummary,
): { readonly events: number; readonly share: number } {
  const { done, intervalMs } = before.series;
  const untilMs = (done.findLastIndex((count) => count > 0) + 1) * intervalMs;
  const given = countUntil(before, untilMs);
  const finished = countUntil(stage, untilMs + (before.startedMicros - stage.startedMicros) / 1000);
  const events = Math.max(0, given - finished);
  return { events, share: given === 0 ? 0 : events / given };
}

/** What a stage finished until `untilMs` after its start; the slots of a stage that worked longer may be wider. */
function countUntil({ series: { done, intervalMs } }: StageSummary, untilMs: number): number {
  return done.reduce((sum, count, slot) => {
    const share = Math.min(1, Math.max(0, untilMs / intervalMs - slot));
    return sum + count * share;
  }, 0);
}

function indexOfMax(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? 0) ? index : best), 0);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
