import type { HubState } from '../../eventhubs/backlog.ts';
import { PipeError } from '../../util/errors.ts';
import { openRun } from './run.ts';
import { Session } from './session.ts';
import { openIngestStore } from './store.ts';
import type { IngestOptions, IngestResult } from './types.ts';

const RESTART_DELAY_MS = { first: 500, most: 10_000 } as const;

/**
 * Stores the events of an event hub in a Cosmos DB container, each at least once, under an id that makes a repeated write an
 * overwrite. Shares the partitions with every process that uses the same checkpoint store and consumer group.
 *
 * A checkpoint is the highest sequence number up to which every event is stored (or in the dead letter). When Cosmos DB
 * cannot be reached for longer than the writer retries, receiving starts again at the checkpoints, so that the order per
 * partition key holds.
 *
 * A hub that is deleted and made again meanwhile is read from its first event, as are partitions that are added to it.
 *
 * Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND when either service cannot be used at the start (E_UNREACHABLE after
 * `limits.connectMs`), E_AUTH or E_NOT_FOUND when Cosmos DB refuses writes later, E_NOT_FOUND when the hub is gone for a minute,
 * E_CONFIG for an event that cannot be stored without a dead letter.
 */
export async function ingest(
  options: IngestOptions,
  openStore: typeof openIngestStore = openIngestStore,
): Promise<IngestResult> {
  const run = await openRun(options, openStore);
  const { clock, signal, onProblem } = options;
  const startedAt = clock.now();
  let replacedBy: HubState | undefined;
  const session = async () => {
    if (replacedBy !== undefined) await run.replaceHub(replacedBy);
    replacedBy = undefined;
    return new Session(run, startedAt).run();
  };
  try {
    for (
      let delayMs: number = RESTART_DELAY_MS.first;
      ;
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS.most)
    ) {
      const storedBefore = run.totals.stored;
      const end = await session().catch((error: Error) => error);
      if (!(end instanceof Error) && end.ended === 'replaced') {
        replacedBy = end.replacedBy;
        continue;
      }
      if (!(end instanceof Error)) return { ...run.totals, ...end, durationMs: clock.now() - startedAt };
      if (!(end instanceof PipeError) || end.code !== 'E_UNREACHABLE' || signal.aborted) throw end;
      if (run.totals.stored > storedBefore) delayMs = RESTART_DELAY_MS.first;
      onProblem?.(`${end.message}; continuing from the checkpoints`);
      await clock.sleep(delayMs, signal).catch(() => {});
    }
  } finally {
    await run.close();
  }
}
