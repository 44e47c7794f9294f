import type { CacheConnection } from './connection.ts';
import { decodeValue } from './value.ts';

/** What a cache holds under a key. */
export type CacheEntry =
  | { readonly kind: 'missing' }
  /** Gone on purpose; the version that a fill must exceed. */
  | { readonly kind: 'tombstone'; readonly version: string }
  /** `version` is absent for a plain string. */
  | { readonly kind: 'document'; readonly json: string; readonly version?: string };

/** Reads entries of both formats: versioned hashes, and plain strings where the key holds one. */
export async function readEntries(
  connection: CacheConnection,
  keys: readonly string[],
): Promise<readonly CacheEntry[]> {
  const replies = await connection.sendForBytes(keys.map((key) => ['hmget', key, 'v', 'd'] as const));
  const strings = keys.filter((_, index) => isWrongType(replies[index]));
  const values = await connection.sendForBytes(strings.map((key) => ['get', key] as const));
  return replies.map((reply, index): CacheEntry => {
    if (!isWrongType(reply)) return fromHash(reply);
    const value = values[strings.indexOf(keys[index] as string)];
    return Buffer.isBuffer(value) ? { kind: 'document', json: decodeValue(value) } : { kind: 'missing' };
  });
}

function fromHash(reply: unknown): CacheEntry {
  if (reply instanceof Error) throw reply;
  const [version, document] = reply as readonly (Buffer | null)[];
  if (document) return { kind: 'document', json: decodeValue(document), version: version?.toString() ?? '' };
  return version ? { kind: 'tombstone', version: version.toString() } : { kind: 'missing' };
}

function isWrongType(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith('WRONGTYPE');
}
