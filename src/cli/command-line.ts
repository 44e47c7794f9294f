/** The command line that was typed, to be pasted into a shell again. `argv` is without the program. */
export function commandLine(argv: readonly string[]): string {
  return ['cosmos-pipe', ...argv.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
