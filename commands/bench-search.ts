import { type FindMaxResult, findMaxRate, type Trial } from '../src/pipeline/bench/find-max.ts';
import { formatCount, formatShare } from '../src/report/format.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { evaluateThresholds } from '../src/report/thresholds.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { DEFAULT_RATE } from './bench-options.ts';
import { atRate, type BenchPlan } from './bench-plan.ts';
import { type BenchSetting, runLoad } from './bench-run.ts';

const PRECISION = 0.05;
const CONFIRMATIONS = 3;

/** Searches the highest rate that holds; the report is of the last run at that rate, else of the last run at all. */
export async function searchMax(setting: BenchSetting, plan: BenchPlan, run: string): Promise<RunReport> {
  const { context, values } = setting;
  const reports: RunReport[] = [];
  // What is asked of the search is not asked of its trials.
  const tried = { ...plan, thresholds: plan.thresholds.filter(({ metric }) => metric !== 'max_rate') };
  const search = await findMaxRate({
    startPerSecond: values.rate ?? DEFAULT_RATE / 2,
    precision: PRECISION,
    confirmations: CONFIRMATIONS,
    maxTrials: Math.max(1, values.maxTrials),
    signal: context.signal,
    async trial(ratePerSecond) {
      const name = `${run}-${reports.length + 1}`;
      const report = await runLoad(setting, atRate(tried, ratePerSecond, values.trial), name);
      reports.push(report);
      const trial = judge(ratePerSecond, report);
      context.terminal.note(trialLine(trial, report));
      return trial;
    },
  });
  const best = reports.findLast((_, index) => {
    const trial = search.trials[index];
    return trial?.held === true && trial.ratePerSecond === search.ratePerSecond;
  });
  const shown = best ?? reports.at(-1);
  if (shown === undefined) throw new Error('the search was stopped before its first run');
  const report = { ...shown, search };
  return { ...report, thresholds: evaluateThresholds(report, plan.thresholds) };
}

/** A rate holds when its thresholds do, nothing is wrong with the events, and no stage falls behind. */
export function judge(ratePerSecond: number, report: RunReport): Trial {
  const { bottleneck, doubts, thresholds, valid, verdict } = report;
  const crossed = thresholds.find(({ ok }) => !ok);
  const isBehind = bottleneck !== undefined && bottleneck.reason !== 'latency';
  const reason =
    verdict?.ok === false
      ? 'events were lost, duplicated, out of order or corrupted'
      : crossed !== undefined
        ? `${crossed.expression} was crossed`
        : isBehind
          ? bottleneck.sentence
          : valid
            ? undefined
            : doubts[0];
  return {
    ratePerSecond,
    held: reason === undefined,
    ...(reason !== undefined && { reason }),
    ...(reason !== undefined && reason === doubts[0] && { generatorLimited: true }),
  };
}

function trialLine({ held, ratePerSecond, reason }: Trial, { endToEnd }: RunReport): string {
  const p99 = endToEnd === undefined ? '-' : formatDurationMs(endToEnd.p99Ms);
  const outcome = held ? `held    e2e p99 ${p99}` : `failed  ${reason}`;
  return `  ${`${formatCount(ratePerSecond)}/s`.padStart(10)}  ${outcome}`;
}

/** What the search found, for a person. */
export function searchLines(search: FindMaxResult): string[] {
  const {
    complete,
    failedPerSecond,
    failedReason,
    failedRuns,
    generatorLimited,
    held,
    range,
    ratePerSecond,
    runs,
  } = search;
  if (ratePerSecond === 0) return [`  no rate held: ${failedReason ?? 'the search was stopped'}`];
  return [
    `  MAXIMUM  ${formatCount(ratePerSecond)} events/s, held ${held} of ${runs} times${complete ? '' : ' (the search was not finished)'}`,
    ...(failedPerSecond === undefined
      ? []
      : [
          `           ${formatCount(failedPerSecond)} events/s (+${formatShare(failedPerSecond / ratePerSecond - 1)}) failed ${failedRuns} times: ${failedReason}`,
        ]),
    range.toPerSecond === undefined
      ? `           no rate was too high`
      : `           nothing failed up to ${formatCount(range.fromPerSecond)}, nothing held from ${formatCount(range.toPerSecond)} on`,
    ...(generatorLimited ? ['           the generator was the limit: the pipeline may take more'] : []),
  ];
}
