import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { PipeError } from '../../util/errors.ts';
import {
  type DeadLetter,
  type DeadLetterArchive,
  type DeadLetterRecord,
  deadLetterId,
} from './dead-letter.ts';

/** Appends one JSON line per event and syncs it to disk; records that come while a sync runs share the next one. */
export async function openDeadLetterFile(path: string): Promise<DeadLetter> {
  let handle: FileHandle;
  try {
    await mkdir(dirname(path), { recursive: true });
    handle = await open(path, 'a');
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot write dead letters to ${path} (${(error as Error).message})`, {
      hint: 'pass a writable file with --dead-letter',
      cause: error,
    });
  }
  let pending = '';
  let next: Promise<void> | undefined;
  let current: Promise<void> = Promise.resolve();

  async function flush(previous: Promise<void>): Promise<void> {
    await previous.catch(() => {});
    const text = pending;
    pending = '';
    next = undefined;
    await handle.appendFile(text);
    await handle.datasync();
  }
  return {
    name: `file ${path}`,
    write(record) {
      pending += `${JSON.stringify(record)}\n`;
      if (next === undefined) {
        next = flush(current);
        current = next;
      }
      return next;
    },
    async close() {
      await current.catch(() => {});
      await handle.close();
    },
  };
}

/** Reads a dead letter file, and rewrites it without the records that are done. */
export function deadLetterFileArchive(path: string): DeadLetterArchive {
  async function* records(): AsyncGenerator<DeadLetterRecord> {
    if (!existsSync(path))
      throw new PipeError('E_CONFIG', `no dead letter file ${path}`, {
        hint: 'name it with --dead-letter <file>',
      });
    let line = 0;
    for await (const text of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      line += 1;
      if (text === '') continue;
      const record = parseRecord(text);
      if (record === undefined)
        throw new PipeError('E_CONFIG', `line ${line} of ${path} is not a dead letter`, {
          hint: 'a process that was killed may have cut its last line: remove that line',
        });
      yield record;
    }
  }
  return {
    records,
    async remove(isDone) {
      const temporary = `${path}.${process.pid}.tmp`;
      const handle = await open(temporary, 'w');
      const seen = new Set<string>();
      let removed = 0;
      try {
        for await (const record of records()) {
          // An event that was rejected again after a restart stands twice in the file.
          const repeated = seen.has(deadLetterId(record));
          seen.add(deadLetterId(record));
          if (repeated || isDone(record)) removed += repeated ? 0 : 1;
          else await handle.appendFile(`${JSON.stringify(record)}\n`);
        }
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
      return removed;
    },
  };
}

function parseRecord(text: string): DeadLetterRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'body' in value && 'sequenceNumber' in value
      ? (value as DeadLetterRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
