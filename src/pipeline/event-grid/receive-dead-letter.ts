import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PipeError } from '../../util/errors.ts';

/** An event that will never be stored, with the reason. */
export interface PoisonEvent {
  readonly reason: string;
  /** As it came, or as much as could be read of it. */
  readonly event: unknown;
  readonly subscription?: string;
}

export interface PoisonFile {
  /** On disk when it resolves. */
  write(events: readonly PoisonEvent[]): Promise<void>;
  close(): Promise<void>;
}

/** A file that gets one JSON line per event, with the time. Throws E_CONFIG when it cannot be written. */
export async function openPoisonFile(path: string, now: () => string): Promise<PoisonFile> {
  let file: FileHandle;
  try {
    await mkdir(dirname(path), { recursive: true });
    file = await open(path, 'a');
  } catch (cause) {
    throw new PipeError('E_CONFIG', `cannot write dead letters to ${path} (${(cause as Error).message})`, {
      hint: 'pass a writable file with --dead-letter',
      cause,
    });
  }
  let last: Promise<void> = Promise.resolve();
  return {
    write(events) {
      if (events.length === 0) return Promise.resolve();
      const text = events
        .map((event) => `${JSON.stringify({ deadLetteredTime: now(), ...event })}\n`)
        .join('');
      last = last
        .catch(() => {})
        .then(async () => {
          await file.appendFile(text);
          await file.datasync();
        });
      return last;
    },
    async close() {
      await last.catch(() => {});
      await file.close();
    },
  };
}
