import { errors } from './errors.ts';

/** A decimal integer as Redis accepts it: no plus sign, no leading zeros, no blanks, inside 64 bits. */
const INTEGER = /^(?:0|-?[1-9]\d{0,18})$/;
const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);

export function isInt64(value: bigint): boolean {
  return value >= MIN_INT64 && value <= MAX_INT64;
}

/** An integer for positions, counts and times. 64-bit values that a double cannot hold exactly are refused too. */
export function parseInteger(text: string, problem = errors.notInteger): number {
  const value = INTEGER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw problem();
  return value;
}

export function parseInt64(text: string, problem = errors.notInteger): bigint {
  const value = INTEGER.test(text) ? BigInt(text) : undefined;
  if (value === undefined || !isInt64(value)) throw problem();
  return value;
}

/** A double: decimal, exponent, `inf`, `+inf`, `-inf`. */
export function parseDouble(text: string, problem = errors.notFloat): number {
  const infinity = /^([+-]?)inf(?:inity)?$/i.exec(text);
  if (infinity) return infinity[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) throw problem();
  return Number(text);
}

/** INCRBYFLOAT and HINCRBYFLOAT answer without an exponent: 17 decimals, trailing zeros cut. */
export function formatPlainDecimal(value: number): string {
  const shortest = String(value);
  if (!shortest.includes('e')) return shortest;
  const fixed = value.toFixed(17);
  return fixed.includes('.') ? fixed.replace(/\.?0+$/, '') : fixed;
}

/** `start stop` of LRANGE, GETRANGE and their kind: negative counts from the end; an empty range is `[0, -1]`. */
export function resolveRange(start: number, stop: number, length: number): [first: number, last: number] {
  const first = Math.max(0, start < 0 ? length + start : start);
  const last = Math.min(length - 1, stop < 0 ? length + stop : stop);
  return first > last ? [0, -1] : [first, last];
}
