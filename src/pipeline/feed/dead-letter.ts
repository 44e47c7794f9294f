import { appendFile } from 'node:fs/promises';
import type { FeedChange } from '../../cosmos/change-feed/types.ts';

/** Puts a change that no attempt could deliver on a line of its own, with the reason, before the feed goes on. */
export function feedDeadLetter(path: string): (change: FeedChange, error: unknown) => Promise<void> {
  return async ({ id, partitionKey, lsn, operation, item }, error) => {
    const reason = error instanceof Error ? error.message : String(error);
    const line = JSON.stringify({ reason, id, partitionKey, lsn, operation, item });
    await appendFile(path, `${line}\n`, { flush: true });
  };
}
