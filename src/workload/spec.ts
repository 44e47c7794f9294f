import { z } from 'zod';
import { parseDurationMs, parsePositiveDurationMs, parsePositiveRatePerSecond } from '../util/duration.ts';
import { parseShare } from '../util/share.ts';
import { parseKeyDistribution } from './keys.ts';
import { MAX_KEYS, MAX_SEED } from './limits.ts';
import { schemaProblem } from './schema-problem.ts';
import { parseShape, parseStages } from './shape.ts';
import { parseSize } from './size.ts';
import { variableSchema } from './variables.ts';

/** A text of some grammar, checked when the file is read and turned into its value. */
function notation<T>(parse: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

/** Parses the time between two events of a key. Throws a RangeError for none. */
function parseInterval(text: string): number {
  const intervalMs = parseDurationMs(text);
  if (intervalMs > 0) return intervalMs;
  throw new RangeError(`expected more than 0s between two events of a key, got "${text}"`);
}

const duration = notation(parseDurationMs);

/** A load of 0/s would look for its first event for ever. */
const rate = z.union([z.number().positive(), notation(parsePositiveRatePerSecond)]);
const share = z.union([z.number().min(0).max(1), notation(parseShare)]);

const eventType = z.strictObject({
  weight: z.number().positive().default(1),
  /** A JSON value with variables, or text with `$.Name`; the telemetry event of streaming-at-scale when absent. */
  template: z.json().optional(),
  size: notation(parseSize).optional(),
});

/** Section `workload` of pipeline.yaml: what to send and when. Everything has a default. */
const workloadSchema = z.strictObject({
  /** Events per second; without it and without any other schedule, events are sent as fast as they are accepted. */
  rate: rate.optional(),
  stages: notation(parseStages).optional(),
  shape: notation(parseShape).optional(),
  /** Distance of arrivals: `even`, or random as of a Poisson process. */
  spacing: z.enum(['even', 'poisson']).default('even'),
  duration: notation(parsePositiveDurationMs).optional(),
  events: z.number().int().min(0).optional(),
  keys: z
    .strictObject({
      count: z.number().int().min(1).max(MAX_KEYS).default(1000),
      distribution: notation(parseKeyDistribution).default({ kind: 'uniform' }),
      prefix: z
        .string()
        .max(100)
        .regex(/^[^"\\\p{Cc}]*$/u, 'quotes, backslashes and control characters are not allowed')
        .optional(),
      first: z.number().int().min(0).default(0),
      /** Names instead of prefix and count. */
      names: z.array(z.string().min(1).max(128)).min(1).optional(),
      /** Partition key of each key's events, `site-$.DeviceId`, instead of the key itself. */
      partitionKey: z.string().min(1).optional(),
      /** Each key sends at its own interval; the list repeats over the keys. Replaces rate and shape. */
      intervals: z.array(notation(parseInterval)).min(1).optional(),
    })
    .prefault({}),
  variables: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), variableSchema).default({}),
  types: z.array(eventType).min(1).optional(),
  size: notation(parseSize).optional(),
  contentType: z.string().min(1).max(255).default('application/json'),
  /** Application properties that every event carries; text may refer to variables as `$.Name`. */
  properties: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  faults: z
    .strictObject({
      duplicates: share.default(0),
      late: share.default(0),
      lateBy: duration.default(30_000),
      outOfOrder: share.default(0),
      malformed: share.default(0),
      oversized: share.default(0),
      /** Share of the keys whose clock is wrong by up to `clockSkew`. */
      skewedKeys: share.default(0),
      clockSkew: duration.default(0),
    })
    .superRefine(({ duplicates, late, outOfOrder, malformed, oversized }, context) => {
      const total = duplicates + late + outOfOrder + malformed + oversized;
      if (total > 1)
        context.addIssue({
          code: 'custom',
          message: `an event has one kind of misbehaviour at most, and the shares add up to ${Number(total.toFixed(6))}, more than 1`,
        });
    })
    .prefault({}),
  seed: z.number().int().min(0).max(MAX_SEED).default(1),
});

/** As written in the file. */
export type WorkloadInput = z.input<typeof workloadSchema>;
/** Checked, with defaults and parsed notations. */
export type Workload = z.output<typeof workloadSchema>;

/** Checks a workload. Throws a RangeError that names the first wrong entry, below `names`. */
export function parseWorkload(input: unknown, ...names: readonly string[]): Workload {
  const parsed = workloadSchema.safeParse(input ?? {});
  if (parsed.success) return parsed.data;
  throw new RangeError(schemaProblem(parsed.error, input, ...(names.length > 0 ? names : ['workload'])));
}
