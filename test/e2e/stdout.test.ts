import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CLI_ENTRY } from '../helpers/cli.ts';

/** Takes no byte: what a disk does that is full. Linux has it. */
const FULL = '/dev/full';

describe.runIf(existsSync(FULL))('a result that cannot be written', () => {
  it.each([
    [[], /^error: stdout: the result could not be written \(ENOSPC.*\[E_INTERNAL\]\n hint: .*\n$/],
    [['--json'], /^\{"error":\{"code":"E_INTERNAL","message":"stdout: .*"exitCode":1\}\}\n$/],
  ])('is told in one line, %j', async (flags, expected) => {
    await using full = await open(FULL, 'w');
    const child = spawn(process.execPath, [CLI_ENTRY, 'report', 'metrics', ...flags], {
      stdio: ['ignore', full.fd, 'pipe'],
      // Without what colours it.
      env: { PATH: process.env['PATH'] },
    });
    const [stderr, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'exit')]);
    expect(stderr).toMatch(expected);
    expect(code).toBe(1);
  });
});

it('is whole for a reader that takes its time', async () => {
  const child = spawn(process.execPath, [CLI_ENTRY, 'simulate', '--rate', '1/s', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'readable');
  // Longer than a command that has said everything stays for its sockets.
  await delay(1_500);
  expect(await json(child.stdout)).toMatchObject({ kind: 'simulate' });
});
