import type { Sheet } from '../src/capacity/sheet.ts';
import type { CommandContext } from '../src/cli/command.ts';
import { startLiveView } from '../src/cli/live.ts';
import { withSpinner } from '../src/cli/spinner.ts';
import type { Targets } from '../src/config/targets.ts';
import type { ContainerSpec } from '../src/cosmos/containers.ts';
import { type Bench, type BenchResult, startBench } from '../src/pipeline/bench/bench.ts';
import type { BenchServices } from '../src/pipeline/bench/services.ts';
import type { BenchStages } from '../src/pipeline/bench/stages.ts';
import { reportOfBench } from '../src/report/from-bench.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { type CrossedThreshold, crossedSoFar } from '../src/report/watch.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import type { WorkloadInput } from '../src/workload/spec.ts';
import { type BenchFaults, benchFaults } from './bench-faults.ts';
import type { BenchValues } from './bench-options.ts';
import type { BenchPlan } from './bench-plan.ts';
import { benchView } from './bench-view.ts';

/** How often thresholds are looked at while the load lasts, and how long figures may settle before. */
const WATCH_EVERY_MS = 1_000;
const WATCH_AFTER_MS = 3_000;

/** Where and how the loads of one command run. */
export interface BenchSetting {
  readonly context: CommandContext;
  readonly targets: Targets;
  readonly services: BenchServices;
  readonly values: BenchValues;
  /** How the container is made; absent when it must exist. */
  readonly container?: ContainerSpec;
  readonly prices: Sheet;
}

/** One measured load, with its warm-up and its faults, as a report. */
export async function runLoad(setting: BenchSetting, plan: BenchPlan, run: string): Promise<RunReport> {
  const { context, targets, values } = setting;
  const { clock, signal, terminal } = context;
  const { warmup, warmupMs } = plan;
  const faults = benchFaults(plan.faults, targets.adminUrl, clock);
  if (warmupMs > 0 && !signal.aborted)
    await withSpinner(terminal, `warming up for ${formatDurationMs(warmupMs)}`, () =>
      carry(setting, plan, { run: `${run}-warmup`, workload: warmup }),
    );
  const stop = new AbortController();
  let crossed: CrossedThreshold | undefined;
  const watch = (bench: Bench, stages: BenchStages): (() => void) => {
    const view = startLiveView(terminal, {
      ...benchView(bench.snapshot, {
        ...(plan.expectedEvents !== undefined && { expectedEvents: plan.expectedEvents }),
        ...(stages.provisionedRuPerSecond !== undefined && {
          provisionedRuPerSecond: stages.provisionedRuPerSecond,
        }),
      }),
      clock,
    });
    const looked = new AbortController();
    const look = async (): Promise<void> => {
      while (crossed === undefined && !looked.signal.aborted) {
        await clock.sleep(WATCH_EVERY_MS, looked.signal);
        if (bench.snapshot().elapsedMs >= WATCH_AFTER_MS)
          crossed = crossedSoFar(bench.interim(), plan.thresholds);
      }
      if (crossed !== undefined)
        terminal.note(`  stopping: ${crossed.expression} was crossed; what was sent is carried through`);
      stop.abort();
    };
    if (values.abortOnFail === true) look().catch(() => {});
    return () => {
      looked.abort();
      // Of a search each trial leaves a line, and not a block of them.
      view.stop(values.findMax === true ? 'clear' : 'leave');
    };
  };
  const result = await carry(setting, plan, {
    run,
    workload: plan.workload,
    faults,
    signal: AbortSignal.any([signal, stop.signal]),
    watch,
  }).finally(() => faults.end());
  if (!result.interrupted)
    for (const spec of faults.neverBegan()) terminal.warn(`${spec} never began: the run was over before`);
  const report = reportOfBench(result, {
    title: plan.title,
    toolVersion: context.version,
    env: context.env,
    config: {
      ...(plan.scenario !== undefined && { scenario: plan.scenario }),
      ...plan.workload,
      warmupMs,
      ...(plan.faults.length > 0 && { faults: plan.faults }),
      target: targets.local ? 'local' : 'named',
      ...setting.container,
      ...(!plan.withCache && { cache: false }),
      ...(values.workers > 1 && { workers: values.workers }),
      ...(values.maxRu !== undefined && { maxRu: values.maxRu }),
    },
    thresholds: plan.thresholds,
    prices: setting.prices,
  });
  return crossed === undefined ? report : stoppedBy(crossed, report);
}

/** What crossed a threshold stays crossed, although the rest of the run may have brought the figure back. */
function stoppedBy(crossed: CrossedThreshold, report: RunReport): RunReport {
  return {
    ...report,
    valid: false,
    doubts: [`the load was stopped when ${crossed.expression} was crossed`],
    thresholds: report.thresholds.map((threshold) =>
      threshold.expression === crossed.expression ? crossed : threshold,
    ),
  };
}

interface Carried {
  readonly run: string;
  readonly workload: WorkloadInput;
  readonly faults?: BenchFaults;
  readonly signal?: AbortSignal;
  /** Called when the stages are open; what it returns is called when they have ended. */
  readonly watch?: (bench: Bench, stages: BenchStages) => () => void;
}

/** One load through all stages, from opening them to the verdict. */
async function carry(
  { container, context, services, values }: BenchSetting,
  { lateAfterMs, quietMs }: BenchPlan,
  { run, workload, faults, signal = context.signal, watch }: Carried,
): Promise<BenchResult> {
  const { clock, terminal } = context;
  const { openBenchStages } = await import('../src/pipeline/bench/services.ts');
  const stages = await openBenchStages(services, {
    run,
    clock,
    workload,
    ...(container && { container }),
    producerWorkers: values.workers,
    ...(values.maxRu !== undefined && { ingestLimits: { ruBudget: values.maxRu } }),
    onProblem: (message) => terminal.warn(message),
  });
  try {
    const bench = startBench(stages, {
      run,
      clock,
      signal,
      bodyFields: { key: 'deviceId', sequence: 'deviceSequenceNumber' },
      ...(lateAfterMs !== undefined && { lateAfterMs }),
      ...(quietMs !== undefined && { quietMs }),
      ...(faults && { onLoad: faults.begin, onSent: faults.sent, onDrained: faults.end }),
    });
    const unwatch = watch?.(bench, stages);
    return await bench.result.finally(() => unwatch?.());
  } finally {
    await stages.close();
  }
}
