import {
  type CompiledVariable,
  compileVariable,
  isoTime,
  type Variable,
  variableSchema,
} from './variables.ts';
import { concat, text, type Writer, writeFourDigits } from './writer.ts';

/** Named variables that template text refers to as `$.Name`. */
export type NamedVariables = Readonly<Record<string, Variable>>;

/** Names every template text knows, besides its own: those of the IoT telemetry simulator. */
const BUILT_IN_VARIABLES: NamedVariables = {
  DeviceId: { $: 'key' },
  Guid: { $: 'uuid' },
  Time: { $: 'timestamp', format: 'iso' },
  LocalTime: { $: 'timestamp', format: 'iso' },
  Ticks: { $: 'timestamp', format: 'ticks' },
  Epoch: { $: 'timestamp', format: 's' },
  Sequence: { $: 'sequence', start: 0 },
};

/**
 * Compiles a JSON value in which objects `{ "$": kind, ... }` stand for variables and strings may refer to named ones
 * (`"room $.Room"`). A template that is a string is text as it stands. Throws a RangeError that names what is wrong.
 */
export async function compileTemplate(
  template: unknown,
  variables: NamedVariables,
  seed: number,
): Promise<Writer> {
  const named = new Map<string, CompiledVariable>();
  for (const [name, variable] of Object.entries({ ...BUILT_IN_VARIABLES, ...variables }))
    named.set(name, await compileVariable(variable, seed));
  const writers: Writer[] = [];

  const value = async (node: unknown): Promise<void> => {
    if (typeof node === 'string') {
      const parts = splitReferences(JSON.stringify(node), named);
      writers.push(...parts);
    } else if (Array.isArray(node)) {
      writers.push(text('['));
      for (const [index, item] of node.entries()) {
        if (index > 0) writers.push(text(','));
        await value(item);
      }
      writers.push(text(']'));
    } else if (typeof node === 'object' && node !== null) {
      if ('$' in node) {
        const parsed = variableSchema.safeParse(node);
        if (!parsed.success) throw new RangeError(`invalid variable ${JSON.stringify(node)} in the template`);
        writers.push((await compileVariable(parsed.data, seed)).json);
        return;
      }
      writers.push(text('{'));
      for (const [index, [name, item]] of Object.entries(node).entries()) {
        writers.push(text(`${index > 0 ? ',' : ''}${JSON.stringify(name)}:`));
        await value(item);
      }
      writers.push(text('}'));
    } else {
      writers.push(text(JSON.stringify(node)));
    }
  };

  if (typeof template === 'string') writers.push(...splitReferences(template, named));
  else await value(template);
  return concat(writers);
}

function splitReferences(source: string, named: ReadonlyMap<string, CompiledVariable>): Writer[] {
  const writers: Writer[] = [];
  let from = 0;
  for (const match of source.matchAll(/\$\.([A-Za-z_][A-Za-z0-9_]*)/g)) {
    const name = longestName(match[1] as string, named);
    if (match.index > from) writers.push(text(source.slice(from, match.index)));
    writers.push((named.get(name) as CompiledVariable).bare);
    from = match.index + 2 + name.length;
  }
  if (from < source.length) writers.push(text(source.slice(from)));
  return writers;
}

/** The simulator replaces names as substrings (`$.Counter_x` is Counter and `_x`), the longest that matches first. */
function longestName(word: string, named: ReadonlyMap<string, CompiledVariable>): string {
  for (let length = word.length; length > 0; length -= 1) {
    if (named.has(word.slice(0, length))) return word.slice(0, length);
  }
  throw new RangeError(`the template uses $.${word}, which is no variable (${[...named.keys()].join(', ')})`);
}

/** Measurements in `complexData` of the default event: 23 make it about 1 KB. */
export const TELEMETRY_MEASUREMENTS = 23;

/**
 * The event of Azure-Samples/streaming-at-scale, so that figures compare. `measurements` is how many numbers its
 * `complexData` holds.
 */
export async function telemetryTemplate(measurements: number, seed: number): Promise<Writer> {
  const [id, value, type] = await Promise.all(
    (
      [
        { $: 'uuid' },
        { $: 'number', min: 10, max: 100, decimals: 9 },
        { $: 'choice', of: ['TEMP', 'CO2'], inTurn: false },
      ] satisfies Variable[]
    ).map((variable) => compileVariable(variable, seed)),
  );
  const key = await compileVariable({ $: 'key' }, seed);
  const sequence = await compileVariable({ $: 'sequence', start: 0 }, seed);
  const data = Array.from({ length: measurements }, (_, index) => [
    text(`${index > 0 ? ',' : ''}"moreData${index}":`),
    MEASUREMENT,
  ]);
  return concat([
    text('{"eventId":'),
    (id as CompiledVariable).json,
    text(',"complexData":{'),
    ...data.flat(),
    text('},"value":'),
    (value as CompiledVariable).json,
    text(',"deviceId":'),
    key.json,
    text(',"deviceSequenceNumber":'),
    sequence.json,
    text(',"type":'),
    (type as CompiledVariable).json,
    text(',"createdAt":"'),
    isoTime(),
    text('"}'),
  ]);
}

/** `57.12345678901234`: a uniform number from 10 to 100 with the 16 digits that a double has. */
const MEASUREMENT: Writer = {
  maxBytes: 17,
  fixed: true,
  write(out, at, { random }) {
    const a = random.uint32();
    const b = random.uint32();
    writeFourDigits(out, at, 1000 + (((a >>> 16) * 9000) >>> 16));
    out[at + 4] = out[at + 3] as number;
    out[at + 3] = out[at + 2] as number;
    out[at + 2] = 0x2e;
    writeFourDigits(out, at + 5, ((a & 0xffff) * 10_000) >>> 16);
    writeFourDigits(out, at + 9, ((b >>> 16) * 10_000) >>> 16);
    writeFourDigits(out, at + 13, ((b & 0xffff) * 10_000) >>> 16);
    return at + 17;
  },
};
