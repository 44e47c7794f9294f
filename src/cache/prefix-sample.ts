import type { CacheConnection } from './connection.ts';
import { scanPrefix } from './scan.ts';

export interface PrefixShare {
  /** The key up to and including the first colon, or the whole key. */
  readonly prefix: string;
  readonly keys: number;
  /** Share of the keys looked at, 0 to 1. */
  readonly share: number;
  readonly meanBytes: number;
  readonly withoutTtl: number;
  readonly ttlMedianMs: number | undefined;
}

const MEASURED_PER_STEP = 50;

/** Looks at up to `budget` keys (SCAN gives them in no meaningful order) and groups them by their first part. */
export async function samplePrefixes(
  connection: CacheConnection,
  options: { readonly budget: number; readonly signal?: AbortSignal },
): Promise<readonly PrefixShare[]> {
  const groups = new Map<string, { keys: number; sizes: number[]; ttls: number[] }>();
  let seen = 0;
  for await (const { node, keys } of scanPrefix(connection, '', {
    count: 500,
    ...(options.signal && { signal: options.signal }),
  })) {
    const looked = keys.slice(0, options.budget - seen);
    seen += looked.length;
    for (const key of looked) groupOf(groups, key).keys++;
    const measured = looked.slice(0, MEASURED_PER_STEP);
    const pipeline = node.pipeline();
    for (const key of measured) pipeline.memory('USAGE', key).pttl(key);
    const replies = (await pipeline.exec()) ?? [];
    measured.forEach((key, index) => {
      const group = groupOf(groups, key);
      group.sizes.push(Number(replies[index * 2]?.[1] ?? 0));
      group.ttls.push(Number(replies[index * 2 + 1]?.[1] ?? -2));
    });
    if (seen >= options.budget) break;
  }
  return [...groups]
    .map(([prefix, { keys, sizes, ttls }]) => {
      const expiring = ttls.filter((ttl) => ttl >= 0).sort((a, b) => a - b);
      return {
        prefix,
        keys,
        share: keys / seen,
        meanBytes: sizes.length === 0 ? 0 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length,
        withoutTtl: ttls.filter((ttl) => ttl === -1).length,
        ttlMedianMs: expiring[Math.floor(expiring.length / 2)],
      };
    })
    .sort((a, b) => b.keys - a.keys);
}

function groupOf(
  groups: Map<string, { keys: number; sizes: number[]; ttls: number[] }>,
  key: string,
): { keys: number; sizes: number[]; ttls: number[] } {
  const prefix = key.slice(0, key.indexOf(':') + 1) || key;
  const group = groups.get(prefix) ?? { keys: 0, sizes: [], ttls: [] };
  groups.set(prefix, group);
  return group;
}
