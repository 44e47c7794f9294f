import { usageError } from '../../util/errors.ts';
import { loadPosition, savePosition } from '../feed/resume.ts';
import type { WarmSource } from './warm-source.ts';

const SAVE_EVERY = 20;

export interface WarmPosition {
  /** Where the last run stopped; `undefined` for a fresh start. */
  readonly stored: string | undefined;
  /** Notes how far the cache is filled; written to the file every few batches. */
  reached(position: string | undefined): void;
  /** Writes what was reached last. */
  save(): Promise<void>;
}

/** The position of an earlier run of the same source. Throws E_USAGE when the file is of another one. */
export async function openWarmPosition(path: string, source: WarmSource): Promise<WarmPosition> {
  const name = source.from === 'query' ? `query ${source.query}` : source.from;
  const text = await loadPosition(path);
  const saved = text === undefined ? undefined : parse(text);
  if (text !== undefined && saved?.source !== name)
    throw usageError(
      `the position in ${path} is not of this source`,
      'delete the file to start afresh, or pass the query it was made with',
    );
  let position = saved?.position;
  let batches = 0;
  let saving: Promise<void> = Promise.resolve();
  const save = (): Promise<void> => {
    const content = JSON.stringify({ source: name, position });
    if (position !== undefined) saving = saving.then(() => savePosition(path, content));
    return saving;
  };
  return {
    stored: saved?.position,
    reached(next) {
      if (next === undefined) return;
      position = next;
      // A failure shows again when the last position is saved.
      if (++batches % SAVE_EVERY === 0) save().catch(() => undefined);
    },
    save,
  };
}

function parse(text: string): { readonly source?: string; readonly position?: string } {
  try {
    return JSON.parse(text) as { source?: string; position?: string };
  } catch {
    return {};
  }
}
