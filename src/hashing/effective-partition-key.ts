import { murmur128 } from './effective-partition-key-murmur.ts';
import { decodeNumber, effectivePartitionKeyV1, encodeNumber } from './effective-partition-key-v1.ts';
import type { PartitionKeyValue } from './partition-key-value.ts';

export interface PartitionKeyHashing {
  /** `MultiHash` is a hierarchical key: every path is hashed by itself. */
  readonly kind: 'Hash' | 'MultiHash';
  readonly version: 1 | 2;
}

/** A half-open interval of effective partition keys. The first of a container starts at `""`, the last ends at `"FF"`. */
export interface EpkRange {
  readonly minInclusive: string;
  readonly maxExclusive: string;
}

const hash = new Uint32Array(4);
let scratch = Buffer.alloc(2048);

const hex8 = (word: number): string => word.toString(16).toUpperCase().padStart(8, '0');

/** Type byte, value, and for a string the end mark 0xFF; numbers are IEEE 754 doubles, little endian. */
function encodeComponent(value: PartitionKeyValue): number {
  switch (typeof value) {
    case 'string': {
      if (value.length * 3 + 2 > scratch.length) scratch = Buffer.alloc(value.length * 3 + 2);
      scratch[0] = 0x08;
      const end = 1 + scratch.write(value, 1, 'utf8');
      scratch[end] = 0xff;
      return end + 1;
    }
    case 'number':
      scratch[0] = 0x05;
      scratch.writeDoubleLE(value, 1);
      return 9;
    default:
      scratch[0] = value === true ? 0x03 : value === false ? 0x02 : value === null ? 0x01 : 0x00;
      return 1;
  }
}

/** The 128-bit hash with its bytes reversed and the two top bits cleared, 32 upper-case hex digits. */
function effectivePartitionKeyV2(value: PartitionKeyValue): string {
  murmur128(scratch, encodeComponent(value), hash);
  const [h1High, h1Low, h2High, h2Low] = hash as unknown as readonly [number, number, number, number];
  return hex8(h2High & 0x3fff_ffff) + hex8(h2Low) + hex8(h1High) + hex8(h1Low);
}

/**
 * The effective partition key of an item: where in a container's hash space its partition key falls. Upper-case hex; two
 * keys of one container compare and search as plain strings. Fewer components than a hierarchical key has paths give the
 * prefix of all keys below it. Bit for bit what the SDKs compute, because bulk requests carry the range the client computed.
 */
export function effectivePartitionKey(
  components: readonly PartitionKeyValue[],
  definition: PartitionKeyHashing,
): string {
  if (definition.kind === 'MultiHash') return components.map(effectivePartitionKeyV2).join('');
  return definition.version === 1
    ? effectivePartitionKeyV1(components[0])
    : effectivePartitionKeyV2(components[0]);
}

/**
 * {@link effectivePartitionKey} with a memory for the keys that repeat (devices, tenants): hashing costs microseconds, a hit
 * costs a map look-up. The memory holds two generations of at most `maxEntries / 2` strings each.
 */
export function cachedEffectivePartitionKey(
  definition: PartitionKeyHashing,
  maxEntries = 100_000,
): (key: string) => string {
  let young = new Map<string, string>();
  let old = new Map<string, string>();
  return (key) => {
    let epk = young.get(key);
    if (epk !== undefined) return epk;
    epk = old.get(key) ?? effectivePartitionKey([key], definition);
    if (young.size >= maxEntries / 2) {
      old = young;
      young = new Map();
    }
    young.set(key, epk);
    return epk;
  };
}

/** `k * 2^126 / count` as 32 hex digits: long division of k by 4 * count, digit by digit of the 128-bit fraction. */
function boundaryV2(k: number, count: number): string {
  let text = '';
  let remainder = k;
  for (let digit = 0; digit < 32; digit++) {
    remainder *= 16;
    const quotient = Math.floor(remainder / (4 * count));
    text += quotient.toString(16).toUpperCase();
    remainder -= quotient * 4 * count;
  }
  return text;
}

const boundary = (k: number, count: number, version: 1 | 2): string => {
  if (k === 0) return '';
  if (k === count) return 'FF';
  return version === 1 ? encodeNumber(Math.floor((k * 2 ** 32) / count) - 1) : boundaryV2(k, count);
};

/** The ranges of a new container with `count` physical partitions: equal shares of the hash space, in order. */
export function partitionKeyRangesFor(count: number, version: 1 | 2): EpkRange[] {
  return Array.from({ length: count }, (_, k) => ({
    minInclusive: boundary(k, count, version),
    maxExclusive: boundary(k + 1, count, version),
  }));
}

/** Where a split divides a range: the middle of its interval. `undefined` when the interval has no inside left. */
export function midpointOf(range: EpkRange, version: 1 | 2): string | undefined {
  const middle = version === 1 ? midpointV1(range) : midpointV2(range);
  return middle > range.minInclusive && middle < range.maxExclusive ? middle : undefined;
}

function midpointV1({ minInclusive, maxExclusive }: EpkRange): string {
  const min = minInclusive === '' ? 0 : decodeNumber(minInclusive);
  const max = maxExclusive === 'FF' ? 2 ** 32 : decodeNumber(maxExclusive);
  return encodeNumber(Math.floor((min + max) / 2));
}

function midpointV2({ minInclusive, maxExclusive }: EpkRange): string {
  const min = minInclusive.padEnd(32, '0').slice(0, 32);
  const max = maxExclusive === 'FF' ? '4'.padEnd(32, '0') : maxExclusive.padEnd(32, '0').slice(0, 32);
  let carry = 0;
  const sum: number[] = [];
  for (let at = 31; at >= 0; at--) {
    const digit = Number.parseInt(min[at] as string, 16) + Number.parseInt(max[at] as string, 16) + carry;
    sum.unshift(digit & 15);
    carry = digit >> 4;
  }
  let text = '';
  for (const digit of sum) {
    const value = carry * 16 + digit;
    text += (value >> 1).toString(16).toUpperCase();
    carry = value & 1;
  }
  return text;
}

/** Index of the range that holds `epk`, given the ascending lower bounds of contiguous ranges (the first one is `""`). */
export function findRange(minInclusive: readonly string[], epk: string): number {
  let from = 0;
  let to = minInclusive.length - 1;
  while (from < to) {
    const middle = (from + to + 1) >> 1;
    if ((minInclusive[middle] as string) <= epk) from = middle;
    else to = middle - 1;
  }
  return from;
}
