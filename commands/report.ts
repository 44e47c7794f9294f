import { resolve } from 'node:path';
import { defineCommand } from '../src/cli/command.ts';
import { reprice } from '../src/report/cost-of-run.ts';
import { mergeReports } from '../src/report/merge.ts';
import { aggregationsOf, METRICS } from '../src/report/metric-catalog.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { renderSaved } from '../src/report/saved.ts';
import { formatTable } from '../src/report/table.ts';
import { evaluateThresholds } from '../src/report/thresholds.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import { pricesOption, sheetOf } from './prices-option.ts';
import { publishReport, reportOptions } from './report-output.ts';

export const command = defineCommand({
  description: [
    'Render saved reports again, held against other thresholds or priced by other prices if any are given. Several files are',
    'the shards of one run: their histograms are added, percentiles are never averaged. `report schema` prints the JSON Schema of a report, `report metrics` what thresholds can name.',
  ].join('\n'),
  operands: '[file...]',
  examples: [
    'cosmos-pipe report bench.json',
    'cosmos-pipe report bench.json -o bench.md -o bench.xml',
    'cosmos-pipe report shard-*.json -o all.json',
    "cosmos-pipe report bench.json -t 'e2e_latency:p(99.9)<1s'",
    'cosmos-pipe report bench.json --prices prices.yaml',
    'cosmos-pipe report metrics',
    'cosmos-pipe report schema > run-report.schema.json',
  ],
  options: { ...reportOptions, prices: pricesOption },
  async run(values, context): Promise<ExitCode> {
    const { cwd, operands, terminal } = context;
    const [first, second] = operands;
    if (first === undefined)
      throw usageError('no report named', 'for example: cosmos-pipe report bench.json');
    if (second !== undefined && (first === 'schema' || first === 'metrics'))
      throw usageError(
        `\`report ${first}\` takes no file, got ${second}`,
        `for a file of that name: cosmos-pipe report ./${first} ${second}`,
      );
    if (first === 'schema') {
      const { runReportJsonSchema } = await import('../src/report/schema.ts');
      const schema = runReportJsonSchema();
      terminal.result(schema, JSON.stringify(schema, null, 2));
      return ExitCode.Ok;
    }
    if (first === 'metrics') {
      terminal.result(
        Object.fromEntries(
          [...METRICS].map(([name, kind]) => [name, { ...kind, aggregations: aggregationsOf(kind) }]),
        ),
        formatTable(
          [
            ['METRIC', 'UNIT', 'AGGREGATIONS'],
            ...[...METRICS].map(([name, kind]) => [name, kind.unit, aggregationsOf(kind).join(' ')]),
          ],
          { left: [0, 1, 2] },
        ).join('\n'),
      );
      return ExitCode.Ok;
    }
    const { readReport } = await import('../src/report/read.ts');
    const reports = await Promise.all(operands.map((path) => readReport(resolve(cwd, path))));
    refuseOthersThanShards(operands, reports);
    const joined = mergeReports(reports);
    // Shards have no cost of their own together: what one container and one namespace cost is not added.
    const merged =
      values.prices === undefined && joined.cost !== undefined
        ? joined
        : reprice(joined, await sheetOf(values.prices, cwd));
    const report =
      values.threshold.length === 0
        ? merged
        : { ...merged, thresholds: evaluateThresholds(merged, values.threshold) };
    return publishReport(report, values.output, context, renderSaved);
  },
});

/** Throws E_USAGE for files that cannot be added: of another command, or the same one again. */
function refuseOthersThanShards(files: readonly string[], reports: readonly RunReport[]): void {
  const [{ kind } = { kind: '' }] = reports;
  const seen = new Map<string, string | undefined>();
  for (const [index, report] of reports.entries()) {
    const file = files[index];
    if (report.kind !== kind)
      throw usageError(
        `cannot add ${file}, a ${report.kind}, to ${files[0]}, a ${kind}`,
        'several files are the shards of one run; hold two runs against each other with: cosmos-pipe compare',
      );
    const content = JSON.stringify(report);
    if (seen.has(content))
      throw usageError(
        `${file} is the same report as ${seen.get(content)}, and would count every event twice`,
        'name each shard once',
      );
    seen.set(content, file);
  }
}
