// Clients in Python: a virtual environment in the suite's folder, and a program of clients/ that prints a JSON line per check.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Unavailable } from './suite.mjs';

export async function runPython({ check, folder, packages, program, env }) {
  const python = join(folder, 'venv', 'bin', 'python');
  const made = spawnSync('python3', ['-m', 'venv', join(folder, 'venv')]);
  if (made.status !== 0) throw new Unavailable('no python3 with venv');
  const installed = spawnSync(python, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    ...packages,
  ]);
  if (installed.status !== 0) throw new Unavailable(`pip cannot install ${packages.join(', ')}`);
  const file = fileURLToPath(new URL(`clients/${program}`, import.meta.url));
  const child = spawn(python, [file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const { test, ok, reason } = JSON.parse(line);
    await check(test, () => {
      if (!ok) throw new Error(reason);
    });
  }
  const code = await ended;
  if (code !== 0)
    await check(`${program} runs to its end`, () => {
      throw new Error(`it ended with ${code}`);
    });
}
