import type { Redis } from 'ioredis';
import type { CacheConnection } from './connection.ts';
import { escapeGlob } from './key.ts';

export interface ScanOptions {
  /** Keys looked at per step on the server, default 1000. */
  readonly count?: number;
  readonly type?: string;
  readonly signal?: AbortSignal;
}

export interface ScannedKeys {
  readonly node: Redis;
  readonly keys: readonly string[];
}

/**
 * The keys that begin with `prefix`, taken literally, from every master node in turn. As SCAN promises: a key that is there
 * all the time is returned; one that comes or goes meanwhile may be; a key may come twice.
 */
export async function* scanPrefix(
  connection: CacheConnection,
  prefix: string,
  { count = 1000, type, signal }: ScanOptions = {},
): AsyncGenerator<ScannedKeys> {
  const pattern = `${escapeGlob(prefix)}*`;
  for (const node of connection.masters()) {
    let cursor = '0';
    do {
      signal?.throwIfAborted();
      const [next, keys] =
        type === undefined
          ? await node.scan(cursor, 'MATCH', pattern, 'COUNT', count)
          : await node.scan(cursor, 'MATCH', pattern, 'COUNT', count, 'TYPE', type);
      cursor = next;
      if (keys.length > 0) yield { node, keys };
    } while (cursor !== '0');
  }
}
