import { createBulkWriter } from '../../cosmos/bulk-writer.ts';
import type { CosmosConnection } from '../../cosmos/client.ts';
import { PipeError } from '../../util/errors.ts';

const ITEM_BYTES = 1_000;
const ITEMS_PER_KEY = 5;

export interface BenchItem {
  readonly partitionKey: string;
  readonly id: string;
}

/** Writes items of about 1 KB and returns their addresses. Throws a PipeError when one could not be written. */
export async function writeBenchItems(
  cosmos: CosmosConnection,
  count: number,
): Promise<readonly BenchItem[]> {
  const writer = await createBulkWriter({ connection: cosmos });
  const items = Array.from({ length: count }, (_, index) => ({
    id: `item-${index}`,
    partitionKey: `device-${Math.floor(index / ITEMS_PER_KEY)}`,
  }));
  let failure: string | undefined;
  for (const { id, partitionKey } of items) {
    const bare = JSON.stringify({ id, deviceId: partitionKey, text: '' });
    const body = `${bare.slice(0, -2)}${'x'.repeat(Math.max(0, ITEM_BYTES - bare.length))}"}`;
    await writer.write({ kind: 'upsert', id, partitionKey, body }, (outcome) => {
      if (!outcome.ok) failure ??= outcome.reason;
    });
  }
  await writer.close();
  if (failure !== undefined) throw new PipeError('E_INTERNAL', `cannot write the items (${failure})`);
  return items;
}
