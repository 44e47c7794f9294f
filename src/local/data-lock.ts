import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipeError } from '../util/errors.ts';
import { makeFolder } from '../util/make-folder.ts';
import { isProcessAlive } from '../util/process-alive.ts';

const UNUSABLE: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  ENOENT: 'no folder can be made there',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
  ENOSPC: 'no space left on the device',
};

/**
 * Keeps a second stack out of a data folder: two writers would interleave in one log. A lock whose process is gone (it
 * was killed) is taken over.
 *
 * @returns a function that gives the folder back.
 * @throws PipeError E_CONFIG when the folder is in use, cannot be created or cannot be written to.
 */
export function lockDataDir(dataDir: string): () => void {
  const file = join(dataDir, 'lock');
  try {
    makeFolder(dataDir);
  } catch (error) {
    throw unusable(dataDir, error);
  }
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(dataDir, error);
    const owner = Number(readFileSync(file, 'utf8'));
    if (owner !== process.pid && isProcessAlive(owner)) {
      throw new PipeError('E_CONFIG', `data folder ${dataDir} is in use by process ${owner}`, {
        hint: 'stop that stack, or name another folder with --data',
      });
    }
    try {
      writeFileSync(file, String(process.pid));
    } catch (refused) {
      throw unusable(dataDir, refused);
    }
  }
  return () => rmSync(file, { force: true });
}

function unusable(dataDir: string, error: unknown): unknown {
  const reason = UNUSABLE[(error as NodeJS.ErrnoException).code ?? ''];
  if (reason === undefined) return error;
  return new PipeError('E_CONFIG', `cannot keep data in ${dataDir} (${reason})`, {
    hint: 'name a folder that this user may write to with --data, or leave it out to keep everything in memory',
    cause: error,
  });
}
