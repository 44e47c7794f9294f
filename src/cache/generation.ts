import type { CacheConnection } from './connection.ts';

const generationKey = (prefix: string): string => `${prefix}generation`;

/**
 * Keys that carry a generation are flushed all at once by counting it up: readers and writers turn to the new prefix, and
 * the old keys leave by their TTL. Takes one command however many keys there are.
 */
export async function nextGeneration(connection: CacheConnection, prefix: string): Promise<number> {
  return connection.client.incr(generationKey(prefix));
}

/** The current generation, 0 before the first flush. */
export async function currentGeneration(connection: CacheConnection, prefix: string): Promise<number> {
  return Number((await connection.client.get(generationKey(prefix))) ?? 0);
}

/** The prefix that keys of a generation begin with: `orders:g7:`. */
export function generationPrefix(prefix: string, generation: number): string {
  return `${prefix}g${generation}:`;
}
