import { formatDurationMs } from '../util/duration.ts';
import { formatCount, formatFigure, formatShare } from './format.ts';
import { repeatRows } from './repeat.ts';
import type { RunReport } from './run-report.ts';
import { searchSentences } from './search.ts';
import { anomalyLine, anomalySummary, HOP_HEADER, hopRows, thresholdActual } from './text.ts';

/** GitHub-flavoured Markdown, fit for a step summary or a pull request comment. */
export function renderMarkdown(report: RunReport): string {
  const { verdict, ru, thresholds, bottleneck } = report;
  const sections = [
    `## cosmos-pipe ${report.kind}: ${escapeCell(report.title)}`,
    report.valid
      ? ''
      : [
          '> [!WARNING]',
          '> These results are not trustworthy:',
          ...report.doubts.map((doubt) => `> - ${doubt}`),
        ].join('\n'),
    verdict === undefined
      ? ''
      : `${verdict.ok ? '✅' : '❌'} **${anomalySummary(verdict).replaceAll('   ', ', ')}** of ${formatCount(verdict.acknowledged)} events`,
    thresholds.length === 0
      ? ''
      : markdownTable(
          ['', 'Threshold', 'Measured'],
          thresholds.map((threshold) => [
            threshold.ok ? '✅' : '❌',
            `\`${threshold.expression}\``,
            thresholdActual(report, threshold),
          ]),
          [0, 1],
        ),
    report.search === undefined
      ? ''
      : searchSentences(report.search)
          .map((sentence) => `- ${escapeCell(sentence)}`)
          .join('\n'),
    report.repeats === undefined
      ? ''
      : markdownTable(['Over all runs', 'Median', 'Range', 'Noise'], repeatRows(report)),
    stageTable(report),
    hopTable(report),
    ru === undefined
      ? ''
      : `**${formatCount(ru.requestCharge)} RU**, ${ru.perWrite === undefined ? '' : `${formatFigure(ru.perWrite)} RU/write, `}${formatCount(ru.perSecond)} RU/s${
          ru.provisionedPerSecond === undefined
            ? ''
            : ` of ${formatCount(ru.provisionedPerSecond)} (${formatShare(ru.perSecond / ru.provisionedPerSecond)})`
        }, ${formatCount(ru.throttled)} throttled`,
    report.drift === undefined ? '' : `Drift: ${report.drift.sentence}.`,
    bottleneck === undefined ? '' : `Bottleneck: ${bottleneck.sentence}.`,
    verdict === undefined || verdict.examples.length === 0
      ? ''
      : verdict.examples.map((example) => `- ${anomalyLine(example)}`).join('\n'),
    `<sub>${report.environment.cpuCount} x ${report.environment.cpuModel}, Node ${report.environment.node}, cosmos-pipe ${report.toolVersion}, ${report.startedAt}</sub>`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function hopTable(report: RunReport): string {
  const rows = hopRows(report);
  return rows.length === 0 ? '' : markdownTable(HOP_HEADER, rows);
}

function stageTable({ stages, endToEnd }: RunReport): string {
  if (stages.length === 0) return '';
  const latencies = (summary: NonNullable<RunReport['endToEnd']>): string[] =>
    summary.count === 0
      ? ['', '', '', '']
      : [summary.p50Ms, summary.p99Ms, summary.p999Ms, summary.maxMs].map(formatDurationMs);
  return markdownTable(
    ['Stage', 'Count', 'Rate', 'p50', 'p99', 'p99.9', 'max', 'Errors'],
    [
      ...stages.map((stage) => [
        stage.name,
        formatCount(stage.done),
        `${formatCount(stage.donePerSecond)}/s`,
        ...latencies(stage.latency),
        formatCount(stage.failed),
      ]),
      ...(endToEnd === undefined
        ? []
        : [
            [
              '**end to end**',
              formatCount(endToEnd.count),
              `${formatCount(stages.at(-1)?.donePerSecond ?? 0)}/s`,
              ...latencies(endToEnd),
              '',
            ],
          ]),
    ],
  );
}

/** A table; columns of text are aligned left, the others are figures and aligned right. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  left: readonly number[] = [0],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  const rule = `| ${header.map((_, column) => (left.includes(column) ? '---' : '---:')).join(' | ')} |`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
