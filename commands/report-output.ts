import { constants } from 'node:fs';
import { access, appendFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { CommandContext } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { renderMarkdown } from '../src/report/markdown.ts';
import { cannotWrite, checkOutput, REPORT_EXTENSIONS, writeReport } from '../src/report/render.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { anomalySummary, renderText, thresholdActual } from '../src/report/text.ts';
import { parseThreshold } from '../src/report/thresholds.ts';
import { ExitCode } from '../src/util/errors.ts';

const verdict = { group: 'Verdict:' } as const;

/** Options of every command that ends in a report. */
export const reportOptions = {
  threshold: opt.custom(parseThreshold, {
    flags: '-t, --threshold <expression>',
    description: 'e.g. e2e_latency:p(99)<250ms, lost_events:count==0; exit code 99 when crossed',
    repeatable: true,
    ...verdict,
  }),
  output: opt.custom(checkOutput, {
    flags: '-o, --output <file>',
    description: `also write the report there, format by name: ${REPORT_EXTENSIONS.join(' ')}`,
    repeatable: true,
    ...verdict,
  }),
} as const;

/** Throws PipeError E_CONFIG for a file that could not be written: before a run, and not after an hour of it. */
export async function checkOutputs(outputs: readonly string[], cwd: string): Promise<void> {
  for (const path of outputs) {
    const folder = dirname(resolve(cwd, path));
    await access(folder, constants.W_OK).catch((error: unknown) => {
      throw cannotWrite(path, error);
    });
  }
}

/**
 * Prints the report, writes the files, and in GitHub Actions adds it to the step summary with an annotation for each
 * broken promise. Returns the exit code: 4 for anything lost, duplicated, out of order, late or corrupted, else 99 for a
 * crossed threshold.
 */
export async function publishReport(
  report: RunReport,
  outputs: readonly string[],
  { cwd, env, terminal }: CommandContext,
  render: typeof renderText = renderText,
): Promise<ExitCode> {
  const text = render(report, (style, part) => terminal.paint(style, part, terminal.streams.stdout));
  // First of all, so that a full disk loses a file and not the result.
  terminal.result(report, `\n${text}`);
  for (const path of outputs) {
    await writeReport(report, resolve(cwd, path));
    terminal.note(`  saved ${path}`);
  }
  const summary = env['GITHUB_STEP_SUMMARY'];
  if (summary) await appendFile(summary, `${renderMarkdown(report)}\n`);
  if (env['GITHUB_ACTIONS'] === 'true')
    for (const message of brokenPromises(report))
      terminal.error(`::error title=cosmos-pipe ${report.kind}::${message}`);
  if (report.verdict?.ok === false) return ExitCode.Verification;
  return report.thresholds.every(({ ok }) => ok) ? ExitCode.Ok : ExitCode.ThresholdsCrossed;
}

function brokenPromises(report: RunReport): string[] {
  const { thresholds, verdict } = report;
  return [
    ...thresholds
      .filter(({ ok }) => !ok)
      .map((threshold) => `${threshold.expression} was ${thresholdActual(report, threshold)}`),
    ...(verdict?.ok === false ? [anomalySummary(verdict)] : []),
  ];
}
