import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { manifest } from '../../commands/index.ts';
import type { Command } from '../../src/cli/command.ts';
import { environmentName } from '../../src/cli/resolve-options.ts';
import { cli } from '../helpers/cli.ts';

const commands: readonly (readonly [string, Command])[] = await Promise.all(
  Object.entries(manifest).map(async ([name, { load }]) => [name, (await load()).command] as const),
);
const flags = commands.flatMap(([name, { options }]) =>
  Object.entries(options).map(([key, spec]) => ({
    name,
    key,
    spec,
    long: /--[a-z0-9-]+/.exec(spec.flags)?.[0] ?? '',
  })),
);
const examples = commands.flatMap(([, { examples }]) => examples);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-flags-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('has a text for every flag, and the same key in a file and in the environment as on the command line', () => {
  expect(flags.filter(({ spec }) => spec.description.trim() === '')).toEqual([]);
  const keyOf = (long: string) =>
    long.replace(/^--(no-)?/, '').replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const other = flags.filter(({ key, long, spec }) => keyOf(long) !== key && !spec.secret);
  expect(other.map(({ name, long, key }) => `${name} ${long}: ${key}`)).toEqual([]);
});

it('takes a flag of several commands from the same variable in all of them', () => {
  const variables = new Map<string, Set<string>>();
  for (const { key, long, spec } of flags)
    variables.set(long, (variables.get(long) ?? new Set()).add(spec.env?.[0] ?? environmentName(key)));
  expect([...variables].filter(([, names]) => names.size > 1)).toEqual([]);
});

it('shows examples that a shell takes as they are, with flags that exist', async () => {
  // A secret is read when its flag is.
  writeFileSync(join(folder, 'code.txt'), 'secret');
  // Every program of the examples is a function here: ours prints its arguments, the others take their input.
  const script = [
    'cosmos-pipe() { for word in "$@"; do [ "$word" = -- ] && break; printf "%s\\t" "$word" >&3; done; printf "\\n" >&3; }',
    'for name in jq npm tail curl; do eval "$name() { :; }"; done',
    ...examples.map((example) => example.replace(/^npx /, '')),
  ].join('\n');
  const shell = spawnSync('/bin/bash', ['-e', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: '/nowhere' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  expect(shell.stderr).toBe('');
  const lines = String(shell.output[3]).split('\n').slice(0, -1);
  expect(lines.length).toBeGreaterThanOrEqual(examples.length);
  const refused: string[] = [];
  for (const line of lines) {
    const { code, stderr } = await cli([...line.split('\t').slice(0, -1), '--print-config'], {
      cwd: folder,
    });
    if (code !== 0 && !stderr.includes('unknown target')) refused.push(`${line}: ${stderr}`);
  }
  expect(refused).toEqual([]);
});
