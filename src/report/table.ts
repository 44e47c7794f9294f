import { createRequire } from 'node:module';

/** Loaded with the first table: every command imports this file, and `--help` should load no package. */
const tableClass = (): typeof import('cli-table3') => createRequire(import.meta.url)('cli-table3');

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

export interface TableOptions {
  /** Spaces before each line, default 0. */
  readonly indent?: number;
  /** Columns aligned left; the others are figures and aligned right. Default: the first. */
  readonly left?: readonly number[];
}

/** Aligned columns without borders, one line per row, no trailing blanks. Cells may be coloured. */
export function formatTable(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const { indent = 0, left = [0] } = options;
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const Table = tableClass();
  const table = new Table({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: Array.from({ length: columns }, (_, column) => (left.includes(column) ? 'left' : 'right')),
  });
  for (const row of rows) table.push(Array.from({ length: columns }, (_, column) => row[column] ?? ''));
  return table
    .toString()
    .split('\n')
    .map((line) => `${' '.repeat(indent)}${line.trimEnd()}`);
}
