import type { CosmosConnection } from '../../cosmos/client.ts';
import { readItem } from '../../cosmos/items.ts';
import type {
  BulkWriter,
  Settled,
  WriteFence,
  WriteOperation,
  WriteOutcome,
} from '../../cosmos/write-operation.ts';
import { type JsonObject, valueAt } from '../mapping/template.ts';

/** Conflicts resolved at the same time; the others wait in order. */
const MAX_CONCURRENT = 64;

export type ReadForUpdate = (
  operation: WriteOperation,
) => Promise<
  { readonly item: JsonObject; readonly etag: string; readonly requestCharge: number } | undefined
>;

/**
 * Stores an item only when the stored one is older, whatever the order in which versions arrive.
 *
 * Create first, because most events are new; on a conflict read the stored item, compare, and replace it under its ETag.
 * Whoever loses a race reads again. Settles with status 412 when the stored item is the same or newer.
 */
export function newerOnlyWriter(
  writer: Pick<BulkWriter, 'write'>,
  read: ReadForUpdate,
  newerPath: readonly string[],
): (
  operation: WriteOperation,
  newer: number | string,
  settled: Settled,
  fence?: WriteFence,
) => Promise<void> | undefined {
  const waiting: (() => void)[] = [];
  let running = 0;

  async function inTurn(action: () => Promise<void>): Promise<void> {
    if (running >= MAX_CONCURRENT) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      await action();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  }

  /** Does not wait for room: new writes feel the back-pressure, a conflict in progress must finish. */
  function attempt(operation: WriteOperation, fence: WriteFence | undefined): Promise<WriteOutcome> {
    return new Promise((resolve, reject) => {
      writer.write(operation, resolve, fence)?.catch(reject);
    });
  }

  async function resolveConflict(
    operation: WriteOperation,
    newer: number | string,
    fence: WriteFence | undefined,
  ): Promise<WriteOutcome> {
    let spent = 0;
    for (;;) {
      const stored = await read(operation);
      spent += stored?.requestCharge ?? 0;
      if (stored !== undefined && !isNewer(newer, valueAt(stored.item, newerPath)))
        return {
          ok: false,
          statusCode: 412,
          reason: 'the stored item is not older',
          poison: true,
          attempts: 1,
        };
      const outcome = await attempt(
        stored === undefined ? operation : { ...operation, kind: 'replace', ifMatch: stored.etag },
        fence,
      );
      if (outcome.ok) return { ...outcome, requestCharge: outcome.requestCharge + spent };
      if (![404, 409, 412].includes(outcome.statusCode)) return outcome;
    }
  }

  return (operation, newer, settled, fence) =>
    writer.write(
      operation,
      (outcome) => {
        if (outcome.ok || outcome.statusCode !== 409) {
          settled(outcome);
          return;
        }
        inTurn(async () => settled(await resolveConflict(operation, newer, fence))).catch((error: Error) =>
          settled({ ok: false, statusCode: 0, reason: error.message, poison: false, attempts: 1 }),
        );
      },
      fence,
    );
}

/** Reads the stored version of an operation's item with one point read. */
export function readThrough(connection: CosmosConnection): ReadForUpdate {
  return ({ id, partitionKey }) => readItem<JsonObject>(connection, id, partitionKey);
}

/** An item without a comparable value counts as older: it was not written by this rule. */
function isNewer(candidate: number | string, stored: unknown): boolean {
  if (typeof candidate === 'number' && typeof stored === 'number') return candidate > stored;
  if (typeof candidate === 'string' && typeof stored === 'string') return candidate > stored;
  return true;
}
