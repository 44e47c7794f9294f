import type { Redis } from 'ioredis';
import type { CacheConnection } from './connection.ts';

/** The `name:value` lines of INFO. */
function parseInfo(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

export async function readInfo(node: Redis): Promise<ReadonlyMap<string, string>> {
  return parseInfo(await node.info());
}

/** Bytes in use on all nodes together. */
export async function usedMemory(connection: CacheConnection): Promise<number> {
  const infos = await Promise.all(connection.masters().map(readInfo));
  return infos.reduce((sum, info) => sum + Number(info.get('used_memory') ?? 0), 0);
}
