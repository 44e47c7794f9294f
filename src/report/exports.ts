import type { MetricUnit } from './metric-catalog.ts';
import { metricsOf } from './metrics.ts';
import type { RunReport } from './run-report.ts';

/**
 * The array that github-action-benchmark takes with the tools customSmallerIsBetter and customBiggerIsBetter: one of the
 * two per file, so `better` chooses. https://github.com/benchmark-action/github-action-benchmark
 */
export function renderActionBenchmark(report: RunReport, better: 'lower' | 'higher'): string {
  const entries = [...metricsOf(report)]
    .filter(([, metric]) => metric.better === better)
    .flatMap(([name, { histogram, unit, values }]) =>
      Object.entries(values)
        // How many latencies there are says nothing about latency.
        .filter(([aggregation]) => EXPORTED.has(aggregation) && !(aggregation === 'count' && histogram))
        .map(([aggregation, value]) => ({
          name: `${name}:${aggregation}`,
          unit: unitOf(unit, aggregation),
          value,
          ...rangeOf(report, name, aggregation),
        })),
    );
  return `${JSON.stringify(entries, null, 2)}\n`;
}

/** What `bench --repeat` found beside the value, as the charts of the action show it. */
function rangeOf({ repeats }: RunReport, name: string, aggregation: string): { readonly range?: string } {
  const found = repeats?.metrics.find((one) => one.metric === name && one.aggregation === aggregation);
  return found === undefined ? {} : { range: `${found.min} to ${found.max}` };
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
    const others = ['count', 'rate'].filter(
      (aggregation) => aggregation in values && unitOf(unit, aggregation) !== unit,
    );
    const help = [unit, ...others.map((aggregation) => `${aggregation} in ${unitOf(unit, aggregation)}`)];
    lines.push(`# TYPE ${metric} gauge`, `# HELP ${metric} ${help.join(', ')}`);
    for (const [aggregation, value] of Object.entries(values)) {
      lines.push(`${metric}{aggregation="${aggregation}",run="${labelValue(report.run)}"} ${value}`);
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/** A count is of events and a rate a share of one, whatever the metric is measured in. */
function unitOf(unit: MetricUnit, aggregation: string): MetricUnit {
  return aggregation === 'count' ? 'events' : aggregation === 'rate' ? 'share' : unit;
}

function labelValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
