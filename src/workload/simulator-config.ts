import { z } from 'zod';
import { schemaProblem } from './schema-problem.ts';
import { parseSimulatorPayloads } from './simulator-payloads.ts';
import type { WorkloadInput } from './spec.ts';
import type { Variable } from './variables.ts';

const number = z.coerce.number();
const text = z.string();

const variableSchema = z.object({
  name: z.string(),
  random: z.boolean().default(false),
  randomDouble: z.boolean().default(false),
  sequence: z.boolean().default(false),
  customLengthString: z.number().int().optional(),
  step: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  values: z.array(z.unknown()).optional(),
});

const lowerCased = (input: unknown): unknown =>
  typeof input === 'object' && input !== null && !Array.isArray(input)
    ? Object.fromEntries(Object.entries(input).map(([name, value]) => [name.toLowerCase(), value]))
    : input;

const configSchema = z.preprocess(
  lowerCased,
  z.object({
    devicelist: text.optional(),
    deviceprefix: text.default('sim'),
    deviceindex: number.int().min(0).default(1),
    devicecount: number.int().min(1).default(1),
    messagecount: number.int().min(0).default(10),
    interval: number.positive().default(1000),
    intervals: z.unknown().optional(),
    deviceintervals: z.unknown().optional(),
    template: z.unknown().optional(),
    variables: z.unknown().optional(),
    payloaddistribution: text.optional(),
    header: z.unknown().optional(),
    partitionkey: text.optional(),
    duplicateevery: number.min(0).default(0),
  }),
);

const DEFAULT_TEMPLATE = '{ "deviceId": "$.DeviceId", "time": "$.Time", "counter": $.Counter }';

/**
 * Reads the configuration of Azure-Samples/Iot-Telemetry-Simulator, the load generator of streaming-at-scale, from its
 * environment variables or its JSON file. Throws a RangeError that names what has no counterpart here.
 */
export function importSimulatorConfig(config: Readonly<Record<string, unknown>>): WorkloadInput {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) throw new RangeError(schemaProblem(parsed.error, config, 'simulator configuration'));
  const input = parsed.data;
  const names = input.devicelist
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const count = names?.length ?? input.devicecount;
  const template =
    typeof input.template === 'object'
      ? JSON.stringify(input.template)
      : (input.template ?? DEFAULT_TEMPLATE);
  const workload: WorkloadInput = {
    keys: {
      ...(names && names.length > 0
        ? { names }
        : { count, prefix: input.deviceprefix, first: input.deviceindex }),
      ...(input.partitionkey ? { partitionKey: input.partitionkey } : {}),
      intervals: intervalsOf(input, names, count),
    },
    variables: variablesOf(input.variables),
    types: input.payloaddistribution
      ? parseSimulatorPayloads(input.payloaddistribution, String(template))
      : [{ template: String(template) }],
    properties: propertiesOf(input.header),
    ...(input.messagecount > 0 ? { events: input.messagecount * count } : {}),
    // A duplicate is sent with probability 1/N.
    ...(input.duplicateevery > 0 ? { faults: { duplicates: 1 / input.duplicateevery } } : {}),
  };
  return workload;
}

function intervalsOf(
  { deviceintervals, interval, intervals }: z.output<typeof configSchema>,
  names: readonly string[] | undefined,
  count: number,
): string[] {
  const own = fromJson(intervals ?? deviceintervals);
  const ms = (value: unknown): string => `${Number(value)}ms`;
  if (typeof own !== 'object' || own === null) return [ms(interval)];
  const byDevice = own as Record<string, unknown>;
  const first = (value: unknown): unknown => (Array.isArray(value) ? (value as unknown[])[0] : value);
  if (!names) return [ms(interval)];
  return Array.from({ length: count }, (_, device) => ms(first(byDevice[names[device] ?? '']) ?? interval));
}

function variablesOf(raw: unknown): Record<string, Variable> {
  const list = fromJson(raw) ?? [];
  const parsed = z.array(variableSchema).safeParse(list);
  if (!parsed.success)
    throw new RangeError(schemaProblem(parsed.error, list, 'simulator configuration', 'Variables'));
  const variables: Record<string, Variable> = {
    // The simulator's default template counts messages per device.
    Counter: { $: 'counter', start: 0, step: 1, per: 'key' },
    MachineName: { $: 'choice', of: ['cosmos-pipe'], inTurn: false },
  };
  for (const {
    name,
    random,
    randomDouble,
    sequence,
    customLengthString,
    step,
    min,
    max,
    values,
  } of parsed.data) {
    if (values && values.length > 0) variables[name] = { $: 'choice', of: values as never, inTurn: sequence };
    else if (customLengthString !== undefined) variables[name] = { $: 'text', length: customLengthString };
    else if (randomDouble) variables[name] = { $: 'number', min: min ?? 0, max: max ?? 1, decimals: 6 };
    else if (random)
      variables[name] = { $: 'integer', min: Math.ceil(min ?? 0), max: Math.floor(max ?? 2_147_483_646) };
    else
      variables[name] = {
        $: 'counter',
        start: min ?? 1,
        step: step ?? 1,
        per: 'key',
        ...(max === undefined ? {} : { max }),
      };
  }
  return variables;
}

function propertiesOf(raw: unknown): Record<string, string | number | boolean> {
  const header = fromJson(raw) ?? {};
  const parsed = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).safeParse(header);
  if (!parsed.success)
    throw new RangeError('simulator configuration, Header: expected an object of plain values');
  return parsed.data;
}

/** Environment variables hold JSON as text, sometimes with unquoted names as in the simulator's own examples. */
function fromJson(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw;
  if (raw.trim() === '') return undefined;
  try {
    return JSON.parse(raw.replaceAll(/([{,]\s*)([A-Za-z]\w*)(\s*:)/g, '$1"$2"$3')) as unknown;
  } catch (error) {
    throw new RangeError(`simulator configuration is not JSON: ${raw.slice(0, 60)}`, { cause: error });
  }
}
