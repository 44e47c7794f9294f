import type { PartitionContext } from '@azure/event-hubs';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { EventHubsConnection } from './connection.ts';
import { limitCredit } from './processor-credit.ts';
import { decodedEvent, decodeTransfers } from './processor-decode.ts';
import { onEveryReceiver } from './processor-links.ts';
import type { SdkPosition } from './processor-position.ts';
import { type ReceivedEvent, toReceivedEvent } from './received-event.ts';

export interface PartitionHandler {
  /** The partition is ours from now on. */
  opened(partitionId: string): void;
  /** Takes one page, in order. The next one comes when the promise resolves: that is the back-pressure. */
  page(partitionId: string, events: readonly ReceivedEvent[]): Promise<void>;
  /** No more pages of this partition; ownership is given up (`shutdown`) or was taken (`lost`) once the promise resolves. */
  closed(partitionId: string, reason: 'shutdown' | 'lost'): Promise<void>;
  /** Something went wrong that the SDK retries; `undefined` when it is about no partition in particular. */
  failed(partitionId: string | undefined, error: Error): void;
}

export interface ProcessorOptions {
  readonly connection: EventHubsConnection;
  readonly consumerGroup: string;
  /** Name of this process among the owners. */
  readonly ownerId: string;
  readonly checkpoints: CheckpointStore;
  /** Where to start without a checkpoint, by partition id. */
  readonly positions: Readonly<Record<string, SdkPosition>>;
  readonly handler: PartitionHandler;
  /** Most events of one page, default 500. */
  readonly pageSize?: number;
  /** Most events of one partition that wait in memory behind the current page, default twice the page. */
  readonly prefetch?: number;
  /** How often ownership is renewed and balanced, default 2,000. */
  readonly rebalanceMs?: number;
  /** How long a process may be silent before others take its partitions, default 15,000. */
  readonly ownershipExpiryMs?: number;
}

export interface Processor {
  /** Stops receiving, waits for `closed` of every partition, and gives the partitions up. */
  stop(): Promise<void>;
}

/** Pages that are not full come 20 ms after their first event whatever this says; it only bounds the wait for the first one. */
const MAX_WAIT_SECONDS = 60;

/**
 * Receives from a fair share of the partitions, together with every other process that uses the same checkpoint store.
 *
 * The SDK does the protocol: it claims greedily and attaches with owner level 0, so that the service cuts off a process
 * whose partition was taken. Handlers must not let it see a failure: what `processEvents` throws stalls the partition for
 * as long as an ownership lasts, or loses the page when the error says `retryable`.
 */
export function startProcessor(options: ProcessorOptions): Processor {
  const { connection, handler } = options;
  const pageSize = options.pageSize ?? 500;
  const prefetchCount = options.prefetch ?? pageSize * 2;
  const open = new Set<string>();
  let stopping = false;
  const checkpoints: CheckpointStore = {
    ...options.checkpoints,
    /**
     * An ownership of ours without a receiver is of an earlier life of this owner, or of a receiver that failed. The SDK
     * counts it as load and does not renew it, so that the partition would stand still until it expires.
     */
    async listOwnership(...scope) {
      const owners = await options.checkpoints.listOwnership(...scope);
      return owners.map((entry) =>
        !stopping && entry.ownerId === options.ownerId && !open.has(entry.partitionId)
          ? { ...entry, ownerId: '' }
          : entry,
      );
    },
  };
  const client = connection.consumer(options.consumerGroup, checkpoints, {
    identifier: options.ownerId,
    loadBalancingOptions: {
      strategy: 'greedy',
      updateIntervalInMs: options.rebalanceMs ?? 2_000,
      partitionOwnershipExpirationIntervalInMs: options.ownershipExpiryMs ?? 15_000,
    },
  });
  const creditLimit = Math.max(prefetchCount, pageSize);
  onEveryReceiver(client, (link) => {
    limitCredit(link, creditLimit);
    decodeTransfers(link);
  });
  const report = (context: PartitionContext, error: unknown) =>
    handler.failed(context.partitionId || undefined, connection.explain(error));

  const subscription = client.subscribe(
    {
      processInitialize: async ({ partitionId }) => {
        open.add(partitionId);
        handler.opened(partitionId);
      },
      processEvents: async (events, context) => {
        if (events.length === 0) return;
        try {
          await handler.page(
            context.partitionId,
            events.map((event) => decodedEvent(event) ?? toReceivedEvent(event)),
          );
        } catch (error) {
          report(context, error);
        }
      },
      processClose: async (reason, context) => {
        open.delete(context.partitionId);
        try {
          await handler.closed(context.partitionId, reason === 'OwnershipLost' ? 'lost' : 'shutdown');
        } catch (error) {
          report(context, error);
        }
      },
      processError: async (error, context) => {
        // Somebody else attached to the partition: the SDK closes it as lost, which is all there is to say.
        if ('code' in error && error.code === 'ReceiverDisconnectedError') return;
        report(context, error);
      },
    },
    {
      startPosition: options.positions,
      maxBatchSize: pageSize,
      maxWaitTimeInSeconds: MAX_WAIT_SECONDS,
      prefetchCount,
      skipParsingBodyAsJson: true,
    },
  );
  return {
    async stop() {
      stopping = true;
      await subscription.close();
      await client.close();
    },
  };
}
