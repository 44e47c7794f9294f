import { z } from 'zod';
import { parseDurationMs, parseRatePerSecond } from '../util/duration.ts';
import { schemaProblem } from './schema-problem.ts';
import type { WorkloadInput } from './spec.ts';

const text = (check: (text: string) => unknown) =>
  z.string().superRefine((value, context) => {
    try {
      check(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
const duration = text(parseDurationMs);
const rate = text(parseRatePerSecond);

const phaseSchema = z.strictObject({
  duration,
  /** Arrivals per second in this phase, or at its start when `to` says where it goes in a straight line. */
  rate,
  to: rate.optional(),
  /** Specifications as of `local --fault`; a fault without a time of its own lasts as long as the phase. */
  faults: z.array(z.string()).default([]),
});

/** One entry of section `scenarios` in pipeline.yaml. Everything has a default. */
const scenarioSchema = z.strictObject({
  description: z.string().default(''),
  phases: z.array(phaseSchema).default([]),
  /** Section `workload`: keys, templates, sizes, misbehaviour; without phases its own rate, stages or shape. */
  workload: z.record(z.string(), z.unknown()).default({}),
  /** RU/s and indexing policy of the container where it is made for the run. */
  throughput: z.number().int().positive().optional(),
  indexing: z.enum(['all', 'none', 'keyOnly']).optional(),
  /** False to end at the change feed. */
  cache: z.boolean().default(true),
  warmup: duration.optional(),
  /** With times from the start of the load: `cosmos:throttle=5%@10s+5s`. */
  faults: z.array(z.string()).default([]),
  thresholds: z.array(z.string()).default([]),
  verify: z
    .strictObject({
      /** An event that takes longer from its intended send time is late. */
      lateAfter: duration.optional(),
      /** Without any progress for this long, what is missing counts as lost. */
      quiet: duration.optional(),
    })
    .prefault({}),
});

/** As written in the file. */
export type ScenarioInput = z.input<typeof scenarioSchema>;

/** A load with what happens meanwhile and what is promised, ready to run. */
export interface Scenario {
  readonly name: string;
  readonly description: string;
  readonly workload: WorkloadInput;
  readonly throughput?: number;
  readonly indexing?: 'all' | 'none' | 'keyOnly';
  readonly cache: boolean;
  readonly warmupMs?: number;
  /** Every fault with its start, from the start of the load. */
  readonly faults: readonly string[];
  readonly thresholds: readonly string[];
  readonly lateAfterMs?: number;
  readonly quietMs?: number;
}

/** Checks a scenario and joins its phases. Throws a RangeError that names the first wrong entry. */
export function parseScenario(name: string, input: unknown): Scenario {
  const parsed = scenarioSchema.safeParse(input ?? {});
  if (!parsed.success) {
    throw new RangeError(schemaProblem(parsed.error, input, 'scenarios', name));
  }
  const { description, phases, workload, throughput, indexing, cache, warmup, thresholds, verify } =
    parsed.data;
  const faults = [...parsed.data.faults];
  const stages: string[] = [];
  let startMs = 0;
  let rateBefore: string | undefined;
  for (const phase of phases) {
    // A step is a ramp of one millisecond.
    if (phase.rate !== rateBefore) stages.push(`1ms:${phase.rate}`);
    rateBefore = phase.to ?? phase.rate;
    stages.push(`${phase.duration}:${rateBefore}`);
    const durationMs = parseDurationMs(phase.duration);
    for (const fault of phase.faults) faults.push(timed(fault, startMs, durationMs));
    startMs += durationMs;
  }
  return {
    name,
    description,
    workload: { ...workload, ...(stages.length > 0 && { stages: stages.join(',') }) },
    cache,
    faults,
    thresholds,
    ...(throughput !== undefined && { throughput }),
    ...(indexing !== undefined && { indexing }),
    ...(warmup !== undefined && { warmupMs: parseDurationMs(warmup) }),
    ...(verify.lateAfter !== undefined && { lateAfterMs: parseDurationMs(verify.lateAfter) }),
    ...(verify.quiet !== undefined && { quietMs: parseDurationMs(verify.quiet) }),
  };
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
