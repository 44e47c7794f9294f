import { createInterface } from 'node:readline/promises';
import { PipeError } from '../util/errors.ts';
import type { Terminal } from './terminal.ts';

export interface Confirmation {
  /** What will happen, as a statement: `delete 48,210 keys on contoso.redis.cache.windows.net`. */
  readonly action: string;
  /** The answer that means yes; `y` when absent. */
  readonly expected?: string;
  readonly yes: boolean;
}

/** Asks on a terminal; elsewhere throws E_CONFIRM that names the flag to pass. */
export async function confirm(terminal: Terminal, { action, expected, yes }: Confirmation): Promise<void> {
  if (yes) return;
  if (!terminal.interactive) {
    throw new PipeError('E_CONFIRM', `refusing to ${action} without confirmation`, {
      hint: 'pass --yes, or --dry-run to see what would happen',
    });
  }
  const { stdin, stderr } = terminal.streams;
  const prompt = createInterface({ input: stdin, output: stderr });
  try {
    const question = expected === undefined ? `${action}? [y/N] ` : `${action}. Type ${expected} to go on: `;
    const answer = (await prompt.question(question.charAt(0).toUpperCase() + question.slice(1))).trim();
    const agreed = expected === undefined ? /^y(es)?$/i.test(answer) : answer === expected;
    if (!agreed) throw new PipeError('E_CONFIRM', `not confirmed: did not ${action}`);
  } finally {
    prompt.close();
  }
}
