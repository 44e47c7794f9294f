import { spawnSync } from 'node:child_process';

/** Folder of the build under test; several checkouts of work in one tree can each have their own. */
export const DIST = process.env['COSMOS_PIPE_DIST'] ?? 'dist';

/** End-to-end tests run the built CLI as a child process, so every test run starts with a fresh build (under a second). */
export default function build(): void {
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', DIST],
    {
      stdio: 'inherit',
    },
  );
  if (status !== 0 && process.env['CI']) throw new Error('the build failed');
}
