import { z } from 'zod';
import { draw, Stream } from './draw.ts';
import { type EventContext, text, type Writer, writeFourDigits, writeUint } from './writer.ts';

const decimals = z.number().int().min(0).max(9);
const length = z.union([
  z.number().int().min(0),
  z.tuple([z.number().int().min(0), z.number().int().min(0)]),
]);

/** The kinds of variable that a template may hold, written as `{ "$": "walk", "start": 20, "step": 0.5 }`. */
export const variableSchema = z.discriminatedUnion('$', [
  z.strictObject({ $: z.literal('uuid') }),
  z.strictObject({ $: z.literal('key') }),
  z.strictObject({ $: z.literal('sequence'), start: z.number().int().min(0).default(0) }),
  z.strictObject({
    $: z.literal('counter'),
    start: z.number().int().min(0).default(0),
    step: z.number().int().min(1).default(1),
    /** Starts again after this value. */
    max: z.number().int().optional(),
    /** `key`: every key counts for itself; `all`: one count over the whole workload. */
    per: z.enum(['key', 'all']).default('all'),
  }),
  z.strictObject({ $: z.literal('integer'), min: z.number().int(), max: z.number().int() }),
  z.strictObject({
    $: z.literal('number'),
    min: z.number().default(0),
    max: z.number().default(100),
    decimals: decimals.default(3),
  }),
  z.strictObject({
    $: z.literal('normal'),
    mean: z.number(),
    deviation: z.number().min(0),
    decimals: decimals.default(3),
  }),
  z.strictObject({
    $: z.literal('walk'),
    start: z.number().default(0),
    step: z.number().default(1),
    min: z.number().default(-1e9),
    max: z.number().default(1e9),
    decimals: decimals.default(3),
  }),
  z.strictObject({
    $: z.literal('choice'),
    of: z.array(z.json()).min(1),
    weights: z.array(z.number().min(0)).optional(),
    /** Takes the values in turn, per key, instead of at random. */
    inTurn: z.boolean().default(false),
  }),
  z.strictObject({ $: z.literal('boolean'), probability: z.number().min(0).max(1).default(0.5) }),
  z.strictObject({ $: z.literal('timestamp'), format: z.enum(['iso', 'ms', 's', 'ticks']).default('iso') }),
  z.strictObject({ $: z.literal('text'), length: length.default(16) }),
  z.strictObject({
    $: z.literal('faker'),
    /** A function of @faker-js/faker: `person.fullName`. */
    path: z.string().regex(/^\w+\.\w+$/),
    /** How many different values are made. */
    distinct: z.number().int().min(1).max(100_000).default(1_000),
  }),
]);

export type Variable = z.infer<typeof variableSchema>;

export interface CompiledVariable {
  /** Writes the bare value: text without quotes, JSON escapes applied. */
  readonly bare: Writer;
  /** Writes a JSON value. */
  readonly json: Writer;
}

/** Makes the writers of a variable. `faker` loads its package only now. */
export async function compileVariable(variable: Variable, seed: number): Promise<CompiledVariable> {
  switch (variable.$) {
    case 'uuid':
      return quoted(uuid());
    case 'key':
      return quoted(key());
    case 'sequence':
      return same(uint((event) => variable.start + event.sequence));
    case 'counter':
      return same(counter(variable));
    case 'integer':
      return same(between(variable.min, variable.max, 0));
    case 'number':
      return same(between(variable.min, variable.max, variable.decimals));
    case 'normal':
      return same(
        decimal(variable.decimals, (event) => variable.mean + variable.deviation * event.random.normal()),
      );
    case 'walk':
      return same(walk(variable));
    case 'boolean':
      return pick([true, false], [variable.probability, 1 - variable.probability], false);
    case 'choice':
      return pick(variable.of, variable.weights, variable.inTurn);
    case 'timestamp':
      return variable.format === 'iso' ? quoted(isoTime()) : same(epochTime(variable.format));
    case 'text':
      return quoted(letters(variable.length));
    case 'faker':
      return pick(await fakerValues(variable.path, variable.distinct, seed), undefined, false);
  }
}

function same(writer: Writer): CompiledVariable {
  return { bare: writer, json: writer };
}

function quoted(bare: Writer): CompiledVariable {
  const { maxBytes } = bare;
  const json: Writer = {
    maxBytes: maxBytes + 2,
    ...(bare.fixed ? { fixed: true } : {}),
    write(out, at, event) {
      out[at] = 0x22;
      const to = bare.write(out, at + 1, event);
      out[to] = 0x22;
      return to + 1;
    },
  };
  return { bare, json };
}

const HEX = Buffer.from('0123456789abcdef', 'latin1');

/** A version 4 UUID from run and position alone: no two of the first 2^32 events of a run share one. */
function uuid(): Writer {
  const hex = (out: Buffer, at: number, word: number, digits: number): void => {
    for (let digit = 0; digit < digits; digit += 1) {
      out[at + digit] = HEX[(word >>> (28 - 4 * digit)) & 15] as number;
    }
  };
  return {
    maxBytes: 36,
    fixed: true,
    write(out, at, { idSeeds: [first, second], index }) {
      const b = draw(second, index, Stream.id + 1);
      const c = draw(first, index, Stream.id + 2);
      const d = draw(second, index, Stream.id + 3);
      hex(out, at, draw(first, index, Stream.id), 8);
      hex(out, at + 9, b, 4);
      hex(out, at + 14, 0x40000000 | ((b & 0xfff) << 16), 4);
      hex(out, at + 19, 0x80000000 | (c >>> 2), 4);
      hex(out, at + 24, c << 16, 4);
      hex(out, at + 28, d, 8);
      out[at + 8] = out[at + 13] = out[at + 18] = out[at + 23] = 0x2d;
      return at + 36;
    },
  };
}

function key(): Writer {
  return {
    // An Event Hubs partition key has at most 128 characters, 384 bytes of UTF-8.
    maxBytes: 384,
    write(out, at, { keyBytes, keyStart, keyLength }) {
      for (let i = 0; i < keyLength; i += 1) out[at + i] = keyBytes[keyStart + i] as number;
      return at + keyLength;
    },
  };
}

function uint(value: (event: EventContext) => number): Writer {
  return { maxBytes: 16, write: (out, at, event) => writeUint(out, at, value(event)) };
}

function counter({ start, step, max, per }: Extract<Variable, { $: 'counter' }>): Writer {
  const turns = max === undefined ? Number.POSITIVE_INFINITY : Math.floor((max - start) / step) + 1;
  return uint((event) => start + ((per === 'key' ? event.sequence : event.index) % turns) * step);
}

function between(min: number, max: number, places: number): Writer {
  const scale = 10 ** places;
  const steps = Math.round((max - min) * scale) + (places === 0 ? 1 : 0);
  return decimal(places, (event) => min + Math.floor(event.random.unit() * steps) / scale);
}

/** A number with exactly `places` decimals. */
function decimal(places: number, value: (event: EventContext) => number): Writer {
  const scale = 10 ** places;
  return {
    maxBytes: 18 + places,
    write(out, at, event) {
      const scaled = Math.round(value(event) * scale);
      let to = at;
      if (scaled < 0) out[to++] = 0x2d;
      const magnitude = Math.min(Math.abs(scaled), Number.MAX_SAFE_INTEGER);
      const whole = Math.floor(magnitude / scale);
      to = writeUint(out, to, whole);
      if (places === 0) return to;
      out[to++] = 0x2e;
      let rest = magnitude - whole * scale;
      for (let place = places - 1; place >= 0; place -= 1) {
        const next = Math.floor(rest / 10);
        out[to + place] = 48 + (rest - next * 10);
        rest = next;
      }
      return to + places;
    },
  };
}

/** Each key walks for itself. A key belongs to one worker, so its walk does not depend on how many there are. */
function walk({ start, step, min, max, decimals: places }: Extract<Variable, { $: 'walk' }>): Writer {
  const at = new Map<number, number>();
  return decimal(places, (event) => {
    const next = (at.get(event.keyIndex) ?? start) + (event.random.unit() * 2 - 1) * step;
    const kept = next < min ? 2 * min - next : next > max ? 2 * max - next : next;
    at.set(event.keyIndex, kept);
    return kept;
  });
}

function pick(
  values: readonly unknown[],
  weights: readonly number[] | undefined,
  inTurn: boolean,
): CompiledVariable {
  if (weights && weights.length !== values.length)
    throw new RangeError(`a choice of ${values.length} values has ${weights.length} weights`);
  const total = weights?.reduce((sum, weight) => sum + weight, 0) ?? values.length;
  let reached = 0;
  const bounds = values.map((_, index) => {
    reached += weights?.[index] ?? 1;
    return reached / total;
  });
  const choose = (event: EventContext): number => {
    if (inTurn) return event.sequence % values.length;
    const u = event.random.unit();
    if (!weights) return Math.floor(u * values.length);
    const index = bounds.findIndex((bound) => u < bound);
    return index < 0 ? values.length - 1 : index;
  };
  const oneOf = (options: readonly Writer[]): Writer => ({
    maxBytes: Math.max(...options.map((option) => option.maxBytes)),
    write: (out, at, event) => (options[choose(event)] as Writer).write(out, at, event),
  });
  const json = values.map((value) => JSON.stringify(value));
  return {
    json: oneOf(json.map(text)),
    bare: oneOf(json.map((value) => text(value.startsWith('"') ? value.slice(1, -1) : value))),
  };
}

/** `2026-11-22T10:44:04.123Z`; the part before the milliseconds is made once per second. */
export function isoTime(): Writer {
  let second = Number.NaN;
  const prefix = Buffer.alloc(20);
  return {
    maxBytes: 24,
    fixed: true,
    write(out, at, { createdMs }) {
      const whole = Math.floor(createdMs / 1000);
      if (whole !== second) {
        prefix.write(new Date(whole * 1000).toISOString(), 0, 'latin1');
        second = whole;
      }
      prefix.copy(out, at);
      writeFourDigits(out, at + 19, Math.floor(createdMs) - whole * 1000);
      out[at + 19] = 0x2e;
      out[at + 23] = 0x5a;
      return at + 24;
    },
  };
}

/** .NET ticks are units of 100 ns since the year 1; this is the Unix epoch in milliseconds of that scale. */
const TICKS_EPOCH_MS = 62_135_596_800_000;

function epochTime(format: 'ms' | 's' | 'ticks'): Writer {
  if (format === 's') return uint((event) => Math.floor(event.createdMs / 1000));
  if (format === 'ms') return uint((event) => Math.floor(event.createdMs));
  return {
    maxBytes: 20,
    write(out, at, event) {
      const to = writeUint(out, at, Math.floor(event.createdMs) + TICKS_EPOCH_MS);
      writeFourDigits(out, to, 0);
      return to + 4;
    },
  };
}

const LETTERS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');

function letters(size: number | readonly [number, number]): Writer {
  const [least, most] = typeof size === 'number' ? [size, size] : size;
  return {
    maxBytes: most,
    write(out, at, event) {
      const to = at + least + Math.floor(event.random.unit() * (most - least + 1));
      let bits = 0;
      for (let i = at; i < to; i += 1) {
        if ((i - at) % 5 === 0) bits = event.random.uint32();
        out[i] = LETTERS[bits & 63] as number;
        bits >>>= 6;
      }
      return to;
    },
  };
}

/** Values are made once from the seed: a call of faker costs more than sending an event. */
async function fakerValues(path: string, distinct: number, seed: number): Promise<unknown[]> {
  const { faker } = await import('@faker-js/faker/locale/en');
  faker.seed(seed);
  faker.setDefaultRefDate('2025-01-01T00:00:00.000Z');
  const [moduleName, methodName] = path.split('.') as [string, string];
  const group = (faker as unknown as Record<string, Record<string, unknown> | undefined>)[moduleName];
  const method = group?.[methodName];
  if (typeof method !== 'function')
    throw new RangeError(`faker has no "${path}", expected for example person.fullName or location.city`);
  return Array.from({ length: distinct }, () => method.call(group) as unknown);
}
