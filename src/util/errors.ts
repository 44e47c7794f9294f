/** Process exit codes. Stable: scripts and CI jobs depend on them. */
export const ExitCode = {
  Ok: 0,
  Failure: 1,
  Usage: 2,
  Connection: 3,
  Verification: 4,
  ThresholdsCrossed: 99,
  Interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const EXIT_CODE_OF = {
  E_USAGE: ExitCode.Usage,
  E_CONFIG: ExitCode.Usage,
  E_SECRET_IN_CONFIG: ExitCode.Usage,
  E_CONFIRM: ExitCode.Usage,
  E_PORT_IN_USE: ExitCode.Usage,
  E_UNREACHABLE: ExitCode.Connection,
  E_AUTH: ExitCode.Connection,
  E_NOT_FOUND: ExitCode.Connection,
  E_LOSS: ExitCode.Verification,
  E_THRESHOLD: ExitCode.ThresholdsCrossed,
  E_INTERRUPTED: ExitCode.Interrupted,
  E_INTERNAL: ExitCode.Failure,
} as const;

/** Stable, documented names of the expected failures. */
export type ErrorCode = keyof typeof EXIT_CODE_OF;

export interface PipeErrorOptions extends ErrorOptions {
  /** What the user can do next, ideally a command to paste. */
  readonly hint?: string;
}

/** An expected failure: printed as one line and a hint, never with a stack trace. */
export class PipeError extends Error {
  override readonly name = 'PipeError';
  readonly code: ErrorCode;
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: PipeErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.exitCode = EXIT_CODE_OF[code];
    this.hint = options.hint;
  }
}

export function usageError(message: string, hint = 'run with --help for usage'): PipeError {
  return new PipeError('E_USAGE', message, { hint });
}
