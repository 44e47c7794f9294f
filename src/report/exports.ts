import { metricsOf } from './metrics.ts';
import type { RunReport } from './run-report.ts';

/**
 * The array that github-action-benchmark takes with the tools customSmallerIsBetter and customBiggerIsBetter: one of the
 * two per file, so `better` chooses. https://github.com/benchmark-action/github-action-benchmark
 */
export function renderActionBenchmark(report: RunReport, better: 'lower' | 'higher'): string {
  const entries = [...metricsOf(report)]
    .filter(([, metric]) => metric.better === better)
    .flatMap(([name, { unit, values }]) =>
      Object.entries(values)
        .filter(([aggregation]) => EXPORTED.has(aggregation))
        .map(([aggregation, value]) => ({ name: `${name}:${aggregation}`, unit, value })),
    );
  return `${JSON.stringify(entries, null, 2)}\n`;
}

const EXPORTED: ReadonlySet<string> = new Set([
  'avg',
  'p(50)',
  'p(99)',
  'p(99.9)',
  'max',
  'count',
  'sum',
  'rate',
]);

/** OpenMetrics text, to be pushed or scraped once: every metric and aggregation as a gauge. */
export function renderOpenMetrics(report: RunReport): string {
  const lines: string[] = [];
  for (const [name, { unit, values }] of metricsOf(report)) {
    const metric = `cosmos_pipe_${name}`;
    lines.push(`# TYPE ${metric} gauge`, `# HELP ${metric} ${unit}`);
    for (const [aggregation, value] of Object.entries(values)) {
      lines.push(`${metric}{aggregation="${aggregation}",run="${labelValue(report.run)}"} ${value}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

function labelValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
