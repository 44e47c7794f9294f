import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PipeError, usageError } from '../util/errors.ts';
import { renderCsv } from './csv.ts';
import { renderActionBenchmark, renderOpenMetrics } from './exports.ts';
import { renderJUnit } from './junit.ts';
import { renderMarkdown } from './markdown.ts';
import type { RunReport } from './run-report.ts';
import { renderSaved } from './saved.ts';

type Renderer = (report: RunReport) => string | Promise<string>;

/** Renderings by the end of the file name, the longest first; `.xml` is JUnit, `.prom` OpenMetrics. */
const RENDERERS: readonly (readonly [ending: string, render: Renderer])[] = [
  ['.smaller.json', (report) => renderActionBenchmark(report, 'lower')],
  ['.bigger.json', (report) => renderActionBenchmark(report, 'higher')],
  ['.json', (report) => `${JSON.stringify(report, null, 2)}\n`],
  // Loads the charts' packages only when a chart is drawn.
  ['.html', async (report) => (await import('./html.ts')).renderHtml(report)],
  ['.md', renderMarkdown],
  ['.xml', renderJUnit],
  ['.csv', renderCsv],
  ['.prom', renderOpenMetrics],
  ['.txt', (report) => `${renderSaved(report)}\n`],
];

/** Endings of file names that `--output` understands. */
export const REPORT_EXTENSIONS: readonly string[] = RENDERERS.map(([ending]) => ending);

/** Checks a file name given to `--output`. Throws a usage PipeError for a format that is not known. */
export function checkOutput(path: string): string {
  rendererOf(path);
  return path;
}

/** Writes a report in the format of the file's name. Throws PipeError E_CONFIG when the file cannot be written. */
export async function writeReport(report: RunReport, path: string): Promise<void> {
  const render = rendererOf(path);
  try {
    await writeFile(path, await render(report));
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** What `--output` could not write, with the way out that fits its cause. */
export function cannotWrite(path: string, error: unknown): PipeError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new PipeError('E_CONFIG', `cannot write ${path} (${message})`, {
    hint:
      code === 'ENOENT'
        ? `make the folder first: mkdir -p ${dirname(path)}`
        : 'name a file in a folder that you can write to: -o bench.json',
    cause: error,
  });
}

function rendererOf(path: string): Renderer {
  const [, render] = RENDERERS.find(([ending]) => path.endsWith(ending)) ?? [];
  if (render !== undefined) return render;
  throw usageError(
    `cannot tell the format of ${path}`,
    `use one of the endings ${REPORT_EXTENSIONS.join(', ')}`,
  );
}
