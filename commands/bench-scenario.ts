import type { CommandContext } from '../src/cli/command.ts';
import { isRecord } from '../src/config/pipeline-file.ts';
import { parseFault } from '../src/local/faults/grammar.ts';
import { parseThreshold } from '../src/report/thresholds.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { PipeError, usageError } from '../src/util/errors.ts';
import { checkThroughput } from '../src/util/throughput.ts';
import type { Scenario } from '../src/workload/scenario.ts';
import { SCENARIOS } from '../src/workload/scenarios.ts';
import type { BenchValues } from './bench-options.ts';

/** Loads that are no run of the pipeline; `bench` hands them on. */
const OTHER_LOADS: readonly string[] = ['cache', 'events'];
const EXAMPLE = 'phases: [{ duration: 30s, rate: 500/s, faults: ["redis:reset@10s"] }]';

/**
 * The scenario that --scenario names, from the pipeline file or ready-made; `undefined` for the loads of another kind. Throws
 * E_USAGE for an unknown one, and E_CONFIG with file and place for one that cannot be.
 */
export async function scenarioOf(
  name: string | undefined,
  { configPath, section }: CommandContext,
): Promise<Scenario | undefined> {
  if (name === undefined) return undefined;
  const inFile = (message: string, hint: string): PipeError =>
    new PipeError('E_CONFIG', `${configPath}: ${message}`, { hint });
  const own = section('scenarios') ?? {};
  if (!isRecord(own))
    throw inFile(
      `scenarios: expected a mapping, got ${JSON.stringify(own)}`,
      `for example scenarios: { mine: { ${EXAMPLE} } }`,
    );
  if (OTHER_LOADS.includes(name)) {
    if (Object.hasOwn(own, name))
      throw inFile(`scenarios.${name}: a ready-made load has this name`, 'give it another name');
    return undefined;
  }
  const known: Record<string, unknown> = { ...SCENARIOS, ...own };
  if (!Object.hasOwn(known, name))
    throw usageError(
      `unknown scenario "${name}" (known: ${[...Object.keys(known), ...OTHER_LOADS].join(', ')})`,
      'add it under scenarios: in pipeline.yaml',
    );
  const { parseScenario, SCENARIO_ENTRIES } = await import('../src/workload/scenario.ts');
  try {
    const scenario = parseScenario(name, known[name], { fault: parseFault, threshold: parseThreshold });
    await checkScenario(scenario);
    return scenario;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const isUnknown = error.message.includes('unknown entr');
    throw inFile(error.message, isUnknown ? `a scenario has ${SCENARIO_ENTRIES}` : `for example ${EXAMPLE}`);
  }
}

/**
 * The values without those that the file has for every load where the scenario has its own; `fromFile` tells which are the
 * file's.
 */
export function besideScenario(
  values: BenchValues,
  { cache, indexing, throughput, warmupMs, workload }: Scenario,
  fromFile: (option: string) => boolean,
): BenchValues {
  const own: Partial<Record<keyof BenchValues, unknown>> = {
    rate: workload,
    stages: workload,
    events: workload,
    duration: workload,
    keys: workload.keys?.count,
    keyDistribution: workload.keys?.distribution,
    size: workload.size,
    seed: workload.seed,
    warmup: warmupMs,
    throughput,
    indexing,
    cache,
  };
  const isKept = ([key]: readonly [string, unknown]): boolean =>
    own[key as keyof BenchValues] === undefined || !fromFile(key);
  return Object.fromEntries(Object.entries(values).filter(isKept)) as BenchValues;
}

/** Throws a RangeError for what only shows when everything is put together. */
async function checkScenario({ faults, name, throughput, workload }: Scenario): Promise<void> {
  const [{ parseWorkload }, { estimateWorkload }, { openStream }, { previewEvents }] = await Promise.all([
    import('../src/workload/spec.ts'),
    import('../src/workload/estimate.ts'),
    import('../src/workload/stream.ts'),
    import('../src/workload/preview.ts'),
  ]);
  const parsed = parseWorkload(workload);
  const { durationMs, events } = estimateWorkload(parsed);
  await at(`scenarios.${name}`, () => {
    if (events === 0) throw new RangeError('sends nothing, expected a phase with a rate above 0/s');
  });
  await at(`scenarios.${name}.throughput`, () => {
    if (throughput !== undefined) checkThroughput(throughput);
  });
  await at(`scenarios.${name}.faults`, () => checkStarts(faults, durationMs));
  // Whether templates and variables go together.
  await at(`scenarios.${name}.workload`, async () => {
    await previewEvents(await openStream(parsed, { startEpochMs: 0 }), 1);
  });
}

async function at(place: string, check: () => void | Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`${place}: ${error.message}`) : error;
  }
}

/** Throws a RangeError for a fault that begins when the load is over, and ends with it. */
export function checkStarts(faults: readonly string[], endMs: number | undefined): void {
  for (const spec of faults) {
    const { durationMs, startMs } = parseFault(spec);
    if (endMs !== undefined && startMs >= endMs && !Number.isFinite(durationMs))
      throw new RangeError(
        `${spec} begins after the load, which lasts ${formatDurationMs(endMs)} (to disturb what is left then: ${spec}+10s)`,
      );
  }
}
