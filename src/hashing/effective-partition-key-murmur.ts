/**
 * MurmurHash3 by Austin Appleby (https://github.com/aappleby/smhasher, public domain), seed 0, in 32-bit integer arithmetic:
 * on BigInt the same hash costs seven times as much, and it runs once per document on the way into a container.
 */

/** High and low word of the last 64-bit operation: returning two words from a function would allocate. */
let high = 0;
let low = 0;

/** `a * b` modulo 2^64, on 16-bit limbs so that no partial product leaves the exact range of a double. */
function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  low = ((middle << 16) | (p00 & 0xffff)) >>> 0;
  high = (a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16) + cross(aHigh, bLow, aLow, bHigh)) >>> 0;
}

function cross(aHigh: number, bLow: number, aLow: number, bHigh: number): number {
  return (Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const sum = aLow + bLow;
  low = sum >>> 0;
  high = (aHigh + bHigh + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
}

/** Rotates left by 1 to 63 bits, not 32. */
function rotate(h: number, l: number, bits: number): void {
  const [a, b, n] = bits < 32 ? [h, l, bits] : [l, h, bits - 32];
  high = ((a << n) | (b >>> (32 - n))) >>> 0;
  low = ((b << n) | (a >>> (32 - n))) >>> 0;
}

function finalize(h: number, l: number): void {
  multiply(h, (l ^ (h >>> 1)) >>> 0, 0xff51afd7, 0xed558ccd);
  multiply(high, (low ^ (high >>> 1)) >>> 0, 0xc4ceb9fe, 0x1a85ec53);
  low = (low ^ (high >>> 1)) >>> 0;
}

const C1_HIGH = 0x87c37b91;
const C1_LOW = 0x114253d5;
const C2_HIGH = 0x4cf5ad43;
const C2_LOW = 0x2745937f;

function scrambleFirst(h: number, l: number): void {
  multiply(h, l, C1_HIGH, C1_LOW);
  rotate(high, low, 31);
  multiply(high, low, C2_HIGH, C2_LOW);
}

function scrambleSecond(h: number, l: number): void {
  multiply(h, l, C2_HIGH, C2_LOW);
  rotate(high, low, 33);
  multiply(high, low, C1_HIGH, C1_LOW);
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

/** Little-endian number of the bytes in [from, to), at most four. */
function partialWord(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = to - 1; at >= from; at--) value = ((value << 8) | (bytes[at] as number)) >>> 0;
  return value;
}

/** MurmurHash3_x64_128 of the first `length` bytes into `out`: high and low word of h1, then of h2. */
export function murmur128(bytes: Uint8Array, length: number, out: Uint32Array): void {
  let h1High = 0;
  let h1Low = 0;
  let h2High = 0;
  let h2Low = 0;
  const tail = length & ~15;
  for (let at = 0; at < tail; at += 16) {
    scrambleFirst(word(bytes, at + 4), word(bytes, at));
    rotate((h1High ^ high) >>> 0, (h1Low ^ low) >>> 0, 27);
    add(high, low, h2High, h2Low);
    multiply(high, low, 0, 5);
    add(high, low, 0, 0x52dce729);
    h1High = high;
    h1Low = low;
    scrambleSecond(word(bytes, at + 12), word(bytes, at + 8));
    rotate((h2High ^ high) >>> 0, (h2Low ^ low) >>> 0, 31);
    add(high, low, h1High, h1Low);
    multiply(high, low, 0, 5);
    add(high, low, 0, 0x38495ab5);
    h2High = high;
    h2Low = low;
  }
  if (length - tail > 8) {
    scrambleSecond(
      partialWord(bytes, tail + 12, length),
      partialWord(bytes, tail + 8, Math.min(length, tail + 12)),
    );
    h2High ^= high;
    h2Low ^= low;
  }
  if (length > tail) {
    scrambleFirst(
      partialWord(bytes, tail + 4, Math.min(length, tail + 8)),
      partialWord(bytes, tail, Math.min(length, tail + 4)),
    );
    h1High ^= high;
    h1Low ^= low;
  }
  h1Low ^= length;
  h2Low ^= length;
  add(h1High >>> 0, h1Low >>> 0, h2High >>> 0, h2Low >>> 0);
  h1High = high;
  h1Low = low;
  add(h2High >>> 0, h2Low >>> 0, h1High, h1Low);
  h2High = high;
  h2Low = low;
  finalize(h1High, h1Low);
  h1High = high;
  h1Low = low;
  finalize(h2High, h2Low);
  h2High = high;
  h2Low = low;
  add(h1High, h1Low, h2High, h2Low);
  out[0] = high;
  out[1] = low;
  add(h2High, h2Low, high, low);
  out[2] = high;
  out[3] = low;
}

/** MurmurHash3_x86_32 of the first `length` bytes, unsigned. */
export function murmur32(bytes: Uint8Array, length: number): number {
  let hash = 0;
  const tail = length & ~3;
  for (let at = 0; at < tail; at += 4) {
    hash ^= scramble32(word(bytes, at));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  if (length > tail) hash ^= scramble32(partialWord(bytes, tail, length));
  hash ^= length;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble32(value: number): number {
  const product = Math.imul(value, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
