import { type FindMaxResult, findMaxRate, type Trial } from '../src/pipeline/find-max.ts';
import { formatCount } from '../src/report/format.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { DEFAULT_RATE } from './bench-options.ts';
import { atRate, type BenchPlan } from './bench-plan.ts';
import { type BenchSetting, runLoad } from './bench-run.ts';

const PRECISION = 0.05;
const CONFIRMATIONS = 3;
const MAX_TRIALS = 20;

/** Searches the highest rate that holds; the report is of the last run at that rate, else of the last run at all. */
export async function searchMax(setting: BenchSetting, plan: BenchPlan, run: string): Promise<RunReport> {
  const { context, values } = setting;
  const reports: RunReport[] = [];
  let attempts = 0;
  const attempt = async (ratePerSecond: number): Promise<{ report: RunReport; trial: Trial }> => {
    attempts += 1;
    const report = await runLoad(setting, atRate(plan, ratePerSecond, values.trial), `${run}-${attempts}`);
    const trial = judge(ratePerSecond, report);
    context.terminal.note(trialLine(trial, report));
    return { report, trial };
  };
  const search = await findMaxRate({
    startPerSecond: values.rate ?? DEFAULT_RATE / 2,
    precision: PRECISION,
    confirmations: CONFIRMATIONS,
    maxTrials: MAX_TRIALS,
    signal: context.signal,
    async trial(ratePerSecond) {
      const first = await attempt(ratePerSecond);
      // A generator that was late may have met a busy moment of the machine: that is worth a second look.
      const { report, trial } =
        first.trial.generatorLimited === true && !context.signal.aborted
          ? await attempt(ratePerSecond)
          : first;
      reports.push(report);
      return trial;
    },
  });
  const best = reports.findLast((_, index) => search.trials[index]?.ratePerSecond === search.ratePerSecond);
  const shown = best ?? reports.at(-1);
  if (shown === undefined) throw new Error('the search was stopped before its first run');
  return { ...shown, search };
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
  const { complete, failedPerSecond, failedReason, generatorLimited, held, ratePerSecond, runs } = search;
  if (ratePerSecond === 0) return [`  no rate held: ${failedReason ?? 'the search was stopped'}`];
  return [
    `  MAXIMUM  ${formatCount(ratePerSecond)} events/s, held ${held} of ${runs} times${complete ? '' : ' (the search was not finished)'}`,
    ...(failedPerSecond === undefined
      ? []
      : [`           ${formatCount(failedPerSecond)} events/s did not: ${failedReason}`]),
    ...(generatorLimited ? ['           the generator was the limit: the pipeline may take more'] : []),
  ];
}
