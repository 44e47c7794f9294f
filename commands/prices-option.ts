import { DEFAULT_SHEET, type Sheet } from '../src/capacity/sheet.ts';
import { opt } from '../src/cli/options.ts';
import { loadPipelineFile, type PipelineFile } from '../src/config/pipeline-file.ts';
import { PipeError } from '../src/util/errors.ts';

/** The option of every command that prices something. */
export const pricesOption = opt.text({
  flags: '--prices <file>',
  description: 'YAML or JSON with limits and prices of your own; names: plan --prices-template',
  group: 'Basis:',
});

/** The built-in sheet, or that with what the file of `--prices` replaces. Throws PipeError E_CONFIG for a wrong file. */
export async function sheetOf(prices: string | undefined, cwd: string): Promise<Sheet> {
  if (prices === undefined) return DEFAULT_SHEET;
  const [file, { overrideSheet }] = await Promise.all([
    readSheet(cwd, prices),
    import('../src/capacity/sheet-file.ts'),
  ]);
  return overrideSheet(file?.sections ?? {}, prices);
}

async function readSheet(cwd: string, path: string): Promise<PipelineFile | undefined> {
  try {
    return await loadPipelineFile(cwd, path);
  } catch (error) {
    throw new PipeError('E_CONFIG', `cannot use the price sheet ${path} (${(error as Error).message})`, {
      hint: 'write one with: cosmos-pipe plan --prices-template > prices.yaml',
      cause: error,
    });
  }
}
