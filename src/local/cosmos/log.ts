import { closeSync, existsSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** What happened to an item. `mark` carries the counters over a compaction, which leaves no other trace of deletes. */
export const RecordKind = { mark: 0, create: 1, replace: 2, delete: 3, expire: 4 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export interface RecordHead {
  readonly kind: RecordKind;
  readonly lsn: number;
  /** LSN of the version before this one, 0 for none. */
  readonly previousLsn: number;
  /** Number of the write within its container: what etags are made of. */
  readonly sequence: number;
  /** Number of the document within its container: what rids are made of. */
  readonly document: number;
  /** Seconds since the Unix epoch. */
  readonly timestamp: number;
  /** The item's own `ttl` in seconds; 0 for none. */
  readonly ttl: number;
  readonly terms: number;
  /** Size of the item as the user wrote it. */
  readonly sizeBytes: number;
}

/** Where the bytes of a body are. */
export interface BodyLocation {
  readonly chunk: Buffer;
  readonly offset: number;
  readonly length: number;
}

/**
 * Record: u32 length and u32 CRC-32 of what follows; u8 kind, u8 last, u16 key length, u32 timestamp, i32 ttl, u32 terms,
 * u32 size, u32 body length, f64 lsn, f64 previous lsn, f64 sequence, f64 document; key; body. Little endian.
 */
const FRAME = 8;
const HEAD = 56;

const FIRST_CHUNK = 64 * 1024;
const LARGEST_CHUNK = 4 * 1024 * 1024;

/**
 * The append-only log of one physical partition: chunks of memory, and with a path the same bytes in a file. Bodies stay
 * where they were appended and are served from there.
 */
export class PartitionLog {
  #chunk = Buffer.allocUnsafeSlow(0);
  #tail = 0;
  /** Start of what the file does not have yet, within the current chunk. */
  #unwritten = 0;
  #fileEnd = 0;
  #appendedBytes = 0;
  #failed: Error | undefined;
  #file: number | undefined;
  readonly path: string | undefined;

  constructor(path?: string) {
    this.path = path;
    this.#file = path === undefined ? undefined : openSync(path, existsSync(path) ? 'r+' : 'w+');
  }

  /** Bytes of all records, dead ones included. */
  get sizeBytes(): number {
    return this.#appendedBytes;
  }

  /**
   * Adds a record. It is not durable, and must not be acknowledged, before {@link commit}.
   *
   * @param last false while more records of the same transaction follow: a torn transaction is cut off as a whole
   */
  append(head: RecordHead, key: string, body: BodyParts, last = true): BodyLocation {
    const keyBytes = Buffer.byteLength(key);
    const length = HEAD + keyBytes + body.length;
    const at = this.#reserve(FRAME + length);
    const chunk = this.#chunk;
    writeHead(chunk, at + FRAME, head, keyBytes, body.length, last);
    chunk.write(key, at + FRAME + HEAD, keyBytes, 'utf8');
    const offset = at + FRAME + HEAD + keyBytes;
    body.write(chunk, offset);
    chunk.writeUInt32LE(length, at);
    if (this.#file !== undefined)
      chunk.writeUInt32LE(crc32(chunk.subarray(at + FRAME, at + FRAME + length)), at + 4);
    return { chunk, offset, length: body.length };
  }

  /**
   * Hands everything appended to the operating system: it survives the death of this process. After a failure the log
   * refuses to continue, because memory is ahead of the file then.
   */
  commit(): void {
    if (this.#file === undefined || this.#unwritten === this.#tail) return;
    if (this.#failed !== undefined) throw this.#failed;
    try {
      while (this.#unwritten < this.#tail) {
        const length = this.#tail - this.#unwritten;
        const written = writeSync(this.#file, this.#chunk, this.#unwritten, length, this.#fileEnd);
        this.#unwritten += written;
        this.#fileEnd += written;
      }
    } catch (error) {
      this.#failed = error as Error;
      throw error;
    }
  }

  /**
   * Reads the file from its start and positions the log behind the last whole transaction; a torn tail is cut.
   * `visit` gets each record in order.
   */
  replay(visit: (head: RecordHead, key: string, body: BodyLocation) => void): void {
    if (this.#file === undefined) return;
    let filePosition = 0;
    let valid = 0;
    let rest = Buffer.alloc(0);
    const transaction: (() => void)[] = [];
    for (let ended = false; !ended; ) {
      const chunk = Buffer.allocUnsafeSlow(rest.length + LARGEST_CHUNK);
      rest.copy(chunk);
      const read = readSync(this.#file, chunk, rest.length, LARGEST_CHUNK, filePosition);
      filePosition += read;
      const end = rest.length + read;
      let at = 0;
      while (end - at >= FRAME) {
        const length = chunk.readUInt32LE(at);
        if (length < HEAD || end - at < FRAME + length) break;
        if (crc32(chunk.subarray(at + FRAME, at + FRAME + length)) !== chunk.readUInt32LE(at + 4)) {
          ended = true;
          break;
        }
        const record = readRecord(chunk, at + FRAME);
        transaction.push(() => visit(record.head, record.key, record.body));
        at += FRAME + length;
        if (record.last) {
          for (const apply of transaction.splice(0)) apply();
          valid = filePosition - end + at;
        }
      }
      rest = chunk.subarray(at, end);
      if (read === 0) ended = true;
    }
    ftruncateSync(this.#file, valid);
    this.#appendedBytes = valid;
    this.#fileEnd = valid;
  }

  /** Closes the file; memory stays readable for replies under way. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Closes and deletes the file. */
  remove(): void {
    this.close();
    if (this.path !== undefined) unlinkSync(this.path);
  }

  #reserve(length: number): number {
    if (this.#chunk.length - this.#tail < length) {
      this.commit();
      const next = Math.min(LARGEST_CHUNK, Math.max(FIRST_CHUNK, this.#chunk.length * 2));
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(next, length));
      this.#tail = 0;
      this.#unwritten = 0;
    }
    const at = this.#tail;
    this.#tail += length;
    this.#appendedBytes += length;
    return at;
  }
}

/** A body that knows its length and writes itself once, where it will stay. */
export interface BodyParts {
  readonly length: number;
  write(target: Buffer, offset: number): void;
}

export const NO_BODY: BodyParts = { length: 0, write: () => {} };

export const copyOf = ({ chunk, offset, length }: BodyLocation): BodyParts => ({
  length,
  write: (target, at) => {
    chunk.copy(target, at, offset, offset + length);
  },
});

function writeHead(
  chunk: Buffer,
  at: number,
  head: RecordHead,
  keyBytes: number,
  bodyBytes: number,
  last: boolean,
): void {
  chunk[at] = head.kind;
  chunk[at + 1] = last ? 1 : 0;
  chunk.writeUInt16LE(keyBytes, at + 2);
  chunk.writeUInt32LE(head.timestamp, at + 4);
  chunk.writeInt32LE(head.ttl, at + 8);
  chunk.writeUInt32LE(head.terms, at + 12);
  chunk.writeUInt32LE(head.sizeBytes, at + 16);
  chunk.writeUInt32LE(bodyBytes, at + 20);
  chunk.writeDoubleLE(head.lsn, at + 24);
  chunk.writeDoubleLE(head.previousLsn, at + 32);
  chunk.writeDoubleLE(head.sequence, at + 40);
  chunk.writeDoubleLE(head.document, at + 48);
}

function readRecord(
  chunk: Buffer,
  at: number,
): { head: RecordHead; last: boolean; key: string; body: BodyLocation } {
  const keyBytes = chunk.readUInt16LE(at + 2);
  const offset = at + HEAD + keyBytes;
  return {
    head: {
      kind: chunk[at] as RecordKind,
      timestamp: chunk.readUInt32LE(at + 4),
      ttl: chunk.readInt32LE(at + 8),
      terms: chunk.readUInt32LE(at + 12),
      sizeBytes: chunk.readUInt32LE(at + 16),
      lsn: chunk.readDoubleLE(at + 24),
      previousLsn: chunk.readDoubleLE(at + 32),
      sequence: chunk.readDoubleLE(at + 40),
      document: chunk.readDoubleLE(at + 48),
    },
    last: chunk[at + 1] === 1,
    key: chunk.toString('utf8', at + HEAD, offset),
    body: { chunk, offset, length: chunk.readUInt32LE(at + 20) },
  };
}
