import { constants } from 'node:fs';
import { access, appendFile, open } from 'node:fs/promises';
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
  for (const path of outputs)
    await checkWritable(resolve(cwd, path)).catch((error: unknown) => {
      throw cannotWrite(path, error);
    });
}

async function checkWritable(path: string): Promise<void> {
  try {
    const there = await open(path, 'r+');
    await there.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await access(dirname(path), constants.W_OK);
  }
}

/**
 * Writes the files, prints the report, and in GitHub Actions adds it to the step summary with an annotation for each
 * broken promise. Returns the exit code: 4 for anything lost, duplicated, out of order, late or corrupted, else 99 for a
 * crossed threshold.
 */
export async function publishReport(
  report: RunReport,
  outputs: readonly string[],
  context: CommandContext,
  render: typeof renderText = renderText,
): Promise<ExitCode> {
  const { cwd, terminal } = context;
  const text = render(report, (style, part) => terminal.paint(style, part, terminal.streams.stdout));
  const saved: string[] = [];
  let failure: unknown;
  // Before the result: a reader that leaves early (`| head`) ends the process. A full disk loses a file and not the result.
  for (const path of outputs) {
    await writeReport(report, resolve(cwd, path)).then(
      () => saved.push(path),
      (error: unknown) => {
        failure ??= error;
      },
    );
  }
  terminal.result(report, `\n${text}`);
  for (const path of saved) terminal.note(`  saved ${path}`);
  await tellGitHub(context, report.kind, renderMarkdown(report), brokenPromises(report));
  if (failure !== undefined) throw failure;
  if (report.verdict?.ok === false) return ExitCode.Verification;
  return report.thresholds.every(({ ok }) => ok) ? ExitCode.Ok : ExitCode.ThresholdsCrossed;
}

/** In GitHub Actions: adds to the summary of the step, and an annotation for each message; neither is worth a failure. */
export async function tellGitHub(
  { env, terminal }: CommandContext,
  about: string,
  markdown: string,
  errors: readonly string[],
): Promise<void> {
  const summary = env['GITHUB_STEP_SUMMARY'];
  if (summary)
    await appendFile(summary, `${markdown}\n`).catch((error: Error) =>
      terminal.warn(`cannot add to the step summary (${error.message})`),
    );
  // With --json stderr is for lines of JSON.
  if (env['GITHUB_ACTIONS'] !== 'true' || terminal.json) return;
  for (const message of errors)
    terminal.error(`::error title=cosmos-pipe ${about}::${escapeAnnotation(message)}`);
}

/** What a workflow command would read as its own. */
function escapeAnnotation(message: string): string {
  return message.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
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
