import type { Interval, IntervalSet } from './interval-set.ts';
import { INTERVAL_BYTES, KEY_BYTES, KeyBook, type VerifyRules } from './keys.ts';
import { Ledger } from './ledger.ts';
import { type KeyRecord, type Names, readRecord, writeRecord } from './records.ts';
import type { SpillFile } from './spill-file.ts';
import type { Settlement, Tally } from './tally.ts';

const PARTITION_BITS = 6;
const PARTITIONS = 1 << PARTITION_BITS;
/** As many times as 32 bits of hash can be divided: 2^30 partitions. */
const MAX_LEVEL = 4;
/** Of a record of intervals, so that none is large. */
const INTERVALS_PER_RECORD = 1_000;

/** What all partitions of a verification share. */
export interface PartitionContext {
  readonly rules: VerifyRules;
  readonly tally: Tally;
  readonly names: Names;
  /** Estimated heap of the keys in memory, beyond which partitions are put aside. */
  readonly maxMemoryBytes: number;
  /** Called when much was let go of. */
  readonly letGo: () => void;
  /** Opens a file to put a partition aside. */
  readonly openFile: () => SpillFile;
  readonly signal: AbortSignal;
}

/** One part of the keys: in memory, or in a file once memory became short. */
interface Partition {
  ledgers: Map<string, Ledger>;
  book: KeyBook;
  ledgerBytes: number;
  file: SpillFile | undefined;
}

/**
 * Keys divided by hash, within a bound of memory: when the bound is passed, the largest partition goes to a file, and so does
 * everything that is learned about its keys from then on (a hybrid grace hash join of ledger and observations). In the end
 * each file is read as a table of its own, divided by further bits of the hash. A single key is never divided.
 */
export class PartitionedKeys {
  readonly #context: PartitionContext;
  readonly #level: number;
  readonly #partitions: Partition[];
  #bytes = 0;

  constructor(context: PartitionContext, level = 0) {
    this.#context = context;
    this.#level = level;
    this.#partitions = Array.from({ length: PARTITIONS }, () => emptyPartition(context));
  }

  learn(record: KeyRecord): void {
    const partition = this.#partitions[this.#partitionOf(record.run, record.key)] as Partition;
    if (partition.file !== undefined) {
      partition.file.append((out) => writeRecord(out, record, this.#context.names));
      return;
    }
    const before = bytesOf(partition);
    apply(record, partition);
    this.#bytes += bytesOf(partition) - before;
    while (this.#bytes > this.#context.maxMemoryBytes && this.#putLargestAside());
  }

  /** Adds what all keys have to say, freeing them as it goes. */
  async settle(into: Settlement): Promise<void> {
    for (const [index, { book, file }] of this.#partitions.entries()) {
      if (file !== undefined) continue;
      book.settle(into);
      this.#partitions[index] = emptyPartition(this.#context);
    }
    this.#bytes = 0;
    for (const { file } of this.#partitions) {
      if (file === undefined) continue;
      const { letGo, names, signal } = this.#context;
      letGo();
      const part = new PartitionedKeys(this.#context, this.#level + 1);
      await file.drain((record) => part.learn(readRecord(record, names)), signal);
      await part.settle(into);
    }
  }

  /** False when there is nothing that would help. */
  #putLargestAside(): boolean {
    if (this.#level === MAX_LEVEL) return false;
    let largest: Partition | undefined;
    for (const partition of this.#partitions) {
      if (partition.file !== undefined || keysIn(partition) < (this.#level === 0 ? 1 : 2)) continue;
      if (largest === undefined || bytesOf(partition) > bytesOf(largest)) largest = partition;
    }
    if (largest === undefined) return false;
    this.#bytes -= bytesOf(largest);
    const file = this.#context.openFile();
    for (const record of recordsOf(largest))
      file.append((out) => writeRecord(out, record, this.#context.names));
    Object.assign(largest, emptyPartition(this.#context), { file });
    this.#context.letGo();
    return true;
  }

  #partitionOf(run: string, key: string): number {
    return (hashOf(run, key) >>> (this.#level * PARTITION_BITS)) & (PARTITIONS - 1);
  }
}

function emptyPartition({ rules, tally }: PartitionContext): Partition {
  const ledgers = new Map<string, Ledger>();
  return { ledgers, book: new KeyBook(rules, tally, ledgers), ledgerBytes: 0, file: undefined };
}

function bytesOf({ book, ledgerBytes }: Partition): number {
  return book.seenBytes + ledgerBytes;
}

function keysIn({ book, ledgers }: Partition): number {
  let keys = book.keyCount;
  for (const ledger of ledgers.values()) keys = Math.max(keys, ledger.keys.size);
  return keys;
}

function apply(record: KeyRecord, partition: Partition): void {
  const { book, ledgers } = partition;
  switch (record.type) {
    case 'acknowledged':
    case 'misbehaved': {
      const { run, key } = record;
      let ledger = ledgers.get(run);
      if (ledger === undefined) {
        ledger = new Ledger(run);
        ledgers.set(run, ledger);
      }
      const sets = (): IntervalSet | undefined =>
        record.type === 'acknowledged'
          ? ledger.keys.get(key)
          : ledger.misbehaviour.get(record.kind)?.get(key);
      const before = sets()?.intervalCount;
      for (const { from, to } of record.bounds) {
        if (record.type === 'acknowledged') ledger.acknowledged(key, from, to);
        else ledger.misbehaved(record.kind, key, from, to);
      }
      partition.ledgerBytes += ((sets()?.intervalCount ?? 0) - (before ?? 0)) * INTERVAL_BYTES;
      if (before === undefined) partition.ledgerBytes += KEY_BYTES + key.length;
      break;
    }
    case 'seen':
      for (const { from, to } of record.bounds) book.restore(record.place, record.run, record.key, from, to);
      break;
    case 'mark':
      book.restoreMark(record.place, record.event);
      break;
    case 'observed':
      book.observe(record.place, record.event, record.atMs, record.arrival);
      break;
  }
}

function* recordsOf({ book, ledgers }: Partition): Generator<KeyRecord> {
  for (const [run, { keys, misbehaviour }] of ledgers) {
    for (const [key, set] of keys)
      for (const bounds of slices(set)) yield { type: 'acknowledged', run, key, bounds };
    for (const [kind, misbehaved] of misbehaviour) {
      for (const [key, set] of misbehaved)
        for (const bounds of slices(set)) yield { type: 'misbehaved', kind, run, key, bounds };
    }
  }
  for (const { run, key, place, seen } of book.seen()) {
    for (const bounds of slices(seen.sequences)) yield { type: 'seen', run, key, place, bounds };
    for (const mark of seen.order.marks)
      yield { type: 'mark', run, key, place, event: { ...mark, run, key, id: '' } };
  }
}

function* slices(set: IntervalSet): Generator<readonly Interval[]> {
  let slice: Interval[] = [];
  for (const interval of set) {
    if (slice.length === INTERVALS_PER_RECORD) {
      yield slice;
      slice = [];
    }
    slice.push(interval);
  }
  if (slice.length > 0) yield slice;
}

/** FNV-1a over UTF-16, with the last step of MurmurHash3 so that every bit depends on every character. */
function hashOf(run: string, key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < run.length; at += 1) hash = Math.imul(hash ^ run.charCodeAt(at), 0x01000193);
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
