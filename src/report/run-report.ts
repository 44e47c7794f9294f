import type { Cost } from '../capacity/cost.ts';
import type { HistogramSummary } from '../metrics/histogram.ts';
import type { ProcessSummary } from '../metrics/process-monitor.ts';
import type { RuSummary } from '../metrics/ru-recorder.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { FindMaxResult } from '../pipeline/bench/find-max.ts';
import type { Verdict } from '../pipeline/verify/verify.ts';

export const RUN_REPORT_VERSION = 1;

export interface RunEnvironment {
  readonly node: string;
  readonly platform: string;
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly ci: boolean;
  /** Commit under test where the CI system names it. */
  readonly commit?: string;
}

export interface HottestKey {
  readonly key: string;
  readonly events: number;
}

/** What the generator was asked for and what it did. */
export interface LoadSummary {
  readonly requestedEvents?: number;
  readonly requestedPerSecond?: number;
  readonly achievedPerSecond: number;
  readonly sent: number;
  /** Arrivals that the schedule asked for and the generator did not send. */
  readonly dropped: number;
  /** Arrivals sent noticeably after their intended time. */
  readonly late: number;
  /** Scheduling error: how late the generator took up arrivals. */
  readonly scheduling?: HistogramSummary;
  /** The partition key that most events had; absent where several had as many. */
  readonly hottestKey?: HottestKey;
}

/** The charge of a run against what was provisioned; `perSecond` is the mean from the start of the load to its end. */
export interface RuReport extends RuSummary {
  readonly provisionedPerSecond?: number;
  /** Writes (creates, upserts, replaces, patches, deletes) only. */
  readonly perWrite?: number;
}

export type Operator = '<' | '<=' | '>' | '>=' | '==' | '!=';

/** `e2e_latency:p(99)<250ms`, taken apart. */
export interface Threshold {
  readonly expression: string;
  readonly metric: string;
  readonly aggregation: string;
  readonly operator: Operator;
  /** In the unit of the metric: milliseconds, events, events/s, RU, bytes; rates as a share of one. */
  readonly limit: number;
}

export interface ThresholdResult extends Threshold {
  /** `undefined` in memory, absent in JSON: the run has no such metric, which fails the threshold. */
  readonly actual?: number;
  readonly ok: boolean;
}

/** The stage that limits the pipeline, and the figures that say so. */
export interface Bottleneck {
  readonly stage: string;
  /**
   * `saturated`: it could not keep up; `throttled`: the service or its own `--max-ru` held it back; `latency`: everything kept
   * up, and this stage adds most of the delay.
   */
  readonly reason: 'saturated' | 'throttled' | 'latency';
  /** One sentence for a person. */
  readonly sentence: string;
}

/** A figure at both ends of a load: medians of its first and of its last quarter. */
export interface Drifted {
  readonly early: number;
  readonly late: number;
  /** Of `early`: 0.1 is 10 % more. */
  readonly change: number;
}

export type DriftKind = 'memory' | 'latency' | 'backlog';

/** What a soak is run for: whether anything grows under a load that does not. */
export interface Drift {
  /** For a person. */
  readonly sentence: string;
  readonly growing: readonly DriftKind[];
  /** Resident memory of the measuring process, bytes. */
  readonly memory?: Drifted & {
    /** Bytes; absent for loads of less than ten minutes, which say nothing about an hour. */
    readonly perHour?: number;
  };
  /** p99 of a second at the end of the last stage, milliseconds. */
  readonly latency?: Drifted;
  /** Events due and not through. */
  readonly backlog?: Drifted;
}

/** One figure over several runs of the same load. */
export interface RepeatedMetric {
  readonly metric: string;
  readonly aggregation: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * One versioned document for every measured run; a table, Markdown, JUnit, HTML or a comparison is a rendering of it.
 * The JSON Schema is run-report.v1.schema.json in the package; docs/report-schema.md explains the members.
 */
export interface RunReport {
  readonly schemaVersion: typeof RUN_REPORT_VERSION;
  /** `simulate`: predicted by a model, not measured. */
  readonly kind: 'bench' | 'verify' | 'simulate';
  readonly toolVersion: string;
  /** Run id: the same as in the ledger and in the stored envelopes. */
  readonly run: string;
  readonly title: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** False when the figures cannot be trusted, whatever they say; `doubts` tells why. */
  readonly valid: boolean;
  readonly doubts: readonly string[];
  readonly environment: RunEnvironment;
  /** Effective settings, secrets left out. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly load?: LoadSummary;
  /** In pipeline order. */
  readonly stages: readonly StageSummary[];
  /** From the intended send time of an event to the end of the last stage. */
  readonly endToEnd?: HistogramSummary;
  readonly ru?: RuReport;
  /** By list prices, of what the run used or would have used in Azure. */
  readonly cost?: Cost;
  readonly verdict?: Verdict;
  readonly thresholds: readonly ThresholdResult[];
  readonly bottleneck?: Bottleneck;
  readonly process?: ProcessSummary;
  /** Whether anything grew under a load that did not; absent for short runs and loads that change. */
  readonly drift?: Drift;
  /** Of `bench --repeat`: this report is of the median run. */
  readonly repeats?: { readonly runs: readonly string[]; readonly metrics: readonly RepeatedMetric[] };
  /** Of `bench --find-max`: this report is of a run at the rate found. */
  readonly search?: FindMaxResult;
}
