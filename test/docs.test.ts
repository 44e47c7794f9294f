import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifest } from '../commands/index.ts';
import { cli } from './helpers/cli.ts';

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs').map((name) => join('docs', name)),
].filter((page) => page.endsWith('.md'));
const texts = pages.map((page) => ({ page, text: readFileSync(page, 'utf8') }));

/** Command lines that a reader would type, as words; what follows `--` is somebody else's. */
const commandLines = texts.flatMap(({ page, text }) =>
  [...text.matchAll(/^(?: {4})?(?:npx )?cosmos-pipe ([a-z].*)$/gm)].map(([, line = '']) => ({ page, line })),
);

function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-docs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the documentation', () => {
  it('has command lines to check', () => {
    expect(commandLines.length).toBeGreaterThan(15);
  });

  it.each(commandLines)('$page: cosmos-pipe $line', async ({ line }) => {
    const words = wordsOf(line.replace(/ {2,}#.*$/, ''));
    // What follows `--` or a redirection is not ours.
    const end = words.findIndex((word) => ['--', '>', '|', '&&'].includes(word));
    const argv = [...(end === -1 ? words : words.slice(0, end)), '--print-config'];
    const { code, stderr } = await cli(argv, { cwd: folder, env: {} });
    // The pages show targets of a pipeline file, which is not in this folder.
    if (stderr.includes('unknown target')) return;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each(texts)('$page links to files that exist', ({ page, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = '']) => path);
    expect(links.filter((path) => !existsSync(join(dirname(page), path)))).toEqual([]);
  });

  it('names every command in the README', () => {
    const readme = texts[0]?.text ?? '';
    expect(Object.keys(manifest).filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });
});
