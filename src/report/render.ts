import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { PipeError, usageError } from '../util/errors.ts';
import { renderCsv } from './csv.ts';
import { renderJUnit } from './junit.ts';
import { renderMarkdown } from './markdown.ts';
import type { RunReport } from './run-report.ts';
import { renderText } from './text.ts';

type Renderer = (report: RunReport) => string;

/** Renderings by file extension; `.xml` is JUnit. */
const RENDERERS: Readonly<Record<string, Renderer>> = {
  '.json': (report) => `${JSON.stringify(report, null, 2)}\n`,
  '.md': renderMarkdown,
  '.xml': renderJUnit,
  '.csv': renderCsv,
  '.txt': (report) => `${renderText(report)}\n`,
};

/** Extensions that `--output` understands. */
export const REPORT_EXTENSIONS: readonly string[] = Object.keys(RENDERERS);

/** Checks a file name given to `--output`. Throws a usage PipeError for an extension that is not known. */
export function checkOutput(path: string): string {
  if (RENDERERS[extname(path)] !== undefined) return path;
  throw usageError(
    `cannot tell the format of ${path}`,
    `use one of the extensions ${REPORT_EXTENSIONS.join(', ')}`,
  );
}

/** Writes a report in the format of the file's extension. */
export async function writeReport(report: RunReport, path: string): Promise<void> {
  const render = RENDERERS[extname(checkOutput(path))] as Renderer;
  try {
    await writeFile(path, render(report));
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot write ${path} (${(error as Error).message})`, { cause: error });
  }
}
