import { join } from 'node:path';
import type { AmqpCondition } from '../amqp/errors.ts';
import { PartitionLog, type PartitionLogOptions } from './partition-log.ts';
import { Producers } from './producers.ts';

/** A receiver as others see it. */
export interface AttachedReceiver {
  /** Owner level; undefined for a receiver that shares. */
  readonly epoch: number | undefined;
  readonly name: string;
  detach(error: AmqpCondition): void;
}

export interface Partition {
  readonly id: string;
  readonly log: PartitionLog;
  readonly producers: Producers;
  /** Receivers by consumer group, lower-cased. */
  readonly receivers: Map<string, Set<AttachedReceiver>>;
}

/** One event hub: its partitions, its consumer groups, and who is connected to it. */
export class Hub {
  readonly name: string;
  readonly createdMs: number;
  readonly partitions: readonly Partition[] = [];
  /** By lower-cased name. */
  readonly consumerGroups: Map<string, string>;
  /** Ends a link when the hub is deleted. */
  readonly links = new Set<() => void>();
  readonly #log: PartitionLogOptions;
  #turn = 0;

  constructor(options: {
    readonly name: string;
    readonly partitionCount: number;
    readonly consumerGroups: readonly string[];
    readonly createdMs: number;
    readonly log: PartitionLogOptions;
  }) {
    this.name = options.name;
    this.createdMs = options.createdMs;
    const groups = ['$Default', ...options.consumerGroups];
    this.consumerGroups = new Map(groups.map((group) => [group.toLowerCase(), group]));
    this.#log = options.log;
    this.grow(options.partitionCount);
  }

  /** Adds partitions up to this count; keys are spread over all of them from then on. */
  grow(partitionCount: number): void {
    const partitions = this.partitions as Partition[];
    for (let index = partitions.length; index < partitionCount; index += 1) {
      const id = String(index);
      const folder = this.#log.folder === undefined ? {} : { folder: join(this.#log.folder, id) };
      partitions.push({
        id,
        log: new PartitionLog({ ...this.#log, ...folder }),
        // Ids are unique within a hub, whatever partition gave them out.
        producers: new Producers(index * 0x1_0000_0000 + 1),
        receivers: new Map(),
      });
    }
  }

  partition(id: string): Partition | undefined {
    return this.partitions.find((partition) => partition.id === id);
  }

  /** The partition for a message without partition id and key. */
  nextPartition(): Partition {
    this.#turn = (this.#turn + 1) % this.partitions.length;
    return this.partitions[this.#turn]!;
  }

  get receiverCount(): number {
    let count = 0;
    for (const { receivers } of this.partitions) for (const group of receivers.values()) count += group.size;
    return count;
  }
}
