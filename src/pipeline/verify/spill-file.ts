import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { PipeError } from '../../util/errors.ts';
import { ByteReader, ByteWriter } from './spill-bytes.ts';

const WRITE_BYTES = 64 * 1024;
const READ_BYTES = 1024 * 1024;
const LENGTH_BYTES = 4;

/**
 * Records put aside on disk, read back once in the order of writing. The file has no name from the start where the system
 * allows that, so nothing is left behind however the process ends. Writing is synchronous: whoever has no memory for a
 * record cannot hurry on either.
 */
export class SpillFile {
  readonly #path: string;
  readonly #file: number;
  #out: ByteWriter | undefined = new ByteWriter(WRITE_BYTES);
  #sizeBytes = 0;
  #named = false;
  #open = true;

  /** Throws PipeError E_CONFIG when nothing can be written in `folder`. */
  constructor(folder: string) {
    this.#path = join(folder, `cosmos-pipe-${randomBytes(8).toString('hex')}.spill`);
    this.#file = this.#try(() => openSync(this.#path, 'wx+', 0o600));
    try {
      rmSync(this.#path);
    } catch {
      this.#named = true;
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes + (this.#out?.size ?? 0);
  }

  /** Appends what `write` puts into the writer. */
  append(write: (out: ByteWriter) => void): void {
    const out = this.#out;
    if (out === undefined) throw new Error('a spill file is written before it is read');
    const start = out.size;
    out.uint32(0);
    write(out);
    out.setUint32(start, out.size - start - LENGTH_BYTES);
    if (out.size >= WRITE_BYTES) this.#flush(out);
  }

  /** Visits every record once, with turns for the rest of the process in between, and closes the file. */
  async drain(visit: (record: ByteReader) => void, signal: AbortSignal): Promise<void> {
    if (this.#out !== undefined) this.#flush(this.#out);
    this.#out = undefined;
    let buffer = Buffer.allocUnsafe(READ_BYTES);
    let held = 0;
    let position = 0;
    while (position < this.#sizeBytes) {
      if (held === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
      const room = Math.min(buffer.length - held, this.#sizeBytes - position);
      const read = this.#try(() => readSync(this.#file, buffer, held, room, position));
      if (read === 0) throw new Error(`the spill file ended at ${position} of ${this.#sizeBytes} bytes`);
      position += read;
      held += read;
      let at = 0;
      while (held - at >= LENGTH_BYTES) {
        const end = at + LENGTH_BYTES + buffer.readUInt32LE(at);
        if (end > held) break;
        visit(new ByteReader(buffer, at + LENGTH_BYTES));
        at = end;
      }
      buffer.copy(buffer, 0, at, held);
      held -= at;
      await turn();
      signal.throwIfAborted();
    }
    this.close();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#file);
    if (this.#named) rmSync(this.#path, { force: true });
  }

  #flush(out: ByteWriter): void {
    const bytes = out.take();
    for (let written = 0; written < bytes.length; ) {
      written += this.#try(() => writeSync(this.#file, bytes, written));
    }
    this.#sizeBytes += bytes.length;
  }

  #try<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw new PipeError(
        'E_CONFIG',
        `cannot put data aside in ${this.#path} (${(error as Error).message})`,
        {
          hint: 'name a folder with room, --scratch <folder>, or allow more memory, --max-memory 4GB',
          cause: error,
        },
      );
    }
  }
}
