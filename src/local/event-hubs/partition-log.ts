import { rmSync } from 'node:fs';
import { deliveredSizeBound, writeDelivered } from './delivered-form.ts';
import type { EventLayout } from './event-layout.ts';
import { SEGMENT_BYTES, Segment } from './segment.ts';
import type { SegmentCache } from './segment-cache.ts';
import { loadSegment, loadTail, type SegmentFile, SegmentFiles } from './segment-files.ts';

export interface PartitionLogOptions {
  /** Older events are dropped, a segment at a time. */
  readonly maxBytes: number;
  readonly retentionMs: number;
  /** Keeps sealed segments of durable logs in memory within a budget. */
  readonly cache: SegmentCache;
  /** Durable when set. */
  readonly folder?: string;
  readonly sync?: boolean;
}

/** A segment that may be in memory or on disk only. */
interface Entry {
  readonly baseSequence: number;
  readonly baseOffset: number;
  count: number;
  firstMs: number;
  lastMs: number;
  sizeBytes: number;
  segment: Segment | undefined;
  readonly path: string | undefined;
}

/** The append-only log of one partition. */
export class PartitionLog {
  readonly #options: PartitionLogOptions;
  readonly #files: SegmentFiles | undefined;
  readonly #listeners = new Set<() => void>();
  #entries: Entry[] = [];
  #tail: Segment | undefined;
  #nextSequence = 0;
  #nextOffset = 0;
  #lastOffset = -1;
  #lastMs = 0;
  #totalBytes = 0;
  #dirty: boolean = false;

  constructor(options: PartitionLogOptions) {
    this.#options = options;
    if (options.folder !== undefined) {
      this.#files = new SegmentFiles(options.folder, options.sync ?? false);
      this.#recover(this.#files);
    }
  }

  get firstSequence(): number {
    return this.#entries[0]?.baseSequence ?? this.#nextSequence;
  }

  /** Sequence number that the next event will have. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** -1 when no event was ever stored. */
  get lastOffset(): number {
    return this.#lastOffset;
  }

  /** When the last event was stored, 0 when there was none. */
  get lastEnqueuedMs(): number {
    return this.#lastMs;
  }

  get sizeBytes(): number {
    return this.#totalBytes + (this.#tail?.used ?? 0);
  }

  /** Stores one event; it is acknowledged only after {@link commit}. */
  append(bytes: Buffer, layout: EventLayout, partitionKey: Buffer | undefined, nowMs: number): void {
    const enqueuedMs = Math.max(nowMs, this.#lastMs);
    const segment = this.#tailFor(deliveredSizeBound(layout, partitionKey), enqueuedMs);
    const offset = segment.endOffset;
    const end = writeDelivered(segment.bytes, segment.writeAt, bytes, layout, {
      sequenceNumber: this.#nextSequence,
      offset,
      enqueuedMs,
      partitionKey,
    });
    segment.push(end, layout.headerEnd - layout.start, enqueuedMs);
    this.#nextSequence++;
    this.#lastOffset = offset;
    this.#lastMs = enqueuedMs;
    this.#dirty = true;
  }

  /**
   * Makes all appended events durable, and wakes the readers.
   *
   * @throws when the bytes cannot be written; the events since the last commit are gone then.
   */
  commit(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#write();
    for (const wake of this.#listeners) wake();
  }

  /** Calls `wake` after every commit. Returns a function that ends it. */
  subscribe(wake: () => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  /** The segment that holds `sequence`, read from disk if need be; undefined when it is not stored (any more, or yet). */
  segmentOf(sequence: number): Segment | undefined {
    const tail = this.#tail;
    if (tail !== undefined && sequence >= tail.baseSequence)
      return sequence < this.#nextSequence ? tail : undefined;
    const index = lastIndexWhere(this.#entries, (entry) => entry.baseSequence <= sequence);
    return index < 0 ? undefined : this.#load(this.#entries[index]!);
  }

  /** Sequence number of the first event behind (or at, when inclusive) an offset. */
  sequenceAtOffset(offset: number, inclusive: boolean): number {
    const index = lastIndexWhere(this.#entries, (entry) => entry.baseOffset <= offset);
    if (index < 0) return this.firstSequence;
    const segment = this.#load(this.#entries[index]!);
    const found = segment.firstIndex((i) =>
      inclusive ? segment.offset(i) >= offset : segment.offset(i) > offset,
    );
    return segment.baseSequence + found;
  }

  /** Sequence number of the first event that was stored after `ms`. */
  sequenceAfterTime(ms: number): number {
    for (const entry of this.#entries) {
      const lastMs = entry.segment === undefined ? entry.lastMs : entry.segment.lastMs;
      if (lastMs <= ms) continue;
      const segment = this.#load(entry);
      return segment.baseSequence + segment.firstIndex((i) => segment.enqueuedMs(i) > ms);
    }
    return this.#nextSequence;
  }

  /** Drops the oldest segments beyond the retention. The one being written stays. */
  expire(nowMs: number): void {
    const { maxBytes, retentionMs } = this.#options;
    while (this.#entries.length > 1) {
      const oldest = this.#entries[0]!;
      if (this.sizeBytes <= maxBytes && oldest.lastMs >= nowMs - retentionMs) return;
      this.#entries.shift();
      this.#totalBytes -= oldest.sizeBytes;
      this.#options.cache.forget(oldest);
      if (oldest.path !== undefined) rmSync(oldest.path, { force: true });
    }
  }

  close(): void {
    this.#files?.close();
    for (const entry of this.#entries) this.#options.cache.forget(entry);
    this.#listeners.clear();
  }

  #tailFor(eventBytes: number, nowMs: number): Segment {
    if (this.#tail?.hasRoomFor(eventBytes)) return this.#tail;
    this.#sealTail();
    const segment = new Segment(
      this.#nextSequence,
      this.#nextOffset,
      Math.max(SEGMENT_BYTES, eventBytes + 64),
    );
    const path = this.#files?.create(segment, nowMs);
    this.#entries.push({
      baseSequence: segment.baseSequence,
      baseOffset: segment.baseOffset,
      count: 0,
      firstMs: nowMs,
      lastMs: nowMs,
      sizeBytes: 0,
      segment,
      path,
    });
    this.#tail = segment;
    this.expire(nowMs);
    return segment;
  }

  #sealTail(): void {
    const tail = this.#tail;
    if (tail === undefined) return;
    this.#write();
    const entry = this.#entries.at(-1)!;
    entry.count = tail.count;
    entry.lastMs = tail.lastMs;
    entry.sizeBytes = tail.used;
    this.#totalBytes += tail.used;
    this.#nextOffset = tail.endOffset;
    this.#tail = undefined;
    if (entry.path !== undefined) this.#options.cache.keep(entry);
  }

  #write(): void {
    if (this.#files === undefined || this.#tail === undefined) return;
    const bytes = this.#tail.sealCommit();
    if (bytes === undefined) return;
    try {
      this.#files.append(bytes);
      this.#tail.commit();
    } catch (cause) {
      this.#tail.rollback();
      this.#restoreEnd(this.#tail);
      throw cause;
    }
  }

  #load(entry: Entry): Segment {
    if (entry.segment === undefined) {
      const segment = loadSegment({ ...entry, path: entry.path! });
      if (segment.count < entry.count)
        throw new Error(`segment file ${entry.path} is damaged: ${segment.count} of ${entry.count} events`);
      entry.segment = segment;
    }
    if (entry.path !== undefined && entry.segment !== this.#tail) this.#options.cache.keep(entry);
    return entry.segment;
  }

  #recover(files: SegmentFiles): void {
    const found = files.list();
    for (const [index, file] of found.entries()) {
      const next = found[index + 1];
      if (next === undefined) this.#recoverTail(files, file);
      else this.#addSealed(file, next);
    }
  }

  #addSealed(file: SegmentFile, next: SegmentFile): void {
    const sizeBytes = next.baseOffset - file.baseOffset;
    const count = next.baseSequence - file.baseSequence;
    this.#entries.push({ ...file, count, lastMs: next.firstMs, sizeBytes, segment: undefined });
    this.#totalBytes += sizeBytes;
  }

  #recoverTail(files: SegmentFiles, file: SegmentFile): void {
    const segment = loadTail(file);
    files.reopen(file, segment);
    this.#entries.push({ ...file, count: 0, lastMs: segment.lastMs, sizeBytes: 0, segment });
    this.#tail = segment;
    this.#restoreEnd(segment);
  }

  /** Recomputes what follows from the last stored event. */
  #restoreEnd(tail: Segment): void {
    this.#nextSequence = tail.baseSequence + tail.count;
    if (tail.count > 0) {
      this.#lastOffset = tail.offset(tail.count - 1);
      this.#lastMs = tail.lastMs;
      return;
    }
    const previous = this.#entries.at(-2);
    if (previous === undefined) {
      this.#lastOffset = -1;
      this.#lastMs = 0;
      return;
    }
    const segment = this.#load(previous);
    this.#lastOffset = segment.offset(segment.count - 1);
    this.#lastMs = segment.lastMs;
  }
}

function lastIndexWhere<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(items[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
