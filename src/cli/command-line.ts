import { redact } from '../util/secret.ts';

/**
 * The command line that was typed, to be pasted into a shell again; `argv` is without the program. What an address carried
 * (`?sig=...`) is not shown, and has to be typed once more.
 */
export function commandLine(argv: readonly string[]): string {
  return ['cosmos-pipe', ...argv.map((word) => quoted(redact(word)))].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
