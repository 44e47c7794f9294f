import type { ItemFacts } from './item.ts';
import { type BodyLocation, copyOf, NO_BODY, type PartitionLog, type RecordHead, RecordKind } from './log.ts';
import { Budget } from './throughput.ts';

/** All items of one partition key value. */
export interface LogicalPartition {
  /** The key as canonical JSON text: identity, and what the log stores. */
  readonly text: string;
  readonly epk: string;
  physical: PhysicalPartition;
  readonly items: Map<string, Revision>;
  /** Unique keys in use, and by which id; only in containers that have constraints. */
  unique: Map<string, string> | undefined;
  sizeBytes: number;
  requestCharge: number;
}

/** One version of an item as the log holds it. */
export interface Revision extends ItemFacts {
  readonly length: number;
  readonly kind: RecordKind;
  readonly partition: LogicalPartition;
  readonly lsn: number;
  readonly previousLsn: number;
  /** Where the body is now: a compaction or a split moves it. */
  chunk: Buffer;
  offset: number;
  /** True when a later version or a delete replaced it: no longer in reads or in the latest-version feed. */
  superseded: boolean;
}

/** Spelled out field by field: object spread costs several microseconds per item here. */
export function createRevision(
  head: RecordHead,
  partition: LogicalPartition,
  id: string,
  { chunk, offset, length }: BodyLocation,
): Revision {
  return {
    kind: head.kind,
    lsn: head.lsn,
    previousLsn: head.previousLsn,
    sequence: head.sequence,
    document: head.document,
    timestamp: head.timestamp,
    ttl: head.ttl,
    terms: head.terms,
    sizeBytes: head.sizeBytes,
    partition,
    id,
    chunk,
    offset,
    length,
    superseded: false,
  };
}

export const isDeletion = (kind: RecordKind): boolean =>
  kind === RecordKind.delete || kind === RecordKind.expire;

/** Below this a log is not worth rewriting. */
const COMPACTION_FLOOR_BYTES = 256 * 1024;
const INDEX_FLOOR = 1024;
/** Head and key of a record, roughly. */
const RECORD_OVERHEAD_BYTES = 100;

export interface PartitionOptions {
  readonly id: string;
  readonly minInclusive: string;
  readonly maxExclusive: string;
  readonly parents: readonly string[];
  readonly log: PartitionLog;
}

/** One physical partition: a contiguous share of the hash space, its log, and the log's order as change feed. */
export class PhysicalPartition {
  readonly id: string;
  readonly minInclusive: string;
  readonly maxExclusive: string;
  readonly parents: readonly string[];
  readonly budget = new Budget(Number.POSITIVE_INFINITY);
  lsn = 0;
  /** In LSN order. Superseded ones are dropped from time to time, unless a full-fidelity feed still needs them. */
  revisions: Revision[] = [];
  liveItems = 0;
  /** Bytes of items that a read can see, bodies only. */
  liveBytes = 0;
  /** How far the search for expired items got in `revisions`. */
  sweptTo = 0;
  /** Everything up to here is no longer in the full-fidelity feed. */
  trimmedLsn = 0;
  /** Bytes of bodies that the index no longer refers to. */
  #droppedBytes = 0;
  #superseded = 0;
  log: PartitionLog;

  constructor({ id, minInclusive, maxExclusive, parents, log }: PartitionOptions) {
    this.id = id;
    this.minInclusive = minInclusive;
    this.maxExclusive = maxExclusive;
    this.parents = parents;
    this.log = log;
  }

  /** Index of the first revision after `lsn`. */
  after(lsn: number): number {
    let from = 0;
    let to = this.revisions.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.revisions[middle] as Revision).lsn <= lsn) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Takes a revision into the index; the caller has put it into the log. */
  index(revision: Revision): void {
    const { partition, id } = revision;
    const before = partition.items.get(id);
    if (before !== undefined) this.#supersede(before);
    if (revision.lsn > this.lsn) this.lsn = revision.lsn;
    this.revisions.push(revision);
    if (isDeletion(revision.kind)) {
      partition.items.delete(id);
      this.#supersede(revision, false);
      return;
    }
    partition.items.set(id, revision);
    partition.sizeBytes += revision.length;
    this.liveItems++;
    this.liveBytes += revision.length;
  }

  /** Takes a revision from a parent as it is, superseded or not. */
  adopt(revision: Revision): void {
    this.revisions.push(revision);
    if (revision.superseded) {
      this.#superseded++;
      return;
    }
    this.liveItems++;
    this.liveBytes += revision.length;
  }

  /**
   * Frees what no reader can reach any more: superseded revisions once they outnumber the live ones, and log bytes once
   * most are dead. Each costs time proportional to what it frees. Revisions that the full-fidelity feed may still show,
   * not older than `retainSince` (seconds), stay.
   */
  tidy(retainSince: number, compact: () => void): void {
    if (this.#superseded > INDEX_FLOOR + this.liveItems) this.#dropSuperseded(retainSince);
    if (this.#droppedBytes > COMPACTION_FLOOR_BYTES && this.#droppedBytes > this.log.sizeBytes / 2) compact();
  }

  /** Rewrites the log with what the index refers to, LSNs unchanged. The caller deletes the old one when it is safe. */
  rewrite(log: PartitionLog, counters: Pick<RecordHead, 'sequence' | 'document'>): void {
    appendMark(log, this, counters);
    for (const revision of this.revisions) moveBody(revision, log);
    log.commit();
    this.log = log;
    this.#droppedBytes = 0;
  }

  #supersede(revision: Revision, counted = true): void {
    revision.superseded = true;
    this.#superseded++;
    if (!counted) return;
    this.liveItems--;
    this.liveBytes -= revision.length;
    revision.partition.sizeBytes -= revision.length;
  }

  #dropSuperseded(retainSince: number): void {
    const kept: Revision[] = [];
    for (const revision of this.revisions) {
      if (!revision.superseded || revision.timestamp >= retainSince) kept.push(revision);
      else {
        this.#superseded--;
        this.#droppedBytes += revision.length + RECORD_OVERHEAD_BYTES;
        this.trimmedLsn = revision.lsn;
      }
    }
    this.revisions = kept;
  }
}

/** Writes down what the surviving records do not tell: counters, and how far the full-fidelity feed was trimmed. */
function appendMark(
  log: PartitionLog,
  { lsn, trimmedLsn }: Pick<PhysicalPartition, 'lsn' | 'trimmedLsn'>,
  { sequence, document }: Pick<RecordHead, 'sequence' | 'document'>,
): void {
  const head = { kind: RecordKind.mark, lsn, previousLsn: trimmedLsn, sequence, document };
  log.append({ ...head, timestamp: 0, ttl: 0, terms: 0, sizeBytes: 0 }, '', NO_BODY);
}

/** Key of a record: partition key text and id, apart by a character that neither JSON text nor an id can hold raw. */
export const recordKey = (partition: LogicalPartition, id: string): string => `${partition.text}\n${id}`;

/** Writes a revision into another log, and lets it refer to its bytes there. */
function moveBody(revision: Revision, log: PartitionLog): void {
  const { chunk, offset } = log.append(
    revision,
    recordKey(revision.partition, revision.id),
    copyOf(revision),
  );
  revision.chunk = chunk;
  revision.offset = offset;
}

/** Fills a partition with its half of the parent that it was split from, LSNs unchanged. */
export function takeOver(
  child: PhysicalPartition,
  parent: PhysicalPartition,
  counters: Pick<RecordHead, 'sequence' | 'document'>,
): void {
  child.lsn = parent.lsn;
  child.trimmedLsn = parent.trimmedLsn;
  appendMark(child.log, child, counters);
  for (const revision of parent.revisions) {
    const { epk } = revision.partition;
    if (epk < child.minInclusive || epk >= child.maxExclusive) continue;
    moveBody(revision, child.log);
    child.adopt(revision);
    revision.partition.physical = child;
  }
  child.log.commit();
}

export const bodyBytes = ({ chunk, offset, length }: BodyLocation): Buffer =>
  chunk.subarray(offset, offset + length) as Buffer;
