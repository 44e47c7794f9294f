import type { Clock } from '../../util/clock.ts';
import type { Faults } from '../faults/faults.ts';
import type { LocalService, ServiceOptions } from '../service.ts';

export interface HubDefinition {
  readonly name: string;
  readonly partitionCount: number;
  /** Besides `$Default`, which always exists. */
  readonly consumerGroups?: readonly string[];
}

export interface EventHubsOptions extends ServiceOptions {
  /** Hubs to begin with; `telemetry` with 4 partitions by default. */
  readonly hubs?: readonly HubDefinition[];
  /** Makes an unknown hub (4 partitions) or consumer group at its first use. True by default; else `amqp:not-found`. */
  readonly autoCreate?: boolean;
  readonly sharedAccessKeyName?: string;
  readonly sharedAccessKey?: string;
  /** 1 unit = 1 MB/s and 1000 events/s of ingress for the whole namespace; unlimited by default. */
  readonly throughputUnits?: number;
  /** Events older than this may be dropped, whole segments of 4 MiB at a time. 7 days by default. */
  readonly retentionMs?: number;
  /** The oldest segments of a partition are dropped beyond this. 256 MiB in memory, 1 GiB with `dataDir`, by default. */
  readonly maxBytesPerPartition?: number;
  /** Memory for sealed segments that are read back from `dataDir`, for all partitions together. 64 MiB by default. */
  readonly cacheBytes?: number;
  /** With `dataDir`: acknowledge only after fdatasync. False by default: an event survives SIGKILL, not a power failure. */
  readonly sync?: boolean;
  /** Largest frame we accept. 65536 by default, as the service. */
  readonly maxFrameSize?: number;
  /** Default: none, with a fixed seed. */
  readonly faults?: Faults;
  readonly clock?: Clock;
}

/** An event that another service of the stack puts into a hub, without a connection. */
export interface AppendedEvent {
  /** JSON text. */
  readonly body: string;
  /** Application properties. */
  readonly properties: Readonly<Record<string, string>>;
  /** Decides the partition; without one, partitions take turns. */
  readonly partitionKey?: string | undefined;
}

export interface PartitionStats {
  readonly id: string;
  readonly firstSequenceNumber: number;
  /** -1 when no event was ever stored. */
  readonly lastSequenceNumber: number;
  readonly sizeBytes: number;
}

export interface HubStats {
  readonly name: string;
  readonly consumerGroups: readonly string[];
  readonly partitions: readonly PartitionStats[];
  readonly receivers: number;
}

export interface EventHubsStats {
  readonly connections: number;
  /** Events stored and delivered since the start. */
  readonly eventsIn: number;
  readonly eventsOut: number;
  /** Sends that were answered with server-busy. */
  readonly throttled: number;
  readonly hubs: readonly HubStats[];
}

export interface EventHubsService extends LocalService {
  readonly faults: Faults;
  readonly connectionString: string;
  /** @throws PipeError when it exists already, or a name or number is out of range. */
  createHub(hub: HubDefinition): void;
  /**
   * Adds partitions to a hub, up to this count, as the Premium and Dedicated tiers can.
   *
   * @throws PipeError when there is no such hub, or the count is less than it has.
   */
  growHub(name: string, partitionCount: number): void;
  /** Deletes the hub with its events, and detaches its links. False when there was none. */
  deleteHub(name: string): boolean;
  /** Stores an event without a connection, durably when it returns. @throws Error when there is no such hub. */
  append(hub: string, event: AppendedEvent): void;
  stats(): EventHubsStats;
}
