import { appendFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CommandContext } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { renderMarkdown } from '../src/report/markdown.ts';
import { checkOutput, REPORT_EXTENSIONS, writeReport } from '../src/report/render.ts';
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

/**
 * Writes the files, prints the report, and in GitHub Actions adds it to the step summary with an annotation for each
 * broken promise. Returns the exit code: 4 for anything lost, duplicated, out of order, late or corrupted, else 99 for a
 * crossed threshold.
 */
export async function publishReport(
  report: RunReport,
  outputs: readonly string[],
  { cwd, env, terminal }: CommandContext,
): Promise<ExitCode> {
  for (const path of outputs) await writeReport(report, resolve(cwd, path));
  const text = renderText(report, (style, part) => terminal.paint(style, part, terminal.streams.stdout));
  terminal.result(report, `\n${text}`);
  for (const path of outputs) terminal.note(`  saved ${path}`);
  const summary = env['GITHUB_STEP_SUMMARY'];
  if (summary) await appendFile(summary, renderMarkdown(report));
  if (env['GITHUB_ACTIONS'] === 'true')
    for (const message of brokenPromises(report))
      terminal.note(`::error title=cosmos-pipe ${report.kind}::${message}`);
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
