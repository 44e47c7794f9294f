import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PipeError } from '../../util/errors.ts';

/** The position in a file, `undefined` when there is no such file. */
export async function loadPosition(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, error);
  }
}

/** Replaces the file in one step, so that a crash leaves the old position or the new one. */
export async function savePosition(path: string, position: string): Promise<void> {
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(`${position}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Names the file in what `open` says of a position that came from it. */
export async function fromFile<T>(path: string | undefined, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (path === undefined || !(error instanceof PipeError) || error.code !== 'E_USAGE') throw error;
    const { hint, message } = error;
    throw new PipeError('E_CONFIG', `${path}: ${message}`, {
      cause: error,
      ...(hint !== undefined && { hint }),
    });
  }
}

function unusable(path: string, cause: unknown): PipeError {
  const { code } = cause as NodeJS.ErrnoException;
  return new PipeError('E_CONFIG', `cannot use resume file ${path} (${code})`, {
    cause,
    hint: `check that ${dirname(path)} exists and can be written`,
  });
}
