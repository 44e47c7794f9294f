import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isRecord } from '../config/pipeline-file.ts';
import { PipeError, usageError } from '../util/errors.ts';
import type { OptionSpec, OptionSpecs } from './command.ts';

export type Origin = 'flag' | 'environment' | 'file' | 'default' | 'unset';

export interface ResolvedOption {
  readonly value: unknown;
  readonly origin: Origin;
  /** The flag, variable or file and key that gave the value. */
  readonly source: string;
}

export interface OptionSources {
  /** Raw text (or texts) of the flags that were given, by option key; `true`/`false` for flags without a value. */
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly env: NodeJS.ProcessEnv;
  /** Sections of the file that apply, strongest first. */
  readonly file: readonly { readonly name: string; readonly values: Readonly<Record<string, unknown>> }[];
  readonly cwd: string;
}

/** `--event-hub` of option key `eventHub` can be given as `COSMOS_PIPE_EVENT_HUB`. */
export function environmentName(key: string): string {
  return `COSMOS_PIPE_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `--key-prefix` of option `keyPrefix`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Precedence, strongest first: flag, environment variable, file, fallback. Throws E_USAGE or E_CONFIG that names the source. */
export function resolveOptions(
  specs: OptionSpecs,
  sources: OptionSources,
): Readonly<Record<string, ResolvedOption>> {
  return Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => [key, resolveOption(key, spec, sources)]),
  );
}

function resolveOption(key: string, spec: OptionSpec<unknown>, sources: OptionSources): ResolvedOption {
  const flag = sources.flags[key];
  if (flag !== undefined) return fromFlag(spec, flag, sources.cwd);
  for (const name of [environmentName(key), ...(spec.env ?? [])]) {
    const text = sources.env[name];
    if (text) {
      const texts = spec.repeatable ? text.split(',').map((part) => part.trim()) : text;
      return { value: parsed(spec, texts, name, 'E_USAGE'), origin: 'environment', source: name };
    }
  }
  for (const { name, values } of sources.file) {
    if (values[key] !== undefined) {
      const source = `${name}.${key}`;
      return { value: fromFile(spec, values[key], source, sources), origin: 'file', source };
    }
  }
  if (spec.fallback !== undefined)
    return { value: parsed(spec, spec.fallback, 'default', 'E_USAGE'), origin: 'default', source: 'default' };
  return { value: spec.repeatable ? [] : undefined, origin: 'unset', source: '' };
}

function fromFlag(
  spec: OptionSpec<unknown>,
  flag: string | boolean | readonly string[],
  cwd: string,
): ResolvedOption {
  const source = spec.flags.split(/[ ,]+/).find((word) => word.startsWith('--')) ?? spec.flags;
  if (flag === true && spec.bare !== undefined)
    return { value: parsed(spec, spec.bare, source, 'E_USAGE'), origin: 'flag', source };
  if (typeof flag === 'boolean') return { value: flag, origin: 'flag', source };
  const text = spec.secret && typeof flag === 'string' ? readSecret(flag, cwd, source) : flag;
  return { value: parsed(spec, text, source, 'E_USAGE'), origin: 'flag', source };
}

/** A secret in the file is `{ env: NAME }` or `{ file: path }`; a literal is refused. */
function fromFile(
  spec: OptionSpec<unknown>,
  raw: unknown,
  source: string,
  { env, cwd }: OptionSources,
): unknown {
  if (spec.secret) {
    const reference = isRecord(raw) ? raw : {};
    if (typeof reference['env'] === 'string') {
      const text = env[reference['env']];
      if (!text)
        throw new PipeError('E_CONFIG', `${source}: environment variable ${reference['env']} is not set`);
      return parsed(spec, text, source, 'E_CONFIG');
    }
    if (typeof reference['file'] === 'string')
      return parsed(spec, readSecret(reference['file'], cwd, source), source, 'E_CONFIG');
    throw new PipeError(
      'E_SECRET_IN_CONFIG',
      `${source}: a secret must not stand in the configuration file`,
      {
        hint: `write ${source.split('.').at(-1)}: { env: NAME } or { file: path }`,
      },
    );
  }
  const texts = Array.isArray(raw) ? raw.map(String) : isRecord(raw) ? JSON.stringify(raw) : String(raw);
  return parsed(spec, texts, source, 'E_CONFIG');
}

function parsed(
  spec: OptionSpec<unknown>,
  text: string | readonly string[],
  source: string,
  code: 'E_USAGE' | 'E_CONFIG',
): unknown {
  try {
    if (spec.repeatable) return (typeof text === 'string' ? [text] : text).map((one) => spec.parse(one));
    if (typeof text !== 'string') throw new RangeError(`expected one value, got ${text.length}`);
    return spec.parse(text);
  } catch (error) {
    if (error instanceof PipeError) throw error;
    throw new PipeError(code, `${source}: ${(error as Error).message}`, {
      hint: 'run with --help for usage',
      cause: error,
    });
  }
}

function readSecret(path: string, cwd: string, source: string): string {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : resolve(cwd, path), 'utf8').trim();
  } catch (error) {
    throw usageError(`${source}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
  // An empty secret would mean none, which is another way of signing in, or no protection at all.
  if (text === '') throw usageError(`${source}: ${path === '-' ? 'stdin' : path} is empty`);
  return text;
}
