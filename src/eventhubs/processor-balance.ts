import type { PartitionOwnership } from './checkpoint-store.ts';

/** How often ownership is renewed. */
export const DEFAULT_REBALANCE_MS = 2_000;
/** How long a process may be silent before others take its partitions. */
export const DEFAULT_OWNERSHIP_EXPIRY_MS = 15_000;

export interface BalanceView {
  readonly partitionIds: readonly string[];
  /** What the checkpoint store says. */
  readonly owners: readonly PartitionOwnership[];
  readonly me: string;
  /** Partitions that this process works on now, whatever the store says. */
  readonly mine: ReadonlySet<string>;
  /** Milliseconds since the Unix epoch, and how long a claim lasts. */
  readonly nowMs: number;
  readonly expiryMs: number;
}

export interface BalancePlan {
  /** Partitions that nobody works on. */
  readonly take: readonly string[];
  /** Partitions of a process that works on at least two more than this one. */
  readonly steal: readonly string[];
}

/**
 * What one process claims next, on the way to even shares. Free partitions are taken at once up to the larger share,
 * ceil(partitions / processes), so that none stays unread; the rest comes from whoever has most. A claim in this process's
 * name that it knows nothing of is of an earlier life, so free.
 */
export function planBalance({ partitionIds, owners, me, mine, nowMs, expiryMs }: BalanceView): BalancePlan {
  const ownerOf = new Map<string, string>();
  for (const { partitionId, ownerId, lastModifiedTimeInMs = 0 } of owners)
    if (ownerId !== '' && ownerId !== me && nowMs - lastModifiedTimeInMs < expiryMs)
      ownerOf.set(partitionId, ownerId);
  const held = new Map<string, string[]>();
  const free: string[] = [];
  for (const id of partitionIds) {
    const owner = ownerOf.get(id);
    if (owner !== undefined) held.set(owner, [...(held.get(owner) ?? []), id]);
    else if (!mine.has(id)) free.push(id);
  }
  const share = Math.ceil(partitionIds.length / (held.size + 1));
  let have = partitionIds.filter((id) => mine.has(id) && !ownerOf.has(id)).length;
  const take = free.slice(0, Math.max(0, share - have));
  have += take.length;
  const steal: string[] = [];
  while (have < share) {
    const most = [...held.values()].reduce<string[]>((a, b) => (b.length > a.length ? b : a), []);
    const stolen = most.length - have >= 2 ? most.pop() : undefined;
    if (stolen === undefined) break;
    steal.push(stolen);
    have += 1;
  }
  return { take, steal };
}
