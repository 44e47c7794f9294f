import { execFileSync } from 'node:child_process';

/** End-to-end tests run the built CLI as a child process, so every test run starts with a fresh build (under a second). */
export default function build(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], { stdio: 'inherit' });
}
