import { type HubReader, type HubState, openHubReader } from '../../eventhubs/backlog.ts';
import {
  type Checkpoint,
  type CheckpointScope,
  type CheckpointStore,
  type ResettableCheckpointStore,
  scopedTo,
} from '../../eventhubs/checkpoint-store.ts';
import { type EventHubsConnection, eventHubsConnection } from '../../eventhubs/connection.ts';
import type { StartFrom } from '../../eventhubs/processor-position.ts';
import { compileMapping, type Mapper } from '../mapping/mapping.ts';
import { openCheckpointStore } from './checkpoint-open.ts';
import { type ConnectOptions, openWhenReachable } from './connect.ts';
import { type FollowedHub, followHub } from './followed-hub.ts';
import { type IngestTotals, zeroTotals } from './partition.ts';
import type { IngestStore, openIngestStore } from './store.ts';
import type { IngestOptions } from './types.ts';
import { staleCheckpoints } from './until.ts';

/** What lives as long as an ingest run, whatever happens to a session. */
export interface Run {
  readonly options: IngestOptions;
  readonly connection: EventHubsConnection;
  readonly reader: HubReader;
  readonly hub: FollowedHub;
  readonly store: IngestStore;
  readonly checkpoints: ResettableCheckpointStore;
  readonly mapper: Mapper;
  readonly totals: IngestTotals;
  /** Last durable sequence number of every partition that was ours at some time. */
  readonly reached: Map<string, number | undefined>;
  /** Goes over to another hub of the same name, and forgets the checkpoints of the old one. May be repeated when it fails. */
  replaceHub(state: HubState): Promise<void>;
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
    const state = await reader.read();
    const opened = await openStore(options.cosmos, options.ru, options.create);
    store = opened;
    if (options.mapping?.ttlSeconds !== undefined && opened.keepsForever)
      options.onProblem?.(
        `items will not expire: container ${options.cosmos.container} has no default time to live (set it to -1)`,
      );
    const checkpoints = scopedTo(
      await openCheckpointStore(options.checkpoints, opened.connection, clock),
      connection.host,
    );
    const scope: CheckpointScope = {
      fullyQualifiedNamespace: connection.host,
      eventHubName: connection.eventHub,
      consumerGroup: eventHubs.consumerGroup,
    };
    const late = await prepareCheckpoints(options, scope, state, checkpoints, from);
    const hub = followHub(state, from, late);
    const reached: Run['reached'] = new Map();
    const mapper = await compileMapping(options.mapping ?? {}, opened.partitionKeyPaths, clock);
    return {
      options,
      connection,
      reader,
      hub,
      store: opened,
      checkpoints,
      mapper,
      totals: zeroTotals(),
      reached,
      async replaceHub(next) {
        const stale = (await listCheckpoints(checkpoints, scope)).filter(
          ({ hubCreatedMs }) => hubCreatedMs !== next.createdMs,
        );
        await checkpoints.resetCheckpoints(scope, partitionIdsOf(stale));
        if (options.create !== undefined) await createAgain(options, openStore);
        hub.replace(next);
        reached.clear();
      },
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

/** Where the hub is new the account may be too: an embedded stack without --data that was started again. */
async function createAgain({ cosmos, create, ru }: IngestOptions, openStore: typeof openIngestStore) {
  // Another worker may be faster, which is a conflict.
  const store = await openStore(cosmos, ru, create).catch(() => openStore(cosmos, ru));
  store.close();
}

const listCheckpoints = (store: CheckpointStore, scope: CheckpointScope): Promise<Checkpoint[]> =>
  store.listCheckpoints(scope.fullyQualifiedNamespace, scope.eventHubName, scope.consumerGroup);

const partitionIdsOf = (checkpoints: readonly Checkpoint[]): string[] =>
  checkpoints.map(({ partitionId }) => partitionId);

/**
 * Forgets checkpoints that do not apply, and pins `latest` so that it means the same to whoever takes over a partition.
 * Returns the partitions that `latest` is not for: the group has checkpoints, so it has started before, and where it has none
 * everything came after that.
 */
async function prepareCheckpoints(
  options: IngestOptions,
  scope: CheckpointScope,
  hub: HubState,
  checkpoints: ResettableCheckpointStore,
  from: StartFrom,
): Promise<readonly string[]> {
  const existing = await listCheckpoints(checkpoints, scope);
  const stale = options.restart ? existing : staleCheckpoints(hub, existing);
  if (stale.length > 0) {
    await checkpoints.resetCheckpoints(scope, partitionIdsOf(stale));
    if (!options.restart)
      options.onProblem?.(
        `${stale.length} checkpoints are of an earlier event hub of the same name; starting ${scope.eventHubName} at ${from.kind}`,
      );
  }
  if (from.kind !== 'latest') return [];
  const kept = new Set(partitionIdsOf(await listCheckpoints(checkpoints, scope)));
  const without = hub.partitions.filter(({ partitionId }) => !kept.has(partitionId));
  if (kept.size > 0) return without.map(({ partitionId }) => partitionId);
  // All at once: a process that starts beside this one must not take the partitions that come last for late ones.
  await Promise.all(
    without
      .filter(({ lastSequenceNumber }) => lastSequenceNumber >= 0)
      .map(({ partitionId, lastSequenceNumber, lastOffset }) =>
        checkpoints.updateCheckpoint({
          ...scope,
          partitionId,
          sequenceNumber: lastSequenceNumber,
          offset: lastOffset,
          hubCreatedMs: hub.createdMs,
        }),
      ),
  );
  return [];
}
