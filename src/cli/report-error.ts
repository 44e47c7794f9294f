import { CommanderError } from 'commander';
import { ExitCode, PipeError, usageError } from '../util/errors.ts';
import { redact } from '../util/secret.ts';
import type { Terminal } from './terminal.ts';

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ECONNRESET',
]);

/** Prints a failure as one line and a hint (a line of JSON with `--json`) and returns the exit code. */
export function reportError(error: unknown, terminal: Terminal, debug: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.Ok;
  const known = asPipeError(error);
  const message = redact(known?.message ?? (error instanceof Error ? error.message : String(error)));
  const { code, exitCode, hint } = known ?? {
    code: 'E_INTERNAL',
    exitCode: ExitCode.Failure,
    hint: 'this is a bug: please report it with the output of the same command with --debug',
  };
  if (terminal.json) {
    terminal.error(JSON.stringify({ error: { code, message, hint, exitCode } }));
  } else {
    terminal.error(`${terminal.paint('red', 'error:')} ${message} ${terminal.paint('dim', `[${code}]`)}`);
    if (hint) terminal.error(`${terminal.paint('cyan', ' hint:')} ${hint}`);
  }
  if (debug) terminal.error(stackOf(error));
  return exitCode;
}

function asPipeError(error: unknown): PipeError | undefined {
  if (error instanceof PipeError) return error;
  if (error instanceof CommanderError) return usageError(error.message.replace(/^error: /, ''));
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (typeof code === 'string' && NETWORK_CODES.has(code)) {
    return new PipeError('E_UNREACHABLE', (error as Error).message, {
      hint: 'check the address, or start the local stack with `cosmos-pipe local`',
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'AbortError')
    return new PipeError('E_INTERRUPTED', 'interrupted before it could finish', { cause: error });
  return undefined;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
