import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Folder of the build under test; several checkouts of work in one tree can each have their own. */
export const DIST = process.env['COSMOS_PIPE_DIST'] ?? 'dist';

/**
 * End-to-end tests run the built CLI as a child process, so every test run starts with a fresh build (under a second).
 * Temporary folders of the tests and of what they start are made in one, which goes when the run ends.
 */
export default function setup(): () => void {
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', DIST],
    {
      stdio: 'inherit',
    },
  );
  if (status !== 0 && process.env['CI']) throw new Error('the build failed');
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-tests-'));
  process.env['TMPDIR'] = folder;
  // What was killed last may still write for a moment.
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
