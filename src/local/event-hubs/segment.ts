import { crc32 } from 'node:zlib';

/**
 * A run of a partition's events in memory; the image of a segment file's body. Every record is 8-aligned:
 *
 *     event:  u32 length | u32 length of the AMQP header section | f64 enqueued ms | the event | padding
 *     commit: u32 0xffffffff | u32 CRC-32 of all since the last commit | u32 number of those bytes | u32 unused
 *
 * Commits exist in durable segments only. What follows the last valid commit was never acknowledged.
 */
const RECORD_BYTES = 16;
const COMMIT = 0xffff_ffff;
export const COMMIT_BYTES = 16;
/** Room of a segment; an event is smaller by far. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;

interface Mark {
  readonly used: number;
  readonly count: number;
}

export class Segment {
  readonly baseSequence: number;
  /** Offset of the first event; that of another is its position further. */
  readonly baseOffset: number;
  readonly bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  #positions = new Uint32Array(1024);
  #used = 0;
  #count = 0;
  #committed: Mark = { used: 0, count: 0 };

  constructor(baseSequence: number, baseOffset: number, capacity = SEGMENT_BYTES) {
    this.baseSequence = baseSequence;
    this.baseOffset = baseOffset;
    this.bytes = Buffer.allocUnsafeSlow(Math.ceil(capacity / 8) * 8);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#doubles = new Float64Array(this.bytes.buffer);
  }

  get count(): number {
    return this.#count;
  }

  get used(): number {
    return this.#used;
  }

  get endOffset(): number {
    return this.baseOffset + this.#used;
  }

  get firstMs(): number {
    return this.#count === 0 ? 0 : this.enqueuedMs(0);
  }

  get lastMs(): number {
    return this.#count === 0 ? 0 : this.enqueuedMs(this.#count - 1);
  }

  hasRoomFor(eventBytes: number): boolean {
    return this.#used + RECORD_BYTES + eventBytes + 8 + COMMIT_BYTES <= this.bytes.length;
  }

  /** Position in {@link bytes} where the next event is to be written. */
  get writeAt(): number {
    return this.#used + RECORD_BYTES;
  }

  /** Completes the event that was written at {@link writeAt} and ends at `end`. */
  push(end: number, headerBytes: number, enqueuedMs: number): void {
    const record = this.#used;
    this.#words[record >>> 2] = end - record - RECORD_BYTES;
    this.#words[(record >>> 2) + 1] = headerBytes;
    this.#doubles[(record >>> 3) + 1] = enqueuedMs;
    this.#addPosition(record);
    // Padding is written so that files do not carry stale memory.
    const next = (end + 7) & ~7;
    for (let at = end; at < next; at++) this.bytes[at] = 0;
    this.#used = next;
  }

  /** Start of event `index` in {@link bytes}. */
  start(index: number): number {
    return this.#positions[index]! + RECORD_BYTES;
  }

  end(index: number): number {
    const position = this.#positions[index]!;
    return position + RECORD_BYTES + this.#words[position >>> 2]!;
  }

  /** End of the AMQP header section of event `index`, where delivery annotations belong. */
  headerEnd(index: number): number {
    const position = this.#positions[index]!;
    return position + RECORD_BYTES + this.#words[(position >>> 2) + 1]!;
  }

  enqueuedMs(index: number): number {
    return this.#doubles[(this.#positions[index]! >>> 3) + 1]!;
  }

  offset(index: number): number {
    return this.baseOffset + this.#positions[index]!;
  }

  /** Seals what was pushed since the last commit; returns the bytes to be appended to the file, or none. */
  sealCommit(): Buffer | undefined {
    const from = this.#committed.used;
    const to = this.#used;
    if (from === to) return undefined;
    const word = to >>> 2;
    this.#words[word] = COMMIT;
    this.#words[word + 1] = crc32(this.bytes.subarray(from, to));
    this.#words[word + 2] = to - from;
    this.#words[word + 3] = 0;
    return this.bytes.subarray(from, to + COMMIT_BYTES);
  }

  /** The bytes of {@link sealCommit} are written. */
  commit(): void {
    this.#used += COMMIT_BYTES;
    this.#committed = { used: this.#used, count: this.#count };
  }

  /** Forgets what was pushed since the last commit. */
  rollback(): void {
    this.#used = this.#committed.used;
    this.#count = this.#committed.count;
  }

  /** Takes over the `length` bytes that were read into {@link bytes} up to the last valid commit. */
  recover(length: number): void {
    let from = 0;
    const found: number[] = [];
    for (let at = 0; at + RECORD_BYTES <= length; ) {
      const size = this.#words[at >>> 2]!;
      if (size !== COMMIT) {
        if (size > length - at) break;
        found.push(at);
        at = (at + RECORD_BYTES + size + 7) & ~7;
        continue;
      }
      const covered = this.#words[(at >>> 2) + 2]!;
      if (covered !== at - from || this.#words[(at >>> 2) + 1] !== crc32(this.bytes.subarray(from, at)))
        break;
      for (const position of found.splice(0)) this.#addPosition(position);
      from = at + COMMIT_BYTES;
      at = from;
    }
    this.#used = from;
    this.#committed = { used: from, count: this.#count };
  }

  /** First event for which `isAfter` holds; its events are in that order. */
  firstIndex(isAfter: (index: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isAfter(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #addPosition(position: number): void {
    if (this.#count === this.#positions.length) {
      const larger = new Uint32Array(this.#count * 2);
      larger.set(this.#positions);
      this.#positions = larger;
    }
    this.#positions[this.#count++] = position;
  }
}
