import { expect, it } from 'vitest';
import { spawnCli } from '../helpers/cli.ts';

it('runs a program that knows only the official SDKs', async () => {
  const { done } = spawnCli(['local', '--', process.execPath, 'examples/sdk-program.mjs']);
  const { code, stdout, stderr } = await done;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^stored 10 events for \d+\.\d\d RU; cached count 10\n$/);
});
