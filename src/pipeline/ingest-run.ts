import { type HubReader, type HubState, openHubReader } from '../eventhubs/backlog.ts';
import { type ResettableCheckpointStore, scopedTo } from '../eventhubs/checkpoint-store.ts';
import { type EventHubsConnection, eventHubsConnection } from '../eventhubs/connection.ts';
import { type SdkPosition, type StartFrom, sdkPosition } from '../eventhubs/processor-position.ts';
import { openCheckpointStore } from './checkpoint-open.ts';
import { type ConnectOptions, openWhenReachable } from './ingest-connect.ts';
import { type IngestTotals, zeroTotals } from './ingest-partition.ts';
import type { IngestStore, openIngestStore } from './ingest-store.ts';
import type { IngestOptions } from './ingest-types.ts';
import { staleCheckpoints } from './ingest-until.ts';
import { compileMapping, type Mapper } from './mapping.ts';

/** What lives as long as an ingest run, whatever happens to a session. */
export interface Run {
  readonly options: IngestOptions;
  readonly connection: EventHubsConnection;
  readonly reader: HubReader;
  readonly hub: HubState;
  readonly store: IngestStore;
  readonly checkpoints: ResettableCheckpointStore;
  readonly positions: Readonly<Record<string, SdkPosition>>;
  readonly from: StartFrom;
  readonly mapper: Mapper;
  readonly totals: IngestTotals;
  /** Last durable sequence number of every partition that was ours at some time. */
  readonly reached: Map<string, number | undefined>;
  close(): Promise<void>;
}

/** Opens both services. One that cannot be reached is tried again for `limits.connectMs`. */
export function openRun(options: IngestOptions, openStore: typeof openIngestStore): Promise<Run> {
  return openWhenReachable(connectOptions(options), () => open(options, openStore));
}

export function connectOptions({ clock, limits, onProblem, signal }: IngestOptions): ConnectOptions {
  return { clock, signal, onProblem, connectMs: limits?.connectMs };
}

async function open(options: IngestOptions, openStore: typeof openIngestStore): Promise<Run> {
  const { clock, eventHubs } = options;
  const from = options.from ?? { kind: 'earliest' };
  const connection = await eventHubsConnection(eventHubs);
  const reader = openHubReader(connection, eventHubs.consumerGroup);
  let store: IngestStore | undefined;
  try {
    const hub = await reader.read();
    const opened = await openStore(options.cosmos, options.ru, options.create);
    store = opened;
    const checkpoints = scopedTo(
      await openCheckpointStore(options.checkpoints, opened.connection, clock),
      connection.host,
    );
    await prepareCheckpoints(options, connection, hub, checkpoints, from);
    const mapper = await compileMapping(options.mapping ?? {}, opened.partitionKeyPaths, clock);
    return {
      options,
      connection,
      reader,
      hub,
      store: opened,
      checkpoints,
      positions: Object.fromEntries(
        hub.partitions.map((partition) => [partition.partitionId, sdkPosition(from, partition)]),
      ),
      from,
      mapper,
      totals: zeroTotals(),
      reached: new Map(),
      async close() {
        await reader.close();
        opened.close();
      },
    };
  } catch (error) {
    store?.close();
    await reader.close();
    throw error;
  }
}

/** Forgets checkpoints that do not apply, and pins `latest` so that it means the same to whoever takes over a partition. */
async function prepareCheckpoints(
  options: IngestOptions,
  connection: EventHubsConnection,
  hub: HubState,
  checkpoints: ResettableCheckpointStore,
  from: StartFrom,
): Promise<void> {
  const scope = {
    fullyQualifiedNamespace: connection.host,
    eventHubName: connection.eventHub,
    consumerGroup: options.eventHubs.consumerGroup,
  };
  const list = () => checkpoints.listCheckpoints(connection.host, connection.eventHub, scope.consumerGroup);
  const existing = await list();
  const stale = options.restart ? existing : staleCheckpoints(hub, existing);
  if (stale.length > 0) {
    await checkpoints.resetCheckpoints(
      scope,
      stale.map((checkpoint) => checkpoint.partitionId),
    );
    if (!options.restart)
      options.onProblem?.(
        `${stale.length} checkpoints are of an earlier event hub of the same name; starting ${connection.eventHub} at ${from.kind}`,
      );
  }
  if (from.kind !== 'latest') return;
  const kept = new Set((await list()).map((checkpoint) => checkpoint.partitionId));
  for (const { partitionId, lastSequenceNumber, lastOffset } of hub.partitions) {
    if (kept.has(partitionId) || lastSequenceNumber < 0) continue;
    await checkpoints.updateCheckpoint({
      ...scope,
      partitionId,
      sequenceNumber: lastSequenceNumber,
      offset: lastOffset,
      hubCreatedMs: hub.createdMs,
    });
  }
}
