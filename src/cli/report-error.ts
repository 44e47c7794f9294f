import { resolve } from 'node:path';
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

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is taken',
  EADDRNOTAVAIL: 'no such address on this machine',
  EACCES: 'permission denied',
};

const FILE_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EISDIR: 'it is a directory',
  ENOSPC: 'no space left on the device',
};

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
  if (error instanceof CommanderError) return asUsageError(error);
  if (isListenError(error)) {
    const { address, code, port } = error;
    const reason = LISTEN_REASONS[code] ?? code;
    return new PipeError('E_CONFIG', `cannot listen on ${address}${port ? `:${port}` : ''} (${reason})`, {
      hint: 'pass another port (0 takes a free one), or another address',
      cause: error,
    });
  }
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (typeof code === 'string' && NETWORK_CODES.has(code)) {
    return new PipeError('E_UNREACHABLE', (error as Error).message, {
      hint: 'check the address, or start the local stack with `cosmos-pipe local`',
      cause: error,
    });
  }
  if (isFileError(error)) {
    const reason = FILE_REASONS[error.code] as string;
    return new PipeError('E_CONFIG', `cannot ${error.syscall} ${resolve(error.path)} (${reason})`, {
      hint: 'check that the folder exists and that this user may write to it',
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'AbortError')
    return new PipeError('E_INTERRUPTED', 'interrupted before it could finish', { cause: error });
  return undefined;
}

/** Commander puts its suggestion on a second line: that is the hint. */
function asUsageError({ message }: CommanderError): PipeError {
  const [line = '', suggestion] = message.replace(/^error: /, '').split('\n');
  return suggestion === undefined
    ? usageError(line)
    : usageError(line, suggestion.replace(/^\(|\)$/g, '').replace(/^Did/, 'did'));
}

/** An address that this machine does not have, a port that is taken or needs other rights. */
function isListenError(error: unknown): error is { code: string; address: string; port?: number } {
  const { address, code, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException & { address: string }>;
  return syscall === 'listen' && typeof code === 'string' && typeof address === 'string';
}

/** What the user's own file system refused; nobody has to report that as a bug. */
function isFileError(error: unknown): error is { code: string; path: string; syscall: string } {
  const { code, path, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return (
    typeof code === 'string' &&
    code in FILE_REASONS &&
    typeof path === 'string' &&
    typeof syscall === 'string'
  );
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
