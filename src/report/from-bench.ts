import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Sheet } from '../capacity/sheet.ts';
import type { BenchResult } from '../pipeline/bench/bench.ts';
import { findBottleneck } from './bottleneck.ts';
import { costOfRun } from './cost-of-run.ts';
import { driftOf } from './drift.ts';
import { formatCount } from './format.ts';
import { chargePerSecond } from './ranges.ts';
import {
  RUN_REPORT_VERSION,
  type RunEnvironment,
  type RunReport,
  type RuReport,
  type Threshold,
} from './run-report.ts';
import { evaluateThresholds } from './thresholds.ts';

/** A starved event loop delays every timestamp that this process takes. */
const MAX_LOOP_DELAY_P99_MS = 200;
const WRITES = ['create', 'upsert', 'replace', 'patch', 'delete'] as const;

export interface BenchReportContext {
  readonly title: string;
  readonly toolVersion: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly thresholds: readonly Threshold[];
  readonly prices: Sheet;
}

/** The report of a bench, thresholds evaluated and the limiting stage named. */
export function reportOfBench(result: BenchResult, context: BenchReportContext): RunReport {
  const { produce } = result;
  const ru = ruReport(result);
  const bottleneck = findBottleneck(result.stages, ru, context.config);
  const cost = costOfRun({ durationMs: result.durationMs, stages: result.stages, ru }, context.prices);
  const drift = driftOf(result);
  const doubts = doubtsAbout(result);
  const report: RunReport = {
    schemaVersion: RUN_REPORT_VERSION,
    kind: 'bench',
    toolVersion: context.toolVersion,
    run: result.run,
    title: context.title,
    startedAt: new Date(result.startedMicros / 1000).toISOString(),
    durationMs: result.durationMs,
    valid: doubts.length === 0,
    doubts,
    environment: environmentOf(context.env),
    config: context.config,
    load: {
      requestedEvents: produce.offered,
      requestedPerSecond: produce.requestedPerSecond,
      // Over a second at least, as the rates of the stages: one event in a millisecond is no thousand a second.
      achievedPerSecond: Math.min(produce.achievedPerSecond, produce.sent),
      sent: produce.sent,
      dropped: produce.dropped,
      late: produce.late,
      scheduling: produce.scheduling,
      ...(result.hottestKey && { hottestKey: result.hottestKey }),
    },
    stages: result.stages,
    endToEnd: result.endToEnd,
    ru,
    ...(cost && { cost }),
    verdict: result.verdict,
    thresholds: [],
    ...(bottleneck && { bottleneck }),
    process: result.process,
    ...(drift && { drift }),
  };
  return { ...report, thresholds: evaluateThresholds(report, context.thresholds) };
}

/** Machine and process that measured; `env` names CI and commit. */
export function environmentOf(env: Readonly<Record<string, string | undefined>>): RunEnvironment {
  const commit = env['GITHUB_SHA'] ?? env['BUILD_SOURCEVERSION'] ?? env['CI_COMMIT_SHA'];
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cpuCount: availableParallelism(),
    memoryBytes: totalmem(),
    ci: Boolean(env['CI']),
    ...(commit !== undefined && { commit }),
  };
}

function ruReport({ durationMs, provisionedRuPerSecond, ru }: BenchResult): RuReport {
  let writes = 0;
  let charge = 0;
  for (const kind of WRITES) {
    writes += ru.operations[kind]?.count ?? 0;
    charge += ru.operations[kind]?.requestCharge ?? 0;
  }
  return {
    ...ru,
    perSecond: chargePerSecond(ru, durationMs),
    ...(provisionedRuPerSecond !== undefined && { provisionedPerSecond: provisionedRuPerSecond }),
    ...(writes > 0 && { perWrite: Math.round((charge / writes) * 100) / 100 }),
  };
}

function doubtsAbout({ produce, process, interrupted }: BenchResult): string[] {
  const doubts = [...produce.doubts];
  if (produce.sent === 0 && produce.offered > 0) doubts.unshift(nothingSent(produce));
  if (!produce.trustworthy && doubts.length === 0) doubts.push('the generator fell behind its schedule');
  const delayMs = process.eventLoopDelayP99Ms;
  if (delayMs > MAX_LOOP_DELAY_P99_MS)
    doubts.push(
      `the event loop of the measuring process was delayed by ${Math.round(delayMs)} ms (p99): lower --rate, or let the machine do less besides`,
    );
  if (interrupted) doubts.push('the run was interrupted before its end');
  return doubts;
}

/** `none of 5 events was sent: 5 oversized`. */
function nothingSent({ failed, offered }: BenchResult['produce']): string {
  const causes = Object.entries(failed).map(([kind, count]) => `${formatCount(count)} ${kind}`);
  return `none of ${formatCount(offered)} events was sent${causes.length > 0 ? `: ${causes.join(', ')}` : ''}`;
}
