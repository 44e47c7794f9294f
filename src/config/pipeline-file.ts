import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PipeError } from '../util/errors.ts';

/** `pipeline.yaml`, read but not yet interpreted: each section belongs to the command or part of its name. */
export interface PipelineFile {
  readonly path: string;
  readonly sections: Readonly<Record<string, unknown>>;
}

const NAMES = ['pipeline.yaml', 'pipeline.yml', 'pipeline.json'];

/** The named file, or the nearest one from `cwd` upwards; `undefined` when there is none. */
export async function loadPipelineFile(cwd: string, named?: string): Promise<PipelineFile | undefined> {
  const path = named === undefined ? findUpwards(cwd) : resolve(cwd, named);
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot read configuration file ${path} (${(error as Error).message})`, {
      hint: 'check the path given to --config',
      cause: error,
    });
  }
  const { parse } = await import('yaml');
  let sections: unknown;
  try {
    sections = parse(text);
  } catch (error) {
    throw new PipeError('E_CONFIG', `${path} is not valid YAML (${firstLine(error)})`, { cause: error });
  }
  if (sections === null) return { path, sections: {} };
  if (!isRecord(sections)) {
    throw new PipeError('E_CONFIG', `${path} must be a mapping of sections, got ${typeof sections}`);
  }
  return { path, sections };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function findUpwards(cwd: string): string | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const found = NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));
    if (found !== undefined) return found;
    if (folder === dirname(folder)) return undefined;
  }
}

function firstLine(error: unknown): string {
  return (
    String((error as Error).message)
      .split('\n')[0]
      ?.replace(/:$/, '') ?? ''
  );
}
