import { findMaxRate, type Trial } from '../src/pipeline/bench/find-max.ts';
import { formatCount } from '../src/report/format.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { thresholdActual } from '../src/report/text.ts';
import { evaluateThresholds } from '../src/report/thresholds.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { atRate, type BenchPlan, SEARCH_FROM } from './bench-plan.ts';
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
    startPerSecond: values.rate ?? SEARCH_FROM,
    precision: PRECISION,
    confirmations: CONFIRMATIONS,
    maxTrials: values.maxTrials,
    signal: context.signal,
    async trial(ratePerSecond) {
      const name = `${run}-${reports.length + 1}`;
      const report = await runLoad(setting, atRate(tried, ratePerSecond, values.trial), name);
      reports.push(report);
      const trial = judge(ratePerSecond, report);
      if (!context.signal.aborted) context.terminal.note(trialLine(trial, report));
      return trial;
    },
  });
  const best = reports.findLast((_, index) => {
    const trial = search.trials[index];
    return trial?.held === true && trial.ratePerSecond === search.ratePerSecond;
  });
  const shown = best ?? reports.at(-1);
  if (shown === undefined) throw new Error('the search was stopped before its first run');
  const report = {
    ...shown,
    search,
    ...(context.signal.aborted && { valid: false, doubts: ['the search was interrupted before its end'] }),
  };
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
        ? `${crossed.expression} was ${thresholdActual(report, crossed)}`
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
