import { writeFile } from 'node:fs/promises';
import { usageError } from '../util/errors.ts';
import type { ComparedMetric, Comparison, ComparisonVerdict } from './compare.ts';
import { formatMetric, formatShare } from './format.ts';
import { markdownTable } from './markdown.ts';
import { cannotWrite } from './render.ts';
import { formatTable } from './table.ts';

/** What the two sides are called: a file, or `median of 3`. */
export type SideNames = readonly [baseline: string, current: string];

const NO_NOISE = 'one run of each side: more of them, or bench --repeat, would tell a change from noise';

/** For a terminal: why not to trust it, the figures, and the sentence that the exit code stands for. */
export function renderComparison(comparison: Comparison, names: SideNames): string {
  const marks = { better: '✓ better', same: '', worse: '✗ worse' } as const;
  const rows = comparison.metrics.map((metric) => [...cellsOf(metric), markOf(metric, comparison, marks)]);
  return [
    ...comparison.doubts.map((doubt) => `  ! ${doubt}`),
    ...formatTable([['', ...names, 'CHANGE', 'NOISE', ''], ...rows], { indent: 2, left: [0, 5] }),
    '',
    `  ${comparison.ok ? '✓' : '✗'} ${conclusionOf(comparison)}`,
    ...(comparison.knowsNoise ? [] : [`    ${NO_NOISE}`]),
  ].join('\n');
}

/** GitHub-flavoured Markdown, fit for a step summary or a pull request comment. */
export function renderComparisonMarkdown(comparison: Comparison, names: SideNames): string {
  const marks = { better: '✅ better', same: '', worse: '❌ worse' } as const;
  const sections = [
    `## cosmos-pipe compare: ${comparison.ok ? '✅' : '❌'} ${conclusionOf(comparison)}`,
    comparison.doubts.length === 0
      ? ''
      : ['> [!WARNING]', ...comparison.doubts.map((doubt) => `> - ${doubt}`)].join('\n'),
    markdownTable(
      ['Figure', ...names, 'Change', 'Noise', ''],
      comparison.metrics.map((metric) => {
        const [name = '', ...cells] = cellsOf(metric);
        return [`\`${name}\``, ...cells, markOf(metric, comparison, marks)];
      }),
      [0, 5],
    ),
    comparison.knowsNoise ? '' : `<sub>${NO_NOISE}</sub>`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

const ENDINGS = ['.md', '.json', '.txt'] as const;

/** Checks a file name given to `compare --output`. Throws a usage PipeError for a format that is not known. */
export function checkComparisonOutput(path: string): string {
  if (ENDINGS.some((ending) => path.endsWith(ending))) return path;
  throw usageError(`cannot tell the format of ${path}`, `use one of the endings ${ENDINGS.join(', ')}`);
}

/** Writes a comparison in the format of the file's name. Throws PipeError E_CONFIG when the file cannot be written. */
export async function writeComparison(comparison: Comparison, names: SideNames, path: string): Promise<void> {
  const text = path.endsWith('.md')
    ? renderComparisonMarkdown(comparison, names)
    : path.endsWith('.json')
      ? `${JSON.stringify(comparison, null, 2)}\n`
      : `${renderComparison(comparison, names)}\n`;
  try {
    await writeFile(path, text);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** `2 of 16 figures are worse by more than 10%`. */
export function conclusionOf({ maxRegression, metrics, ok }: Comparison): string {
  const limit = formatShare(maxRegression);
  if (ok) return `no figure is worse by more than ${limit}`;
  const worse = metrics.filter(({ verdict }) => verdict === 'worse');
  return `${worse.length} of ${metrics.length} figures ${worse.length === 1 ? 'is' : 'are'} worse by more than ${limit}`;
}

function cellsOf({ aggregation, baseline, change, current, metric, noise, unit }: ComparedMetric): string[] {
  return [
    `${metric}:${aggregation}`,
    formatMetric(baseline, unit, aggregation),
    formatMetric(current, unit, aggregation),
    change === undefined ? '' : `${change >= 0 ? '+' : ''}${formatShare(change)}`,
    noise === 0 ? '' : `± ${formatShare(noise)}`,
  ];
}

function markOf(
  { noise, unit, verdict }: ComparedMetric,
  { maxRegression }: Comparison,
  marks: Readonly<Record<ComparisonVerdict, string>>,
): string {
  if (verdict !== 'worse' || unit === 'events' || noise <= maxRegression) return marks[verdict];
  return `${marks[verdict]}, noise ${formatShare(noise)}`;
}
