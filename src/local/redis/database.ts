import type { SortedSet } from './sorted-set.ts';

/** Fields and values of a hash. A class of its own, so that a value's type is its constructor. */
export class Hash extends Map<string, Buffer> {}
export class MemberSet extends Set<string> {}
export class List {
  items: Buffer[] = [];
}

export type Value = Buffer | Hash | MemberSet | List | SortedSet;
export type TypeName = 'string' | 'hash' | 'set' | 'list' | 'zset';

export function typeName(value: Value): TypeName {
  if (Buffer.isBuffer(value)) return 'string';
  if (value instanceof Hash) return 'hash';
  if (value instanceof MemberSet) return 'set';
  return value instanceof List ? 'list' : 'zset';
}

export interface Entry {
  readonly key: string;
  value: Value;
  /** Milliseconds since the Unix epoch; 0 never expires. */
  expiresAt: number;
  /** Milliseconds since the Unix epoch; what eviction of the least recently used goes by. */
  usedAt: number;
  /** What {@link Database.scan} orders by: grows with every new key. */
  readonly insertion: number;
  /** Memory of the value as accounted, in bytes. */
  sizeBytes: number;
  removed: boolean;
}

/** Accounted beside key and value bytes: the entry object, its slots in the map and the scan order. */
export const ENTRY_OVERHEAD_BYTES = 96;
/** Accounted beside the bytes of each field, member or list item. */
export const ELEMENT_OVERHEAD_BYTES = 48;
const COMPACT_AFTER = 1024;

export interface ScanFilter {
  readonly match?: ((key: string) => boolean) | undefined;
  readonly type?: string | undefined;
}

/** One numbered keyspace: keys with values, expiry, memory accounting and the order that SCAN walks. */
export class Database {
  readonly index: number;
  readonly #entries = new Map<string, Entry>();
  readonly #expiring = new Map<string, Entry>();
  /** Every entry by ascending `insertion`; removed ones stay until compaction. */
  #order: Entry[] = [];
  #removed = 0;
  #insertions = 0;
  #sweep: Iterator<Entry> | undefined;
  sizeBytes = 0;

  /** Called with each key whose value, expiry or existence changed. */
  onChange: (key: string) => void = () => undefined;
  /** Called with each key that was found expired, after its removal. */
  onExpired: (key: string) => void = () => undefined;

  constructor(index: number) {
    this.index = index;
  }

  get size(): number {
    return this.#entries.size;
  }

  get expiringSize(): number {
    return this.#expiring.size;
  }

  /** The live entry of a key. An expired one is removed on the way. */
  get(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAt !== 0 && entry.expiresAt <= now) {
      this.#expire(entry);
      return undefined;
    }
    return entry;
  }

  /** Sets value and expiry of a key, new or not. */
  put(key: string, value: Value, expiresAt: number, now: number): Entry {
    const sizeBytes = Buffer.isBuffer(value) ? value.length : ELEMENT_OVERHEAD_BYTES;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const insertion = ++this.#insertions;
      entry = { key, value, expiresAt: 0, usedAt: now, insertion, sizeBytes, removed: false };
      this.#entries.set(key, entry);
      this.#order.push(entry);
      this.sizeBytes += sizeBytes + key.length + ENTRY_OVERHEAD_BYTES;
    } else {
      this.sizeBytes += sizeBytes - entry.sizeBytes;
      entry.sizeBytes = sizeBytes;
      entry.value = value;
      entry.usedAt = now;
    }
    this.expireAt(entry, expiresAt);
    return entry;
  }

  /** Sets the expiry in milliseconds since the Unix epoch; 0 removes it. */
  expireAt(entry: Entry, expiresAt: number): void {
    if (expiresAt !== 0) this.#expiring.set(entry.key, entry);
    else if (entry.expiresAt !== 0) this.#expiring.delete(entry.key);
    entry.expiresAt = expiresAt;
    this.onChange(entry.key);
  }

  /** Accounts for a collection that was changed in place. */
  changed(entry: Entry, deltaBytes: number): void {
    entry.sizeBytes += deltaBytes;
    this.sizeBytes += deltaBytes;
    this.onChange(entry.key);
  }

  remove(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    if (entry.expiresAt !== 0) this.#expiring.delete(key);
    entry.removed = true;
    this.sizeBytes -= entry.sizeBytes + key.length + ENTRY_OVERHEAD_BYTES;
    this.#removed++;
    if (this.#removed > COMPACT_AFTER && this.#removed * 2 > this.#order.length) {
      this.#order = this.#order.filter((kept) => !kept.removed);
      this.#removed = 0;
    }
    this.onChange(key);
    return true;
  }

  clear(): void {
    const keys = [...this.#entries.keys()];
    this.#entries.clear();
    this.#expiring.clear();
    this.#sweep = undefined;
    this.#order = [];
    this.#removed = 0;
    this.sizeBytes = 0;
    for (const key of keys) this.onChange(key);
  }

  /**
   * One step of a walk over all keys, from the newest down: the cursor is the insertion number of the last key seen.
   * That makes it stateless, keeps Redis' promise (a key that is there during the whole walk is returned, whatever is
   * deleted meanwhile), never returns a key twice and ends under concurrent inserts, which all lie above the start.
   */
  scan(
    cursor: number,
    count: number,
    now: number,
    filter: ScanFilter = {},
  ): { next: number; keys: string[] } {
    const keys: string[] = [];
    let at = (cursor === 0 ? this.#order.length : this.#firstFrom(cursor)) - 1;
    for (let seen = 0; at >= 0 && seen < count; at--) {
      const entry = this.#order[at] as Entry;
      if (entry.removed) continue;
      seen++;
      if (entry.expiresAt !== 0 && entry.expiresAt <= now) continue;
      if (filter.match !== undefined && !filter.match(entry.key)) continue;
      if (filter.type !== undefined && typeName(entry.value) !== filter.type) continue;
      keys.push(entry.key);
    }
    return { next: at < 0 ? 0 : (this.#order[at + 1]?.insertion ?? 0), keys };
  }

  /** Index of the first entry whose insertion number is at least `insertion`. */
  #firstFrom(insertion: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] as Entry).insertion < insertion) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Every entry that is live at `now` (0: every one), oldest first. */
  *entries(now: number): Generator<Entry> {
    for (const entry of this.#entries.values()) {
      if (entry.expiresAt === 0 || entry.expiresAt > now) yield entry;
    }
  }

  /** A live entry picked with the uniform number `random` in [0, 1); removed ones make it try its neighbours. */
  sample(random: number, volatileOnly = false): Entry | undefined {
    if (volatileOnly && this.#expiring.size === 0) return undefined;
    const length = this.#order.length;
    for (let step = 0, at = Math.floor(random * length); step < length; step++, at = (at + 1) % length) {
      const entry = this.#order[at] as Entry;
      if (!entry.removed && !(volatileOnly && entry.expiresAt === 0)) return entry;
    }
    return undefined;
  }

  /** Removes expired keys among the next `budget` keys that can expire; goes on there at the next call. */
  sweep(now: number, budget: number): void {
    for (let step = 0; step < budget; step++) {
      this.#sweep ??= this.#expiring.values();
      const { value, done } = this.#sweep.next();
      if (done === true) {
        this.#sweep = undefined;
        return;
      }
      if (value.expiresAt <= now) this.#expire(value);
    }
  }

  #expire(entry: Entry): void {
    this.remove(entry.key);
    this.onExpired(entry.key);
  }
}
