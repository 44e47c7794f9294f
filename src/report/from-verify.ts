import type { Verdict } from '../pipeline/verify/verify.ts';
import { environmentOf } from './from-bench.ts';
import { RUN_REPORT_VERSION, type RunReport, type Threshold } from './run-report.ts';
import { evaluateThresholds } from './thresholds.ts';

export interface VerifyReportContext {
  readonly title: string;
  /** Runs that were verified, joined by commas. */
  readonly run: string;
  readonly toolVersion: string;
  readonly startedMicros: number;
  readonly durationMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly thresholds: readonly Threshold[];
}

/** The report of a verification: a verdict without stages. */
export function reportOfVerify(verdict: Verdict, context: VerifyReportContext): RunReport {
  const report: RunReport = {
    schemaVersion: RUN_REPORT_VERSION,
    kind: 'verify',
    toolVersion: context.toolVersion,
    run: context.run,
    title: context.title,
    startedAt: new Date(context.startedMicros / 1000).toISOString(),
    durationMs: context.durationMs,
    valid: true,
    doubts: [],
    environment: environmentOf(context.env),
    config: context.config,
    stages: [],
    verdict,
    thresholds: [],
  };
  return { ...report, thresholds: evaluateThresholds(report, context.thresholds) };
}
