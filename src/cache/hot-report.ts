import type { Cluster } from 'ioredis';
import { PipeError } from '../util/errors.ts';
import type { CacheConnection } from './connection.ts';
import type { HotKey } from './hot-keys.ts';
import { parseCacheKey } from './key.ts';
import { keySlot } from './slot.ts';

export interface HotReport {
  readonly keys: readonly (HotKey & {
    readonly share: number;
    /** Hash slot of a cluster, 0 to 16383; where the key would be if this is none. */
    readonly slot: number;
    readonly node: string;
  })[];
  readonly gini: number;
}

/** The keys that are asked for most, from the /stats of a running `serve`, with where they live. Throws E_UNREACHABLE. */
export async function readHotKeys(connection: CacheConnection, serveUrl: string): Promise<HotReport> {
  const url = new URL('/stats', serveUrl);
  let document: {
    readonly hot?: { readonly keys: readonly (HotKey & { share: number })[]; readonly gini: number };
  };
  try {
    const response = await fetch(url);
    document = (await response.json()) as typeof document;
  } catch (cause) {
    throw new PipeError('E_UNREACHABLE', `cannot read ${url.href} (${(cause as Error).message})`, {
      hint: 'start `cosmos-pipe serve`, and pass its address to --serve',
      cause,
    });
  }
  const { keys = [], gini = 0 } = document.hot ?? {};
  return {
    gini,
    keys: keys.map((each) => {
      const slot = keySlot(each.key);
      return { ...each, slot, node: nodeOf(connection, slot) };
    }),
  };
}

/** One line per key that has the form of ours, as `warm --keys-file` reads them. */
export function hotFileText({ keys }: HotReport, prefix: string): string {
  const lines = keys
    .map(({ key }) => parseCacheKey(prefix, key))
    .filter((parsed) => parsed !== undefined)
    .map((parsed) => JSON.stringify(parsed));
  return lines.map((line) => `${line}\n`).join('');
}

function nodeOf(connection: CacheConnection, slot: number): string {
  if (!connection.client.isCluster) return connection.address;
  return (connection.client as Cluster).slots[slot]?.[0] ?? 'unknown';
}
