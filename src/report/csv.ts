import type { StageSeries } from '../metrics/stage-recorder.ts';
import type { RunReport } from './run-report.ts';

const COLUMNS: readonly Exclude<keyof StageSeries, 'intervalMs'>[] = [
  'offered',
  'done',
  'failed',
  'throttled',
  'inFlightMax',
  'latencyP50Ms',
  'latencyP99Ms',
];

/** The series as CSV (RFC 4180): one line per stage and interval. */
export function renderCsv(report: RunReport): string {
  const lines = [['startedAt', 'elapsedMs', 'stage', ...COLUMNS].join(',')];
  for (const { name, series, startedMicros } of report.stages) {
    for (let slot = 0; slot < series.done.length; slot += 1) {
      const elapsedMs = slot * series.intervalMs;
      lines.push(
        [
          new Date(startedMicros / 1000 + elapsedMs).toISOString(),
          elapsedMs,
          quote(name),
          ...COLUMNS.map((column) => series[column][slot] ?? 0),
        ].join(','),
      );
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
