import { PipeError } from './errors.ts';

/** An error as plain data, so that it crosses to another thread with what the user is told. */
export interface PlainError {
  readonly message: string;
  readonly code?: PipeError['code'];
  readonly hint?: string;
}

export function toPlainError(error: unknown): PlainError {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof PipeError)) return { message };
  return { message, code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

export function fromPlainError({ code, hint, message }: PlainError): Error {
  if (code === undefined) return new Error(message);
  return new PipeError(code, message, hint === undefined ? {} : { hint });
}
