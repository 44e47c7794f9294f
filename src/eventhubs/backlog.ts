import { setTimeout as delay } from 'node:timers/promises';
import type { EventHubConsumerClient } from '@azure/event-hubs';
import { type CheckpointStore, isOfHub } from './checkpoint-store.ts';
import type { EventHubsConnection } from './connection.ts';
import { DEFAULT_OWNERSHIP_EXPIRY_MS } from './processor-balance.ts';
import type { PartitionState } from './processor-position.ts';

export interface HubState {
  /** When the hub was created, milliseconds since the Unix epoch. */
  readonly createdMs: number;
  readonly partitions: readonly PartitionState[];
}

/** Asks the service where the partitions of a hub end. Reads no event and takes no ownership. */
export interface HubReader {
  read(): Promise<HubState>;
  close(): Promise<void>;
}

/** A management call of the SDK can wait without end for a connection that was lost; a second one brings an answer. */
const ANSWER_MS = 20_000;

/**
 * Each `read` costs one management call and one per partition. Throws PipeError E_UNREACHABLE, E_AUTH or E_NOT_FOUND; the
 * next `read` after that has a connection of its own.
 */
export function openHubReader(
  connection: EventHubsConnection,
  consumerGroup: string,
  answerMs = ANSWER_MS,
): HubReader {
  let client: EventHubConsumerClient | undefined;

  async function ask(asked: EventHubConsumerClient): Promise<HubState> {
    const { createdOn, partitionIds } = await asked.getEventHubProperties();
    const partitions = await Promise.all(
      partitionIds.map(async (partitionId): Promise<PartitionState> => {
        const state = await asked.getPartitionProperties(partitionId);
        return {
          partitionId,
          beginningSequenceNumber: state.beginningSequenceNumber,
          lastSequenceNumber: state.lastEnqueuedSequenceNumber,
          lastOffset: String(state.lastEnqueuedOffset),
          lastEnqueuedMs: state.lastEnqueuedOnUtc.getTime(),
          isEmpty: state.isEmpty,
        };
      }),
    );
    return { createdMs: createdOn.getTime(), partitions };
  }

  return {
    async read() {
      client ??= connection.consumer(consumerGroup);
      const asked = client;
      const deadline = new AbortController();
      try {
        const answer = ask(asked);
        // Whoever loses the race has nobody left to tell.
        answer.catch(() => {});
        return await Promise.race([
          answer,
          delay(answerMs, undefined, { signal: deadline.signal }).then(() => {
            throw new Error(`timed out: no answer about the partitions within ${answerMs / 1_000} s`);
          }),
        ]);
      } catch (error) {
        if (client === asked) client = undefined;
        asked.close().catch(() => {});
        throw connection.explain(error);
      } finally {
        deadline.abort();
      }
    },
    close: async () => client?.close(),
  };
}

/** How far a consumer group is behind in one partition. */
export interface PartitionBacklog {
  readonly partitionId: string;
  /** Process that owns the partition now, `undefined` when none does. */
  readonly owner: string | undefined;
  /** Last event that is durable, `undefined` without a checkpoint. */
  readonly checkpoint: number | undefined;
  readonly lastSequenceNumber: number;
  /** Events that the partition holds and the checkpoint does not cover. */
  readonly lagEvents: number;
  /** When the newest event came in, milliseconds since the Unix epoch; `undefined` for an empty partition. */
  readonly lastEnqueuedMs: number | undefined;
}

/** Compares the ends of the partitions with the checkpoints of a consumer group. Owners silent for `expiryMs` do not count. */
export async function readBacklog(options: {
  readonly connection: EventHubsConnection;
  readonly consumerGroup: string;
  readonly checkpoints: CheckpointStore;
  readonly nowMs: number;
  readonly expiryMs?: number;
}): Promise<readonly PartitionBacklog[]> {
  const { connection, consumerGroup, checkpoints, nowMs, expiryMs = DEFAULT_OWNERSHIP_EXPIRY_MS } = options;
  const reader = openHubReader(connection, consumerGroup);
  try {
    const [{ createdMs, partitions }, stored, owners] = await Promise.all([
      reader.read(),
      checkpoints.listCheckpoints(connection.host, connection.eventHub, consumerGroup),
      checkpoints.listOwnership(connection.host, connection.eventHub, consumerGroup),
    ]);
    return partitions.map((partition) => {
      const { partitionId } = partition;
      const checkpoint = stored.find(
        (entry) => entry.partitionId === partitionId && isOfHub(entry, createdMs),
      )?.sequenceNumber;
      const owner = owners.find(
        (entry) =>
          entry.partitionId === partitionId &&
          entry.ownerId !== '' &&
          nowMs - (entry.lastModifiedTimeInMs ?? 0) < expiryMs,
      );
      return {
        partitionId,
        owner: owner?.ownerId,
        checkpoint,
        lastSequenceNumber: partition.lastSequenceNumber,
        lagEvents: lagOf(partition, checkpoint ?? -1),
        lastEnqueuedMs: partition.isEmpty ? undefined : partition.lastEnqueuedMs,
      };
    });
  } finally {
    await reader.close();
  }
}

/** Events after `sequenceNumber` that the partition still holds. */
export function lagOf(partition: PartitionState, sequenceNumber: number): number {
  if (partition.isEmpty) return 0;
  return Math.max(
    0,
    partition.lastSequenceNumber - Math.max(sequenceNumber, partition.beginningSequenceNumber - 1),
  );
}
