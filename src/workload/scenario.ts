import { z } from 'zod';
import { parseDurationMs, parsePositiveDurationMs, parseRatePerSecond } from '../util/duration.ts';
import { PipeError } from '../util/errors.ts';
import { schemaProblem } from './schema-problem.ts';
import { parseWorkload, type WorkloadInput } from './spec.ts';

/** What a scenario names of other parts. Each throws an Error that says what is wrong. */
export interface ScenarioChecks {
  /** `startMs`: from the start of the phase or of the load. */
  fault(spec: string): { readonly startMs: number };
  threshold(expression: string): unknown;
}

const text = (check: (text: string) => unknown) =>
  z.string().superRefine((value, context) => {
    try {
      check(value);
    } catch (error) {
      const hint = error instanceof PipeError && error.hint ? ` (${error.hint})` : '';
      context.addIssue({ code: 'custom', message: `${(error as Error).message}${hint}` });
    }
  });
const duration = text(parsePositiveDurationMs);
/** 0 for a pause. */
const rate = z.union([z.number().min(0), text(parseRatePerSecond)]);

const phaseSchema = (checks: ScenarioChecks) =>
  z.strictObject({
    duration,
    /** Arrivals per second in this phase, or at its start when `to` says where it goes in a straight line. */
    rate,
    to: rate.optional(),
    /** Specifications as of `local --fault`; a fault without a time of its own lasts as long as the phase. */
    faults: z.array(text(checks.fault)).default([]),
  });

/** One entry of section `scenarios` in pipeline.yaml. Everything has a default but the load. */
const scenarioSchema = (checks: ScenarioChecks) =>
  z.strictObject({
    description: z.string().default(''),
    phases: z.array(phaseSchema(checks)).default([]),
    /** Section `workload`: keys, templates, sizes, misbehaviour; without phases its own rate, stages or shape. */
    workload: z.record(z.string(), z.unknown()).default({}),
    /** RU/s and indexing policy of the container where it is made for the run. */
    throughput: z.number().int().positive().optional(),
    indexing: z.enum(['all', 'none', 'keyOnly']).optional(),
    /** False to end at the change feed. */
    cache: z.boolean().optional(),
    /** 0s for none. */
    warmup: text(parseDurationMs).optional(),
    /** With times from the start of the load: `cosmos:throttle=5%@10s+5s`. */
    faults: z.array(text(checks.fault)).default([]),
    thresholds: z.array(text(checks.threshold)).default([]),
    verify: z
      .strictObject({
        /** An event that takes longer from its intended send time is late. */
        lateAfter: duration.optional(),
        /** Without any progress for this long, what is missing counts as lost. */
        quiet: duration.optional(),
      })
      .prefault({}),
  });

/** Every entry that a scenario may have, for a person. */
export const SCENARIO_ENTRIES =
  'description, phases (duration, rate, to, faults), workload, throughput, indexing, cache, warmup, faults, thresholds, verify (lateAfter, quiet)';

type Schema = ReturnType<typeof scenarioSchema>;
type Phase = z.output<Schema>['phases'][number];

/** As written in the file. */
export type ScenarioInput = z.input<Schema>;

/** A load with what happens meanwhile and what is promised, ready to run. */
export interface Scenario {
  readonly name: string;
  readonly description: string;
  readonly workload: WorkloadInput;
  readonly throughput?: number;
  readonly indexing?: 'all' | 'none' | 'keyOnly';
  readonly cache?: boolean;
  readonly warmupMs?: number;
  /** Every fault with its start, from the start of the load. */
  readonly faults: readonly string[];
  readonly thresholds: readonly string[];
  readonly lateAfterMs?: number;
  readonly quietMs?: number;
}

/** Checks a scenario and joins its phases. Throws a RangeError that names the first wrong entry. */
export function parseScenario(name: string, input: unknown, checks: ScenarioChecks): Scenario {
  const parsed = scenarioSchema(checks).safeParse(input ?? {});
  if (!parsed.success) {
    throw new RangeError(schemaProblem(parsed.error, input, 'scenarios', name));
  }
  const { description, phases, throughput, indexing, cache, warmup, thresholds, verify } = parsed.data;
  const place = `scenarios.${name}`;
  const faults = [...parsed.data.faults];
  let startMs = 0;
  for (const [index, phase] of phases.entries()) {
    const phaseMs = parseDurationMs(phase.duration);
    for (const fault of phase.faults) {
      if (checks.fault(fault).startMs >= phaseMs)
        throw new RangeError(
          `${place}.phases.${index}.faults: ${fault} begins after its phase, which lasts ${phase.duration}`,
        );
      faults.push(timed(fault, startMs, phaseMs));
    }
    startMs += phaseMs;
  }
  return {
    name,
    description,
    workload: workloadOf(parsed.data, place),
    faults,
    thresholds,
    ...(cache !== undefined && { cache }),
    ...(throughput !== undefined && { throughput }),
    ...(indexing !== undefined && { indexing }),
    ...(warmup !== undefined && { warmupMs: parseDurationMs(warmup) }),
    ...(verify.lateAfter !== undefined && { lateAfterMs: parseDurationMs(verify.lateAfter) }),
    ...(verify.quiet !== undefined && { quietMs: parseDurationMs(verify.quiet) }),
  };
}

/** The workload with its schedule: that of the phases, or its own. Throws a RangeError for none, for both, for a bad one. */
function workloadOf({ phases, workload }: z.output<Schema>, place: string): WorkloadInput {
  const { duration, events, keys, rate, shape, stages } = parseWorkload(workload, place, 'workload');
  const own = Object.entries({ rate, stages, shape, 'keys.intervals': keys.intervals })
    .filter(([, value]) => value !== undefined)
    .map(([entry]) => entry);
  if (phases.length > 0 && own.length > 0)
    throw new RangeError(
      `${place}: phases and workload.${own[0]} both say when events are due, leave one of them out`,
    );
  if (phases.length === 0 && own.length === 0 && duration === undefined && events === undefined)
    throw new RangeError(
      `${place}: says of no event when it is due, expected phases, for example [{ duration: 30s, rate: 500/s }]`,
    );
  return { ...workload, ...(phases.length > 0 && { stages: stagesOf(phases) }) };
}

function stagesOf(phases: readonly Phase[]): string {
  const stages: string[] = [];
  let before: string | undefined;
  for (const { duration, rate, to = rate } of phases) {
    // A stage of no duration jumps.
    if (rateText(rate) !== before) stages.push(`0s:${rateText(rate)}`);
    before = rateText(to);
    stages.push(`${duration}:${before}`);
  }
  return stages.join(',');
}

function rateText(rate: number | string): string {
  return typeof rate === 'number' ? `${rate}/s` : rate;
}

/** `redis:reset@6s` in a phase that starts at 10s is `redis:reset@16s`; without any time it lasts the whole phase. */
function timed(fault: string, phaseStartMs: number, phaseMs: number): string {
  const [head = '', rest] = fault.split('@', 2);
  if (rest === undefined) {
    const [what = '', lasting] = head.split('+', 2);
    return `${what}@${phaseStartMs / 1000}s+${lasting ?? `${phaseMs / 1000}s`}`;
  }
  const [start = '', lasting] = rest.split('+', 2);
  return `${head}@${(phaseStartMs + parseDurationMs(start)) / 1000}s${lasting === undefined ? '' : `+${lasting}`}`;
}
