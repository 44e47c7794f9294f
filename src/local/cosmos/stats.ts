import type { ContainerEntry } from './catalog.ts';
import type { LogicalPartition } from './partition.ts';

export interface RangeStats {
  readonly id: string;
  readonly documents: number;
  readonly sizeBytes: number;
  readonly limitPerSecond: number;
  /** Request units spent in the second before this one. */
  readonly requestChargePerSecond: number;
  readonly requestChargeTotal: number;
  readonly throttled: number;
  /** Partition keys that cost the most since the start, in descending order. */
  readonly hottestKeys: readonly { readonly partitionKey: string; readonly requestCharge: number }[];
}

export interface ContainerStats {
  readonly database: string;
  readonly container: string;
  readonly throughput: number;
  readonly autoscale: boolean;
  readonly documents: number;
  readonly sizeBytes: number;
  readonly requestChargePerSecond: number;
  readonly requestChargeTotal: number;
  readonly throttled: number;
  readonly ranges: readonly RangeStats[];
}

export interface CosmosStats {
  readonly containers: readonly ContainerStats[];
}

const HOTTEST = 5;

/** Figures of a container now. @param nowMs monotonic time, as the budgets use it */
export function containerStats({ database, container }: ContainerEntry, nowMs: number): ContainerStats {
  const hottest = hottestByRange(container.logicalPartitions);
  const ranges = container.ranges.map((range): RangeStats => {
    const { lastSecond, total, throttled } = range.budget.usage(nowMs);
    return {
      id: range.id,
      documents: range.liveItems,
      sizeBytes: range.liveBytes,
      limitPerSecond: container.throughput.maximum / container.ranges.length,
      requestChargePerSecond: lastSecond,
      requestChargeTotal: total,
      throttled,
      hottestKeys: hottest.get(range.id) ?? [],
    };
  });
  const sum = (pick: (range: RangeStats) => number): number =>
    ranges.reduce((total, range) => total + pick(range), 0);
  return {
    database: database.id,
    container: container.definition.id,
    throughput: container.throughput.maximum,
    autoscale: container.throughput.autoscale,
    documents: sum((range) => range.documents),
    sizeBytes: sum((range) => range.sizeBytes),
    requestChargePerSecond: sum((range) => range.requestChargePerSecond),
    requestChargeTotal: sum((range) => range.requestChargeTotal),
    throttled: sum((range) => range.throttled),
    ranges,
  };
}

type HotKeys = { partitionKey: string; requestCharge: number }[];

function hottestByRange(partitions: Iterable<LogicalPartition>): Map<string, HotKeys> {
  const byRange = new Map<string, HotKeys>();
  for (const { physical, text, requestCharge } of partitions) {
    let keys = byRange.get(physical.id);
    if (keys === undefined) {
      keys = [];
      byRange.set(physical.id, keys);
    }
    if (keys.length === HOTTEST && requestCharge <= (keys.at(-1)?.requestCharge ?? 0)) continue;
    keys.push({ partitionKey: text, requestCharge });
    keys.sort((a, b) => b.requestCharge - a.requestCharge);
    keys.length = Math.min(keys.length, HOTTEST);
  }
  return byRange;
}
