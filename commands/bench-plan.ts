import type { ContainerSpec } from '../src/cosmos/containers.ts';
import { formatCount } from '../src/report/format.ts';
import type { Threshold } from '../src/report/run-report.ts';
import { parseThreshold } from '../src/report/thresholds.ts';
import { formatDurationMs, parseRatePerSecond } from '../src/util/duration.ts';
import { usageError } from '../src/util/errors.ts';
import { checkThroughput } from '../src/util/throughput.ts';
import type { Scenario } from '../src/workload/scenario.ts';
import type { WorkloadInput } from '../src/workload/spec.ts';
import { type BenchValues, DEFAULT_EVENTS, DEFAULT_RATE, LOCAL_THROUGHPUT } from './bench-options.ts';
import { checkStarts } from './bench-scenario.ts';

const WARMUP_MS = 3_000;
/** Where --find-max starts unless --rate says so. */
export const SEARCH_FROM = DEFAULT_RATE / 2;

/** What one bench does: flags over the scenario over the defaults. */
export interface BenchPlan {
  /** For a person: `100,000 events at 2,000 events/s`. */
  readonly title: string;
  readonly scenario?: string;
  readonly workload: WorkloadInput;
  /** The same events at one rate, and how long that is carried before measuring. */
  readonly warmup: WorkloadInput & { readonly duration: string };
  readonly warmupMs: number;
  /** `undefined` for a load that goes on until it is stopped. */
  readonly expectedEvents: number | undefined;
  readonly withCache: boolean;
  readonly faults: readonly string[];
  readonly thresholds: readonly Threshold[];
  readonly lateAfterMs?: number;
  readonly quietMs?: number;
}

/** Joins flags and scenario. Throws E_USAGE for a load that cannot be. */
export async function planOf(values: BenchValues, scenario: Scenario | undefined): Promise<BenchPlan> {
  const workload = workloadOf(values, scenario);
  const [{ parseWorkload }, { estimateWorkload }] = await Promise.all([
    import('../src/workload/spec.ts'),
    import('../src/workload/estimate.ts'),
  ]);
  const { durationMs, events, peakPerSecond } = valid('', () => estimateWorkload(parseWorkload(workload)));
  if (events === 0) throw usageError('the load sends nothing', 'give --rate or --stages a rate above 0/s');
  const endMs = values.findMax === true ? values.trial : durationMs;
  valid('--fault: ', () => checkStarts(values.fault, endMs));
  const { throughput } = values;
  if (throughput !== undefined) valid('--throughput: ', () => checkThroughput(throughput));
  const warmupMs = values.warmup ?? scenario?.warmupMs ?? WARMUP_MS;
  const { events: _events, stages: _stages, shape: _shape, ...steady } = workload;
  return {
    title: values.findMax === true ? searchTitle(values) : titleOf(workload, scenario, events),
    ...(scenario && { scenario: scenario.name }),
    workload,
    warmup: {
      ...steady,
      rate: Math.min(peakPerSecond ?? DEFAULT_RATE, DEFAULT_RATE),
      duration: `${warmupMs}ms`,
    },
    warmupMs,
    expectedEvents: events,
    withCache: values.cache ?? scenario?.cache ?? true,
    faults: [...(scenario?.faults ?? []), ...values.fault],
    thresholds: [...(scenario?.thresholds ?? []).map(parseThreshold), ...values.threshold],
    ...(scenario?.lateAfterMs !== undefined && { lateAfterMs: scenario.lateAfterMs }),
    ...(scenario?.quietMs !== undefined && { quietMs: scenario.quietMs }),
  };
}

/** What is wrong in a flag is the user's to mend. */
function valid<T>(place: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof RangeError) throw usageError(`${place}${error.message}`);
    throw error;
  }
}

/** The same load at one rate for a while, for a trial of --find-max. */
export function atRate(plan: BenchPlan, ratePerSecond: number, durationMs: number): BenchPlan {
  const { events: _events, stages: _stages, shape: _shape, ...steady } = plan.workload;
  const expectedEvents = Math.round((ratePerSecond * durationMs) / 1000);
  return {
    ...plan,
    title: `${formatCount(expectedEvents)} events at ${formatCount(ratePerSecond)} events/s`,
    workload: { ...steady, rate: ratePerSecond, duration: `${durationMs}ms` },
    warmup: { ...plan.warmup, rate: ratePerSecond },
    expectedEvents,
  };
}

function workloadOf(values: BenchValues, scenario: Scenario | undefined): WorkloadInput {
  const { rate, stages, events, duration, keys, keyDistribution, size, seed } = values;
  const base = scenario?.workload ?? {};
  // A schedule on the command line replaces the scenario's, rather than being mixed with it.
  const { rate: _rate, stages: _stages, shape: _shape, ...rest } = base;
  const schedule =
    stages !== undefined
      ? { ...rest, stages, ...(rate !== undefined && { rate }) }
      : rate !== undefined || scenario === undefined
        ? { ...rest, rate: rate ?? DEFAULT_RATE }
        : base;
  const isOpenEnded = scenario === undefined && duration === undefined && stages === undefined;
  const count = events ?? (isOpenEnded ? DEFAULT_EVENTS : undefined);
  return {
    ...schedule,
    ...(count !== undefined && { events: count }),
    ...(duration !== undefined && { duration: `${duration}ms` }),
    ...(size !== undefined && { size }),
    keys: {
      ...base.keys,
      ...(keys !== undefined && { count: keys }),
      ...(keyDistribution !== undefined && { distribution: keyDistribution }),
    },
    ...(seed !== undefined && { seed }),
  };
}

/**
 * How the container is made; `undefined` when it must exist. One is only made where it costs nothing, or where somebody said
 * how large it shall be.
 */
export function containerOf(
  values: BenchValues,
  scenario: Scenario | undefined,
  local: boolean,
): ContainerSpec | undefined {
  const throughput = values.throughput ?? (local ? (scenario?.throughput ?? LOCAL_THROUGHPUT) : undefined);
  if (throughput === undefined) return undefined;
  return {
    partitionKeyPath: '/deviceId',
    throughput,
    indexing: values.indexing ?? scenario?.indexing ?? 'all',
  };
}

function searchTitle({ maxTrials, rate, trial }: BenchValues): string {
  const start = formatCount(rate ?? SEARCH_FROM);
  return `up to ${formatCount(maxTrials)} runs of ${formatDurationMs(trial)}, the first at ${start} events/s`;
}

function titleOf(
  workload: WorkloadInput,
  scenario: Scenario | undefined,
  events: number | undefined,
): string {
  const { rate, stages, shape } = workload;
  const schedule =
    scenario !== undefined && rate === undefined
      ? `scenario ${scenario.name}`
      : stages !== undefined
        ? `stages ${stages}`
        : shape !== undefined
          ? `shape ${shape}`
          : rate === undefined
            ? 'full speed'
            : `${formatCount(typeof rate === 'number' ? rate : parseRatePerSecond(rate))} events/s`;
  if (events === undefined) return `${schedule}, until it is stopped`;
  const isRate = rate !== undefined && stages === undefined && shape === undefined;
  return isRate
    ? `${formatCount(events)} events at ${schedule}`
    : `${schedule}, ${formatCount(events)} events`;
}
