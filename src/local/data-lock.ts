import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipeError } from '../util/errors.ts';
import { isProcessAlive } from '../util/process-alive.ts';

/**
 * Keeps a second stack out of a data folder: two writers would interleave in one log. A lock whose process is gone (it
 * was killed) is taken over.
 *
 * @returns a function that gives the folder back.
 */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, 'lock');
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const owner = Number(readFileSync(file, 'utf8'));
    if (owner !== process.pid && isProcessAlive(owner)) {
      throw new PipeError('E_CONFIG', `data folder ${dataDir} is in use by process ${owner}`, {
        hint: 'stop that stack, or name another folder with --data',
      });
    }
    writeFileSync(file, String(process.pid));
  }
  return () => rmSync(file, { force: true });
}
