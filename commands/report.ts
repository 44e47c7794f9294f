import { resolve } from 'node:path';
import { defineCommand } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { mergeReports } from '../src/report/merge.ts';
import { readReport } from '../src/report/read.ts';
import { checkOutput, REPORT_EXTENSIONS, writeReport } from '../src/report/render.ts';
import { runReportJsonSchema } from '../src/report/schema.ts';
import { renderText } from '../src/report/text.ts';
import { evaluateThresholds, parseThreshold } from '../src/report/thresholds.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';

export const command = defineCommand({
  description: [
    'Render saved reports again. Several files are the shards of one run: their histograms are added, percentiles are',
    'never averaged. `report schema` prints the JSON Schema of a report.',
  ].join('\n'),
  operands: '[file...]',
  examples: [
    'cosmos-pipe report bench.json',
    'cosmos-pipe report bench.json -o bench.md -o bench.xml',
    'cosmos-pipe report shard-*.json -o all.json',
    "cosmos-pipe report bench.json -t 'e2e_latency:p(99.9)<1s'",
    'cosmos-pipe report schema > run-report.schema.json',
  ],
  options: {
    threshold: opt.custom(parseThreshold, {
      flags: '-t, --threshold <expression>',
      description: 'hold the report against these instead of its own thresholds; exit code 99 when crossed',
      repeatable: true,
    }),
    output: opt.custom(checkOutput, {
      flags: '-o, --output <file>',
      description: `write the report there, format by extension: ${REPORT_EXTENSIONS.join(' ')}`,
      repeatable: true,
    }),
  },
  async run(values, { operands, terminal, cwd }): Promise<ExitCode> {
    const [first] = operands;
    if (first === undefined)
      throw usageError('no report named', 'for example: cosmos-pipe report bench.json');
    if (first === 'schema') {
      const schema = runReportJsonSchema();
      terminal.result(schema, JSON.stringify(schema, null, 2));
      return ExitCode.Ok;
    }
    const reports = await Promise.all(operands.map((path) => readReport(resolve(cwd, path))));
    const merged = mergeReports(reports);
    const report =
      values.threshold.length === 0
        ? merged
        : { ...merged, thresholds: evaluateThresholds(merged, values.threshold) };
    for (const path of values.output) {
      await writeReport(report, resolve(cwd, path));
      terminal.note(`saved ${path}`);
    }
    terminal.result(
      report,
      renderText(report, (style, part) => terminal.paint(style, part, terminal.streams.stdout)),
    );
    return report.thresholds.every(({ ok }) => ok) ? ExitCode.Ok : ExitCode.ThresholdsCrossed;
  },
});
