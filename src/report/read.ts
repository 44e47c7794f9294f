import { readFile } from 'node:fs/promises';
import { PipeError } from '../util/errors.ts';
import type { RunReport } from './run-report.ts';
import { parseRunReport } from './schema.ts';

/** Reads a saved report. Throws PipeError E_CONFIG for a file that cannot be read or is no report. */
export async function readReport(path: string): Promise<RunReport> {
  let document: unknown;
  try {
    // Windows PowerShell begins what it redirects into a file with a byte order mark.
    document = JSON.parse((await readFile(path, 'utf8')).replace(/^\ufeff/, ''));
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot read the report ${path} (${(error as Error).message})`, {
      hint: 'write one with: cosmos-pipe bench -o bench.json',
      cause: error,
    });
  }
  return parseRunReport(document, path);
}
