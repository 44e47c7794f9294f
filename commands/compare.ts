import { basename, resolve } from 'node:path';
import { defineCommand } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { compareReports } from '../src/report/compare.ts';
import {
  checkComparisonOutput,
  conclusionOf,
  renderComparison,
  renderComparisonMarkdown,
  type SideNames,
  writeComparison,
} from '../src/report/compare-text.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import { parseShare } from '../src/util/share.ts';
import { tellGitHub } from './report-output.ts';

/** `10%`, `0.1`, `150%`: a number alone beyond 1 is refused, because `10` would let ten times as much pass. */
function parseRegression(text: string): number {
  return parseShare(text, text.trim().endsWith('%') ? Number.POSITIVE_INFINITY : 1);
}

export const command = defineCommand({
  description: [
    'Hold a report, the last one named, against earlier ones of the same load. Several baselines give a noise band: what moves less than they',
    'differ among themselves is no change. So does a report of `bench --repeat`. Exit code 99 for a regression.',
  ].join('\n'),
  operands: '[report...]',
  examples: [
    'cosmos-pipe compare main.json pr.json',
    'cosmos-pipe compare main-1.json main-2.json main-3.json pr.json --max-regression 20%',
    'cosmos-pipe compare main-1.json main-2.json pr-1.json pr-2.json --current 2 -o compare.md',
  ],
  options: {
    current: opt.integer({
      flags: '--current <n>',
      description: 'how many of the reports, the last ones, are held against the others, by their medians',
      fallback: '1',
    }),
    maxRegression: opt.custom(parseRegression, {
      flags: '--max-regression <share>',
      description: 'largest change for the worse that passes',
      fallback: '10%',
    }),
    output: opt.custom(checkComparisonOutput, {
      flags: '-o, --output <file>',
      description: 'also write the comparison there, format by name: .md .json .txt',
      repeatable: true,
    }),
  },
  async run(values, context): Promise<ExitCode> {
    const { operands, terminal, cwd } = context;
    if (operands.length < 2)
      throw usageError('two reports are needed', 'for example: cosmos-pipe compare main.json pr.json');
    if (values.current < 1 || values.current >= operands.length)
      throw usageError(
        `--current ${values.current} leaves no baseline of ${operands.length} reports`,
        'name the baselines first: cosmos-pipe compare main-1.json main-2.json pr-1.json pr-2.json --current 2',
      );
    const { readReport } = await import('../src/report/read.ts');
    const reports = await Promise.all(operands.map((path) => readReport(resolve(cwd, path))));
    const currents = reports.splice(-values.current);
    const comparison = compareReports(reports, currents, values.maxRegression);
    if (comparison.metrics.length === 0)
      throw usageError('the reports have no figure in common', 'compare reports of the same command');
    const nameOf = (side: readonly unknown[], path: string | undefined): string =>
      side.length === 1 ? basename(path ?? '') : `median of ${side.length}`;
    const names: SideNames = [nameOf(reports, operands[0]), nameOf(currents, operands.at(-1))];
    terminal.result(comparison, renderComparison(comparison, names));
    for (const path of values.output) {
      await writeComparison(comparison, names, resolve(cwd, path));
      terminal.note(`  saved ${path}`);
    }
    const markdown = renderComparisonMarkdown(comparison, names);
    await tellGitHub(context, 'compare', markdown, comparison.ok ? [] : [conclusionOf(comparison)]);
    return comparison.ok ? ExitCode.Ok : ExitCode.ThresholdsCrossed;
  },
});
