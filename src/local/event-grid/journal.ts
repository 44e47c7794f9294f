import { closeSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { GridEvent } from './schema.ts';

/** Events that were accepted, and who gets which of them. */
export interface PublishRecord {
  readonly op: 'publish';
  readonly id: number;
  readonly topic: string;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly events: readonly GridEvent[];
  /** The events are in the delivery schema already: a dead letter that is replayed. */
  readonly shaped?: boolean;
  /** Subscriptions with the positions of their events; without positions all of them. */
  readonly to: readonly { readonly path: string; readonly indexes?: readonly number[] }[];
}

/** What must survive a crash of the service: resources, accepted events, and which of them are done with. */
export type JournalRecord =
  | { readonly op: 'put'; readonly path: string; readonly properties: unknown }
  | { readonly op: 'delete'; readonly path: string }
  | PublishRecord
  /** The event `index` of publish `id` needs no further delivery to `subscription`. */
  | { readonly op: 'settle'; readonly id: number; readonly index: number; readonly subscription: string };

export interface Journal {
  /** On disk when it returns. */
  write(record: JournalRecord): void;
  /** On disk when the event loop gets to it: losing it means one more delivery, not a lost event. */
  note(record: JournalRecord): void;
  /** Size of the file. */
  readonly sizeBytes: number;
  /** Replaces everything by these records. */
  rewrite(records: Iterable<JournalRecord>): void;
  close(): void;
}

export const noJournal: Journal = {
  write: () => {},
  note: () => {},
  sizeBytes: 0,
  rewrite: () => {},
  close: () => {},
};

/**
 * Opens `events.log` in `dataDir`: a line per record, `<crc32> <json>`. A torn or damaged tail (the process was killed in
 * a write that nobody was told of) is cut off.
 */
export function openJournal(dataDir: string): {
  readonly journal: Journal;
  readonly records: readonly JournalRecord[];
} {
  const path = join(dataDir, 'events.log');
  const { records, validBytes } = readRecords(path);
  let file = openSync(path, 'a');
  ftruncateSync(file, validBytes);
  let sizeBytes = validBytes;
  let notes: string[] = [];
  let closed = false;

  const append = (text: string): void => {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    sizeBytes += bytes.length;
  };
  const flush = (): void => {
    if (notes.length === 0) return;
    const text = notes.join('');
    notes = [];
    append(text);
  };
  /** One write for all notes of a turn of the event loop. */
  const flushSoon = (): void => {
    if (notes.length === 1) setImmediate(() => closed || flush());
  };
  const journal: Journal = {
    write(record) {
      flush();
      append(encode(record));
    },
    note(record) {
      notes.push(encode(record));
      flushSoon();
    },
    get sizeBytes() {
      return sizeBytes;
    },
    rewrite(kept) {
      notes = [];
      const draft = `${path}.new`;
      closeSync(file);
      file = openSync(draft, 'w');
      sizeBytes = 0;
      for (const record of kept) append(encode(record));
      renameSync(draft, path);
    },
    close() {
      if (closed) return;
      flush();
      closed = true;
      closeSync(file);
    },
  };
  return { journal, records };
}

function encode(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

function readRecords(path: string): { records: JournalRecord[]; validBytes: number } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { records: [], validBytes: 0 };
    throw error;
  }
  const records: JournalRecord[] = [];
  let validBytes = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, validBytes)) {
    const crc = bytes.toString('latin1', validBytes, validBytes + 8);
    const json = bytes.subarray(validBytes + 9, end);
    if (crc32(json) !== Number.parseInt(crc, 16)) break;
    records.push(JSON.parse(json.toString()) as JournalRecord);
    validBytes = end + 1;
  }
  return { records, validBytes };
}
