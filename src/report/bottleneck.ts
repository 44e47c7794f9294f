import type { StageSummary } from '../metrics/stage-recorder.ts';
import { formatDurationMs } from '../util/duration.ts';
import { formatShare } from './format.ts';
import { hottestRange, rangeCount, singleRange } from './ranges.ts';
import type { Bottleneck, RunReport, RuReport } from './run-report.ts';

/** Share of what a stage was given by the end of the load that may still be on its way without it being behind. */
const BACKLOG_TOLERANCE = 0.05;
/** 429s and a budget that was used up say by themselves that a stage was held back: less of a backlog proves it. */
const THROTTLED_TOLERANCE = 0.02;
const MIN_BACKLOG = 100;
const THROTTLED_SHARE = 0.01;
const FULL_SHARE = 0.9;
/** A range with so many times its fair share is what throttles, whatever the others have left. */
const UNEVEN = 1.5;

/**
 * Names the limiting stage of a run: a stage that was behind when the load ended, or at some time before (throttled by the
 * service, held to its own budget, or busy itself), else the stage that adds most to the latency. `stages` are in pipeline
 * order; `config` is that of the report.
 */
export function findBottleneck(
  stages: readonly StageSummary[],
  ru?: RuReport,
  config: RunReport['config'] = {},
): Bottleneck | undefined {
  const [source] = stages;
  if (source === undefined || source.done === 0) return undefined;
  const behindAtEnd = worstBacklog(stages, ru, (curves) => curves.atEnd);
  const behindOnce = behindAtEnd ?? worstBacklog(stages, ru, (curves) => curves.greatest);
  if (behindOnce !== undefined) {
    const { stage, backlog } = behindOnce;
    const when =
      behindAtEnd === undefined ? `${formatDurationMs(backlog.atMs)} into the load` : 'when the load ended';
    const behind = `${stage.name} was ${count(backlog.events)} events behind ${when}`;
    const finished = `it finished ${count(stage.donePerSecond)} events/s of ${count(source.donePerSecond)} sent`;
    const refused = refusedOf(stage, stages, ru);
    if (refused > THROTTLED_SHARE * stage.done || (refused > 0 && isFull(ru))) {
      return {
        stage: stage.name,
        reason: 'throttled',
        sentence: `${behind}: ${throttledText(refused, ru)}`,
      };
    }
    const held = stage.name === 'ingest' ? ownBudget(config, ru) : undefined;
    if (held !== undefined)
      return {
        stage: stage.name,
        reason: 'throttled',
        sentence: `${behind}: held to ${count(held)} RU/s by --max-ru, ${finished}`,
      };
    return {
      stage: stage.name,
      reason: 'saturated',
      sentence: behindAtEnd === undefined ? `${behind}, and caught up later` : `${behind}: ${finished}`,
    };
  }
  return largestDelay(stages, ru);
}

function largestDelay(stages: readonly StageSummary[], ru: RuReport | undefined): Bottleneck | undefined {
  const measured = stages.filter((stage) => stage.latency.count > 0);
  const added = measured.map((stage, index) =>
    Math.max(0, stage.latency.p50Ms - (measured[index - 1]?.latency.p50Ms ?? 0)),
  );
  const worst = indexOfMax(added);
  const stage = measured[worst];
  const total = measured.at(-1)?.latency.p50Ms ?? 0;
  if (stage === undefined || total === 0) return undefined;
  const refused = refusedOf(stage, stages, ru);
  const share = Math.round(((added[worst] as number) / total) * 100);
  const part = `${formatDurationMs(added[worst] as number)} of ${formatDurationMs(total)} at the median (${share}%)`;
  return {
    stage: stage.name,
    reason: 'latency',
    sentence:
      stage === stages[0]
        ? `${stage.name} adds most of the delay, ${part}: the load came late or Event Hubs took it slowly`
        : `every stage kept up; ${stage.name} adds most of the delay, ${part}${refused > 0 && isFull(ru) ? `; ${throttledText(refused, ru)}` : ''}`,
  };
}

/** What a stage was refused. The reads of the feed are known by the request units only. */
function refusedOf(stage: StageSummary, stages: readonly StageSummary[], ru: RuReport | undefined): number {
  if (stage.name !== 'feed' || ru === undefined) return stage.throttled;
  const written = stages.find(({ name }) => name === 'ingest')?.throttled ?? 0;
  return Math.max(stage.throttled, ru.throttled - written);
}

function throttledText(refused: number, ru: RuReport | undefined): string {
  return `${count(refused)} operations were throttled${budgetOf(ru)}`;
}

/** The RU/s that ingest was told to stay within, where it used them up. */
function ownBudget({ maxRu }: RunReport['config'], ru: RuReport | undefined): number | undefined {
  if (ru === undefined || typeof maxRu !== 'object' || maxRu === null) return undefined;
  const { fraction, ruPerSecond } = maxRu as { readonly fraction?: number; readonly ruPerSecond?: number };
  const held = ruPerSecond ?? (fraction ?? Number.NaN) * (ru.provisionedPerSecond ?? Number.NaN);
  return ru.busiestPerSecond >= FULL_SHARE * held ? held : undefined;
}

/** Which budget ran out: that of the container, or of one range while the others had some left. */
function budgetOf(ru: RuReport | undefined): string {
  const provisioned = ru?.provisionedPerSecond;
  if (ru === undefined || provisioned === undefined) return '';
  const hottest = hottestRange(ru);
  if (
    hottest !== undefined &&
    hottest.share > UNEVEN * hottest.fairShare &&
    ru.perSecond < FULL_SHARE * provisioned
  )
    return `, because range ${hottest.id} took ${formatShare(hottest.share)} of the load and has ${count(provisioned * hottest.fairShare)} of the ${count(provisioned)} RU/s`;
  return `, ${count(ru.busiestPerSecond)} RU in the busiest second of ${count(provisioned)} provisioned`;
}

/** Whether some partition key range spent what it has: a writer that backs off well is refused rarely even then. */
function isFull(ru: RuReport | undefined): boolean {
  if (ru?.provisionedPerSecond === undefined) return false;
  const fairShare = ru.provisionedPerSecond / Math.max(1, rangeCount(ru));
  return Object.values(ru.ranges).some((range) => {
    const busiest = Math.max(0, ...singleRange(range).requestChargeSeries);
    return (busiest * 1000) / ru.intervalMs >= FULL_SHARE * fairShare;
  });
}

/** Events that the stage before had finished and this one had not. */
interface Backlog {
  readonly events: number;
  /** Of what the stage before finished in the whole load. */
  readonly share: number;
  readonly atMs: number;
}

interface BacklogCurve {
  /** In the last slot in which the source was sending. */
  readonly atEnd: Backlog;
  readonly greatest: Backlog;
}

/** The stage with the greatest backlog, when that is more than work on its way. */
function worstBacklog(
  stages: readonly StageSummary[],
  ru: RuReport | undefined,
  pick: (curve: BacklogCurve) => Backlog,
): { readonly stage: StageSummary; readonly backlog: Backlog } | undefined {
  const backlogs = stages
    .slice(1)
    .map((stage, index) => ({ stage, backlog: pick(backlogOf(stages[index] as StageSummary, stage)) }));
  const worst = backlogs[indexOfMax(backlogs.map(({ backlog }) => backlog.events))];
  if (worst === undefined) return undefined;
  const { events, share } = worst.backlog;
  const tolerance =
    refusedOf(worst.stage, stages, ru) > 0 && isFull(ru) ? THROTTLED_TOLERANCE : BACKLOG_TOLERANCE;
  return share > tolerance && events > MIN_BACKLOG ? worst : undefined;
}

function backlogOf(before: StageSummary, stage: StageSummary): BacklogCurve {
  const { done, intervalMs } = before.series;
  const slots = done.findLastIndex((finished) => finished > 0) + 1;
  const shiftMs = (before.startedMicros - stage.startedMicros) / 1000;
  const given = finishedBy(before);
  const finished = finishedBy(stage);
  const total = given(slots * intervalMs);
  // The recorder is there before the load.
  const beganMs =
    Math.max(
      0,
      done.findIndex((events) => events > 0),
    ) * intervalMs;
  const at = (ms: number): Backlog => {
    const events = Math.max(0, given(ms) - finished(ms + shiftMs));
    return { events, share: total === 0 ? 0 : events / total, atMs: ms - beganMs };
  };
  const atEnd = at(slots * intervalMs);
  let greatest = atEnd;
  for (let slot = 1; slot < slots; slot += 1) {
    const backlog = at(slot * intervalMs);
    if (backlog.events > greatest.events) greatest = backlog;
  }
  return { atEnd, greatest };
}

/** What a stage had finished so long after its start; stages that worked longer have wider slots. */
function finishedBy({ series: { done, intervalMs } }: StageSummary): (ms: number) => number {
  const sums = [0];
  for (const finished of done) sums.push((sums.at(-1) as number) + finished);
  return (ms) => {
    const slots = Math.min(done.length, Math.max(0, ms / intervalMs));
    const whole = Math.floor(slots);
    return (sums[whole] as number) + (done[whole] ?? 0) * (slots - whole);
  };
}

function indexOfMax(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? 0) ? index : best), 0);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
