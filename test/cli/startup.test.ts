import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { manifest } from '../../commands/index.ts';
import { CLI_ENTRY } from '../helpers/cli.ts';

/** Which npm packages a command line evaluates: V8 coverage lists every script. */
function packagesLoadedBy(...argv: string[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'cosmos-pipe-startup-'));
  try {
    execFileSync(process.execPath, [CLI_ENTRY, ...argv], {
      env: { ...process.env, NODE_V8_COVERAGE: directory },
    });
    const urls = readdirSync(directory).flatMap((file) =>
      (JSON.parse(readFileSync(join(directory, file), 'utf8')) as { result: { url: string }[] }).result.map(
        ({ url }) => url,
      ),
    );
    const names = urls.flatMap(
      (url) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(url)?.[1] ?? [],
    );
    return [...new Set(names)];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it('loads nothing but commander for --help', () => {
  expect(packagesLoadedBy('--help')).toEqual(['commander']);
});

it.each(Object.keys(manifest))('loads nothing but commander for the help of %s', (name) => {
  expect(packagesLoadedBy(name, '--help')).toEqual(['commander']);
});

it.each(Object.keys(manifest))('shows grouped options and an example in the help of %s', (name) => {
  const help = execFileSync(process.execPath, [CLI_ENTRY, name, '--help'], { encoding: 'utf8' });
  expect(help).toContain('Examples:\n  $ cosmos-pipe ');
  expect(help).toContain('Options:');
});
