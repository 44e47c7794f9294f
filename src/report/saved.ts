import { repeatLines } from './repeat.ts';
import type { RunReport } from './run-report.ts';
import { searchLines } from './search.ts';
import { type Paint, plain, renderText } from './text.ts';

/**
 * A report that was saved, for a terminal: which run it is of, and what its search or its repeats found, which `bench` tells
 * as it runs, before the report.
 */
export function renderSaved(report: RunReport, paint: Paint = plain): string {
  const { environment, kind, run, startedAt, title } = report;
  const { cpuCount, cpuModel, node } = environment;
  const parts = [
    [
      `  ${paint('bold', title)}`,
      paint('dim', `  ${kind} ${run}, ${startedAt}`),
      paint('dim', `  ${cpuCount} x ${cpuModel}, Node ${node}`),
    ],
    report.search === undefined ? [] : searchLines(report.search),
    repeatLines(report),
    [renderText(report, paint)],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}
