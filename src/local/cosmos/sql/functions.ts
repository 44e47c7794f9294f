import { DATE_FUNCTIONS } from './dates.ts';
import { canonical, equal, isObject, typeRank } from './values.ts';

/** A built-in function. Arguments of the wrong type give undefined, as in the service. */
type Builtin = (...args: readonly unknown[]) => unknown;

const finite = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);

const math =
  (compute: (...args: number[]) => number): Builtin =>
  (...args) =>
    args.length > 0 && args.every((arg) => typeof arg === 'number') ? finite(compute(...args)) : undefined;

/** On signed integers of 64 bits. */
const bits =
  (compute: (a: bigint, b: bigint) => bigint): Builtin =>
  (a, b) =>
    Number.isInteger(a) && Number.isInteger(b)
      ? Number(BigInt.asIntN(64, compute(BigInt(a as number), BigInt(b as number))))
      : undefined;

const shift =
  (compute: (value: bigint, distance: bigint) => bigint): Builtin =>
  (value, distance) =>
    typeof distance === 'number' && distance >= 0 && distance < 64
      ? bits(compute)(value, distance)
      : undefined;

const text =
  (compute: (...args: string[]) => unknown): Builtin =>
  (...args) =>
    args.length > 0 && args.every((arg) => typeof arg === 'string') ? compute(...args) : undefined;

/** Comparison of two strings with an optional "ignore case" as the third argument. */
const match =
  (test: (a: string, b: string) => boolean): Builtin =>
  (a, b, ignoreCase) => {
    if (typeof a !== 'string' || typeof b !== 'string') return undefined;
    return ignoreCase === true ? test(a.toLowerCase(), b.toLowerCase()) : test(a, b);
  };

const lists =
  (compute: (a: readonly unknown[], b: readonly unknown[]) => unknown): Builtin =>
  (a, b) =>
    Array.isArray(a) && Array.isArray(b) ? compute(a, b) : undefined;

const holds = (list: readonly unknown[], value: unknown): boolean => list.some((item) => equal(item, value));

/** The values looked for are listed one by one, or in one array. */
const containsEach =
  (decide: (wanted: readonly unknown[], has: (value: unknown) => boolean) => boolean): Builtin =>
  (list, ...wanted) => {
    if (!Array.isArray(list) || wanted.length === 0) return undefined;
    const [only] = wanted;
    const values = wanted.length === 1 && Array.isArray(only) ? only : wanted;
    return decide(values, (value) => holds(list, value));
  };

const distinct = (list: readonly unknown[]): unknown[] => [
  ...new Map(list.map((item) => [canonical(item), item])).values(),
];

function contains(list: unknown, value: unknown, partial: unknown): boolean | undefined {
  if (!Array.isArray(list)) return undefined;
  if (partial !== true || !isObject(value)) return holds(list, value);
  return list.some(
    (item) => isObject(item) && Object.entries(value).every(([key, part]) => equal(item[key], part)),
  );
}

function substring(value: unknown, start: unknown, length: unknown): string | undefined {
  if (typeof value !== 'string' || typeof start !== 'number' || typeof length !== 'number') return undefined;
  return value.slice(Math.max(0, start), Math.max(0, start) + Math.max(0, length));
}

function slice(list: unknown, start: unknown, length: unknown): unknown[] | undefined {
  if (!Array.isArray(list) || typeof start !== 'number') return undefined;
  const from = start < 0 ? Math.max(0, list.length + start) : start;
  return typeof length === 'number' ? list.slice(from, from + Math.max(0, length)) : list.slice(from);
}

function regexMatch(value: unknown, pattern: unknown, modifiers: unknown): boolean | undefined {
  if (typeof value !== 'string' || typeof pattern !== 'string') return undefined;
  try {
    return new RegExp(pattern, typeof modifiers === 'string' ? modifiers : '').test(value);
  } catch {
    return undefined;
  }
}

function parseJson(value: unknown, accepts: (parsed: unknown) => boolean): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    const parsed = JSON.parse(value) as unknown;
    return accepts(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Rounds half away from zero. */
const round = (value: number, digits = 0): number => {
  const scale = 10 ** digits;
  return (Math.sign(value) * Math.round(Math.abs(value) * scale)) / scale;
};

export const FUNCTIONS: Readonly<Record<string, Builtin>> = {
  ABS: math(Math.abs),
  ACOS: math(Math.acos),
  ASIN: math(Math.asin),
  ATAN: math(Math.atan),
  ATN2: math(Math.atan2),
  CEILING: math(Math.ceil),
  COS: math(Math.cos),
  COT: math((x) => 1 / Math.tan(x)),
  DEGREES: math((x) => (x * 180) / Math.PI),
  EXP: math(Math.exp),
  FLOOR: math(Math.floor),
  INTADD: math((a, b) => a + b),
  INTBITAND: bits((a, b) => a & b),
  INTBITLEFTSHIFT: shift((a, b) => a << b),
  INTBITNOT: (value) => bits((a) => ~a)(value, 0),
  INTBITOR: bits((a, b) => a | b),
  INTBITRIGHTSHIFT: shift((a, b) => a >> b),
  INTBITXOR: bits((a, b) => a ^ b),
  INTDIV: math((a, b) => Math.trunc(a / b)),
  INTMOD: math((a, b) => a % b),
  INTMUL: math((a, b) => a * b),
  INTSUB: math((a, b) => a - b),
  LOG: math((x, base) => (base === undefined ? Math.log(x) : Math.log(x) / Math.log(base))),
  LOG10: math(Math.log10),
  NUMBERBIN: math((x, size = 1) => Math.floor(x / size) * size),
  PI: () => Math.PI,
  POWER: math((x, y) => x ** y),
  RADIANS: math((x) => (x * Math.PI) / 180),
  RAND: Math.random,
  ROUND: math(round),
  SIGN: math(Math.sign),
  SIN: math(Math.sin),
  SQRT: math(Math.sqrt),
  SQUARE: math((x) => x * x),
  TAN: math(Math.tan),
  TRUNC: math(Math.trunc),

  CONCAT: text((...parts) => parts.join('')),
  CONTAINS: match((a, b) => a.includes(b)),
  ENDSWITH: match((a, b) => a.endsWith(b)),
  INDEX_OF: (value, part, from) =>
    typeof value === 'string' && typeof part === 'string'
      ? value.indexOf(part, typeof from === 'number' ? from : 0)
      : undefined,
  LEFT: (value, length) => substring(value, 0, length),
  LENGTH: text((value) => value.length),
  LOWER: text((value) => value.toLowerCase()),
  LTRIM: text((value) => value.trimStart()),
  REGEXMATCH: regexMatch,
  REPLACE: text((value, from, to) => value.replaceAll(from as string, () => to as string)),
  REPLICATE: (value, count) =>
    typeof value === 'string' && typeof count === 'number' && count >= 0 && value.length * count <= 10_000
      ? value.repeat(count)
      : undefined,
  REVERSE: text((value) => [...value].reverse().join('')),
  RIGHT: (value, length) =>
    typeof value === 'string' && typeof length === 'number'
      ? value.slice(Math.max(0, value.length - Math.max(0, length)))
      : undefined,
  RTRIM: text((value) => value.trimEnd()),
  STARTSWITH: match((a, b) => a.startsWith(b)),
  STRINGEQUALS: match((a, b) => a === b),
  STRINGJOIN: (list, separator) =>
    Array.isArray(list) && list.every((part) => typeof part === 'string') && typeof separator === 'string'
      ? list.join(separator)
      : undefined,
  STRINGSPLIT: text((value, separator) => (separator === undefined ? undefined : value.split(separator))),
  STRINGTOARRAY: (value) => parseJson(value, Array.isArray),
  STRINGTOBOOLEAN: (value) => parseJson(value, (parsed) => typeof parsed === 'boolean'),
  STRINGTONULL: (value) => parseJson(value, (parsed) => parsed === null),
  STRINGTONUMBER: (value) => parseJson(value, (parsed) => typeof parsed === 'number'),
  STRINGTOOBJECT: (value) => parseJson(value, isObject),
  SUBSTRING: substring,
  TOSTRING: (value) =>
    value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value),
  TRIM: text((value) => value.trim()),
  UPPER: text((value) => value.toUpperCase()),

  ARRAY_CONCAT: (...args) => (args.every(Array.isArray) ? args.flat(1) : undefined),
  ARRAY_CONTAINS: contains,
  ARRAY_CONTAINS_ALL: containsEach((wanted, has) => wanted.every(has)),
  ARRAY_CONTAINS_ANY: containsEach((wanted, has) => wanted.some(has)),
  ARRAY_LENGTH: (list) => (Array.isArray(list) ? list.length : undefined),
  ARRAY_SLICE: slice,
  OBJECTTOARRAY: (value) => (isObject(value) ? Object.entries(value).map(([k, v]) => ({ k, v })) : undefined),
  SETINTERSECT: lists((a, b) => distinct(a.filter((value) => holds(b, value)))),
  SETUNION: lists((a, b) => distinct([...a, ...b])),
  SETDIFFERENCE: lists((a, b) => distinct(a.filter((value) => !holds(b, value)))),

  IS_ARRAY: (value) => Array.isArray(value),
  IS_BOOL: (value) => typeof value === 'boolean',
  IS_DEFINED: (value) => value !== undefined,
  IS_FINITE_NUMBER: (value) => Number.isFinite(value),
  IS_INTEGER: (value) => Number.isInteger(value),
  IS_NULL: (value) => value === null,
  IS_NUMBER: (value) => typeof value === 'number',
  IS_OBJECT: isObject,
  IS_PRIMITIVE: (value) => typeRank(value) >= 1 && typeRank(value) <= 4,
  IS_STRING: (value) => typeof value === 'string',
  IIF: (test, yes, no) => (test === true ? yes : no),
  CHOOSE: (index, ...values) => (typeof index === 'number' ? values[index - 1] : undefined),

  ...DATE_FUNCTIONS,
};
