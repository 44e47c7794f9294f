import type { CosmosTarget } from '../../config/targets.ts';
import { createBulkWriter } from '../../cosmos/bulk-writer.ts';
import { type CosmosConnection, openCosmos } from '../../cosmos/client.ts';
import { type ContainerSpec, provision, readContainer } from '../../cosmos/containers.ts';
import type { BulkWriter } from '../../cosmos/write-operation.ts';
import type { RuBudget } from '../../cosmos/writer/ru-budget.ts';
import type { RuRecorder, StageRecorder } from '../../metrics/types.ts';
import type { Clock } from '../../util/clock.ts';
import { type ReadForUpdate, readThrough } from './newer.ts';

export interface WriterLimits {
  /** Bodies accepted and not settled, in bytes, over all partitions. */
  readonly maxBufferedBytes?: number;
  /** Longest time an operation waits for its batch to fill. */
  readonly maxWaitMs?: number;
  /** Request units per second to stay within. */
  readonly ruBudget?: RuBudget;
}

export interface WriterHooks extends WriterLimits {
  readonly recorder: StageRecorder;
  readonly ru: RuRecorder;
  readonly clock: Clock;
  /** Aborted when what is not on the wire yet must fail at once. */
  readonly signal: AbortSignal;
  /** Events come late already, so that full requests matter more than prompt ones. */
  readonly isBehind?: () => boolean;
}

/** The container that events go to, as `ingest` needs it. */
export interface IngestStore {
  readonly partitionKeyPaths: readonly string[];
  /** The container has no time to live, so that Cosmos DB ignores that of an item. */
  readonly keepsForever: boolean;
  readonly connection: () => Promise<CosmosConnection>;
  readonly read: ReadForUpdate;
  openWriter(hooks: WriterHooks): Promise<BulkWriter>;
  close(): void;
}

/** Opens the container, after creating it when `create` says how. Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND. */
export async function openIngestStore(
  target: CosmosTarget,
  ru: RuRecorder,
  create?: ContainerSpec,
): Promise<IngestStore> {
  const connection = await openCosmos(target, { ru });
  try {
    const info = create === undefined ? await readContainer(connection) : await provision(connection, create);
    return {
      partitionKeyPaths: info.partitionKey.paths,
      keepsForever: info.defaultTtlSeconds === undefined,
      connection: async () => connection,
      read: readThrough(connection),
      openWriter: ({ recorder, ...hooks }) =>
        createBulkWriter({ connection, recorder: throttlesOnly(recorder), ...hooks }),
      close: () => connection.dispose(),
    };
  } catch (error) {
    connection.dispose();
    throw error;
  }
}

/** The ingest stage counts events itself; of the writer it wants to know what only the writer sees. */
function throttlesOnly(recorder: StageRecorder): StageRecorder {
  const ignore = () => {};
  return {
    name: recorder.name,
    offered: ignore,
    done: ignore,
    failed: ignore,
    throttled: (count) => recorder.throttled(count),
    inFlight: ignore,
    serviceTime: ignore,
    latency: ignore,
  };
}
