import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { COMMIT_BYTES, SEGMENT_BYTES, Segment } from './segment.ts';

const MAGIC = 'CPEHLOG1';
/** Magic, base sequence number, base offset and time of the first event, as doubles. */
const HEADER_BYTES = 32;

export interface SegmentFile {
  readonly path: string;
  readonly baseSequence: number;
  readonly baseOffset: number;
  readonly firstMs: number;
  readonly sizeBytes: number;
}

/** The segment files of one partition. Writes are synchronous: when `append` returns, the kernel has the bytes. */
export class SegmentFiles {
  readonly #folder: string;
  readonly #sync: boolean;
  #tail: { readonly fd: number; at: number } | undefined;

  /** `sync`: also waits for the disk, so that a power failure loses nothing that was acknowledged. */
  constructor(folder: string, sync: boolean) {
    this.#folder = folder;
    this.#sync = sync;
    mkdirSync(folder, { recursive: true });
  }

  /** All files in order; one that was torn at its creation is removed. */
  list(): SegmentFile[] {
    const names = readdirSync(this.#folder)
      .filter((name) => name.endsWith('.log'))
      .sort();
    return names.flatMap((name) => {
      const path = join(this.#folder, name);
      const file = readHeader(path);
      if (file === undefined) rmSync(path);
      return file ?? [];
    });
  }

  create(segment: Segment, firstMs: number): string {
    this.close();
    const name = `${String(segment.baseSequence).padStart(16, '0')}.log`;
    const path = join(this.#folder, name);
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, 'latin1');
    header.writeDoubleLE(segment.baseSequence, 8);
    header.writeDoubleLE(segment.baseOffset, 16);
    header.writeDoubleLE(firstMs, 24);
    const fd = openSync(path, 'w');
    this.#tail = { fd, at: HEADER_BYTES };
    writeAll(fd, header, 0);
    return path;
  }

  /** Opens the last file to append to it, cut behind its last valid commit. */
  reopen(file: SegmentFile, segment: Segment): void {
    this.close();
    const fd = openSync(file.path, 'r+');
    ftruncateSync(fd, HEADER_BYTES + segment.used);
    this.#tail = { fd, at: HEADER_BYTES + segment.used };
  }

  append(bytes: Buffer): void {
    const tail = this.#tail!;
    writeAll(tail.fd, bytes, tail.at);
    if (this.#sync) fdatasyncSync(tail.fd);
    tail.at += bytes.length;
  }

  close(): void {
    if (this.#tail !== undefined) closeSync(this.#tail.fd);
    this.#tail = undefined;
  }
}

/** Reads a whole file, `capacity` bytes large at least so that the tail can grow. */
export function loadSegment(file: SegmentFile, capacity = 0): Segment {
  const fd = openSync(file.path, 'r');
  try {
    const length = Math.max(0, statSync(file.path).size - HEADER_BYTES);
    const room = Math.max(capacity, length + COMMIT_BYTES);
    const segment = new Segment(file.baseSequence, file.baseOffset, room);
    let read = 0;
    while (read < length) {
      const bytes = readSync(fd, segment.bytes, read, length - read, HEADER_BYTES + read);
      if (bytes === 0) break;
      read += bytes;
    }
    segment.recover(read);
    return segment;
  } finally {
    closeSync(fd);
  }
}

export function loadTail(file: SegmentFile): Segment {
  return loadSegment(file, SEGMENT_BYTES);
}

function readHeader(path: string): SegmentFile | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  const fd = openSync(path, 'r');
  try {
    const read = readSync(fd, header, 0, HEADER_BYTES, 0);
    if (read < HEADER_BYTES || header.toString('latin1', 0, 8) !== MAGIC) return undefined;
  } finally {
    closeSync(fd);
  }
  return {
    path,
    baseSequence: header.readDoubleLE(8),
    baseOffset: header.readDoubleLE(16),
    firstMs: header.readDoubleLE(24),
    sizeBytes: statSync(path).size,
  };
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  let written = 0;
  while (written < bytes.length)
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}
