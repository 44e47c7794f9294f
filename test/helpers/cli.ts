import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { Writable } from 'node:stream';
import { manifest } from '../../commands/index.ts';
import { type Manifest, run } from '../../src/cli/run.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import { DIST } from './build.ts';

/** The built CLI: end-to-end tests run it as a child process. */
export const CLI_ENTRY = resolve(DIST, 'bin/cosmos-pipe.js');

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly manifest?: Manifest;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** Runs a command line in this process. A stack for `--local` is still a child of the built CLI. */
export async function cli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const stdout = new Sink();
  const stderr = new Sink();
  const code = await run(options.manifest ?? manifest, {
    argv,
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    version: '0.0.0',
    clock: options.clock ?? systemClock,
    signal: options.signal ?? new AbortController().signal,
    self: [process.execPath, CLI_ENTRY],
    streams: { stdin: process.stdin, stdout: stdout as never, stderr: stderr as never },
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

export interface RunningCli {
  readonly child: ChildProcess;
  /** Everything written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the process has ended; a signal counts as code -1. */
  readonly done: Promise<CliResult>;
}

/** Starts the built CLI as a child process. The environment is the given one plus PATH, HOME and TMPDIR. */
export function spawnCli(
  argv: readonly string[],
  options: Omit<CliOptions, 'manifest' | 'signal' | 'clock'> = {},
): RunningCli {
  const child = spawn(process.execPath, [CLI_ENTRY, ...argv], {
    cwd: options.cwd ?? process.cwd(),
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TMPDIR: process.env['TMPDIR'],
      ...options.env,
    },
  });
  let stdout = '';
  let stderr = '';
  // A character of several bytes may arrive in two parts.
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const done = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, done };
}

class Sink extends Writable {
  text = '';
  readonly isTTY = false;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
