import { createHash } from 'node:crypto';

/**
 * Random numbers addressed by position: what event 4,711 draws depends on the seed and on 4,711 only, never on what was
 * drawn before. So any worker and any shard can make any event, and together they make exactly what one process makes.
 */

/** What a draw is for, so that draws for different purposes are independent of each other. */
export const Stream = {
  arrival: 1,
  key: 2,
  body: 3,
  id: 4,
  mix: 8,
  size: 9,
  fault: 10,
  skew: 11,
  phase: 12,
  property: 13,
} as const;

const WORD = 0x1_0000_0000;

/**
 * Uniform 32-bit unsigned integer: MurmurHash3 over (stream, high word of index, low word of index), seeded
 * (https://github.com/aappleby/smhasher). For one stream it is a bijection of the low word, so the first 2^32 indices
 * never collide.
 */
export function draw(seed: number, index: number, stream: number): number {
  let hash = seed | 0;
  hash = mixWord(hash, stream);
  hash = mixWord(hash, Math.floor(index / WORD));
  hash = mixWord(hash, index | 0);
  hash ^= 12;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Uniform in [0, 1). */
export function drawUnit(seed: number, index: number, stream: number): number {
  return draw(seed, index, stream) / WORD;
}

function mixWord(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  k = Math.imul(k, 0x1b873593);
  const mixed = hash ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

export type IdSeeds = readonly [number, number];

/**
 * Seeds for the ids of one run. Everything else comes from the workload's seed alone, so that runs compare; ids also
 * depend on the run, because a second run with the ids of the first would overwrite in the store what that one stored.
 */
export function idSeeds(seed: number, run: string | undefined): IdSeeds {
  if (run === undefined) return [seed, seed];
  const digest = createHash('sha256').update(run).digest();
  return [(seed ^ digest.readUInt32LE(0)) >>> 0, (seed ^ digest.readUInt32LE(4)) >>> 0];
}

/**
 * The many numbers inside one event: xoroshiro64** by Blackman and Vigna (https://prng.di.unimi.it/xoroshiro64starstar.c),
 * started afresh for each event from two draws.
 */
export class EventRandom {
  #a = 1;
  #b = 0;

  restart(seed: number, index: number, stream: number): void {
    this.#a = draw(seed, index, stream) | 0;
    this.#b = draw(seed, index, stream + 0x100) | 0;
    if (this.#a === 0 && this.#b === 0) this.#a = 1;
  }

  uint32(): number {
    const a = this.#a;
    const product = Math.imul(a, 0x9e3779bb);
    const result = Math.imul((product << 5) | (product >>> 27), 5);
    const b = this.#b ^ a;
    this.#a = ((a << 26) | (a >>> 6)) ^ b ^ (b << 9);
    this.#b = (b << 13) | (b >>> 19);
    return result >>> 0;
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.uint32() / WORD;
  }

  /** Standard normal (Box and Muller 1958, one of the pair). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.unit()));
    return radius * Math.cos(2 * Math.PI * this.unit());
  }
}
