import { findRange, midpointOf } from '../../hashing/effective-partition-key.ts';
import { badRequest, notFound, rangeGone } from './errors.ts';
import type { PartitionLog, RecordHead } from './log.ts';
import { PhysicalPartition, takeOver } from './partition.ts';

interface Bounds {
  readonly minInclusive: string;
  readonly maxExclusive: string;
}

/** What a table needs from the world around it. */
export interface RangeTableHost {
  /** A new, empty log for a partition of this container. */
  createLog(rangeId: string): PartitionLog;
  /** Writes down the container's ranges and logs; durable when it returns. */
  save(): void;
}

/** The physical partitions of a container: which one a key belongs to, how one becomes two, what each may spend. */
export class RangeTable {
  /** In the order of their ranges, contiguous. */
  all: readonly PhysicalPartition[] = [];
  /** Ranges that were split, with the bounds they had. */
  readonly retired = new Map<string, Bounds>();
  nextId = 0;
  readonly #host: RangeTableHost;
  /** Version of the partition key's hash. */
  readonly #version: 1 | 2;
  #lowerBounds: string[] = [];
  #throughput: number;

  /** @param throughput of all ranges together, in request units per second */
  constructor(host: RangeTableHost, version: 1 | 2, throughput: number) {
    this.#host = host;
    this.#version = version;
    this.#throughput = throughput;
  }

  /** Creates partitions with these bounds. */
  create(bounds: readonly Bounds[]): void {
    this.replace(bounds.map((range) => this.#create(range, [])));
  }

  /** Takes partitions over as they are. */
  replace(ranges: readonly PhysicalPartition[]): void {
    this.all = ranges;
    this.#lowerBounds = ranges.map((range) => range.minInclusive);
    this.share(this.#throughput);
  }

  /** Gives every partition the same part of a throughput. */
  share(throughput: number): void {
    this.#throughput = throughput;
    for (const range of this.all) range.budget.limit = throughput / this.all.length;
  }

  /** Where a key is stored now. */
  of(epk: string): PhysicalPartition {
    return this.all[findRange(this.#lowerBounds, epk)] as PhysicalPartition;
  }

  /** @throws WireError 410 when the range was split or never existed */
  byId(id: string): PhysicalPartition {
    const range = this.all.find((candidate) => candidate.id === id);
    if (range === undefined) throw rangeGone();
    return range;
  }

  /**
   * Divides a range in the middle; the children continue its LSNs.
   *
   * @returns the ids of the children
   * @throws WireError 404 when there is no such range
   */
  split(rangeId: string, counters: Pick<RecordHead, 'sequence' | 'document'>): [string, string] {
    const parent = this.all.find((range) => range.id === rangeId);
    if (parent === undefined) throw notFound();
    const { minInclusive, maxExclusive } = parent;
    const middle = midpointOf(parent, this.#version);
    if (middle === undefined) throw badRequest(`Range ${rangeId} is too narrow to split`);
    const parents = [...parent.parents, parent.id];
    const lower = this.#create({ minInclusive, maxExclusive: middle }, parents);
    const upper = this.#create({ minInclusive: middle, maxExclusive }, parents);
    takeOver(lower, parent, counters);
    takeOver(upper, parent, counters);
    this.retired.set(parent.id, { minInclusive, maxExclusive });
    this.replace(this.all.flatMap((range) => (range === parent ? [lower, upper] : [range])));
    this.#host.save();
    parent.log.remove();
    return [lower.id, upper.id];
  }

  /** Rewrites the log of a range with what is still needed of it. */
  compact(range: PhysicalPartition, counters: Pick<RecordHead, 'sequence' | 'document'>): void {
    const old = range.log;
    range.rewrite(this.#host.createLog(range.id), counters);
    this.#host.save();
    old.remove();
  }

  #create(bounds: Bounds, parents: readonly string[]): PhysicalPartition {
    const id = String(this.nextId++);
    const { minInclusive, maxExclusive } = bounds;
    return new PhysicalPartition({ id, minInclusive, maxExclusive, parents, log: this.#host.createLog(id) });
  }
}
