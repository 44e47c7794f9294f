import { appendFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PipeError } from '../util/errors.ts';

/** Who deleted what: one JSON line per destructive command. */
export interface AuditLine {
  /** ISO 8601. */
  readonly at: string;
  readonly user: string;
  readonly command: 'flush';
  readonly address: string;
  readonly prefix: string;
  readonly matched: number;
  readonly deleted: number;
  readonly outcome: 'complete' | 'stopped' | 'generation';
}

/** Appends the line; the folder is created. Throws E_CONFIG when the file cannot be written. */
export async function appendAudit(path: string, line: AuditLine): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await appendFile(path, `${JSON.stringify(line)}\n`);
  } catch (cause) {
    throw new PipeError('E_CONFIG', `cannot write the audit file ${path} (${(cause as Error).message})`, {
      hint: 'pass --audit-file with a path that can be written',
      cause,
    });
  }
}
