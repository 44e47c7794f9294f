import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { PipeError } from '../util/errors.ts';

/**
 * Runs a program to its end in this terminal and returns its exit code (128 + n when a signal ended it, as shells do). A
 * SIGTERM to this process is passed on; Ctrl-C reaches the program by itself, through the terminal's process group.
 */
export async function runChild(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  signal: AbortSignal,
): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env, cwd, stdio: 'inherit' });
  const passOn = (): void => {
    if (signal.reason !== 'SIGINT') child.kill('SIGTERM');
  };
  signal.addEventListener('abort', passOn);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new PipeError('E_USAGE', `cannot run "${program}" (${error.code})`, {
            hint: 'check the command after --',
            cause: error,
          }),
        ),
      );
      child.once('exit', (code, name) => resolve(code ?? 128 + (name ? constants.signals[name] : 0)));
    });
  } finally {
    signal.removeEventListener('abort', passOn);
  }
}
