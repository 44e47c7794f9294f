export { ExitCode, PipeError } from './util/errors.ts';
export { Secret } from './util/secret.ts';
