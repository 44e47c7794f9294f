import type { FeedChange, FeedPage } from '../../../src/cosmos/change-feed/types.ts';

/** A change of the item `{id, pk, ...fields}` at 2026-11-22T12:00:00Z. */
export function changeOf(fields: Readonly<Record<string, unknown>> = {}, lsn = 1): FeedChange {
  const item = { id: `item-${lsn}`, pk: 'dev-1', ...fields };
  return {
    id: item.id,
    partitionKey: item.pk,
    lsn,
    storedMs: Date.UTC(2026, 10, 22, 12),
    operation: 'upsert',
    item,
  };
}

export function pageOf(changes: readonly FeedChange[]): FeedPage {
  return {
    rangeId: '0',
    feedRange: { min: '10000000000000000000000000000000', max: '20000000000000000000000000000000' },
    changes,
    continuation: '"9"',
    lsn: changes.at(-1)?.lsn ?? 0,
    lagItems: 3,
    receivedMs: Date.UTC(2026, 10, 22, 12, 4, 31, 102),
    requestCharge: 1,
  };
}
