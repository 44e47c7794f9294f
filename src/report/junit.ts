import { formatCount } from './format.ts';
import type { RunReport } from './run-report.ts';
import { ANOMALY_LABELS, anomalyLine, thresholdActual } from './text.ts';

interface TestCase {
  readonly suite: string;
  readonly name: string;
  readonly failure?: { readonly message: string; readonly details?: string };
}

/** JUnit XML: a case for the trustworthiness of the run, for each threshold, and for each kind of anomaly. */
export function renderJUnit(report: RunReport): string {
  const cases = casesOf(report);
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const seconds = (report.durationMs / 1000).toFixed(3);
  const counts = `tests="${cases.length}" failures="${failures}" errors="0" skipped="0" time="${seconds}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="cosmos-pipe" ${counts.replace(' skipped="0"', '')}>`,
    `  <testsuite name="${escapeXml(`${report.kind}: ${report.title}`)}" ${counts} timestamp="${report.startedAt.replace(/\.\d+Z$/, '')}">`,
    ...cases.map(caseXml),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function casesOf(report: RunReport): TestCase[] {
  const { verdict } = report;
  return [
    {
      suite: 'run',
      name: 'the figures can be trusted',
      ...(!report.valid && { failure: { message: report.doubts.join('; ') } }),
    },
    ...report.thresholds.map((threshold) => ({
      suite: 'thresholds',
      name: threshold.expression,
      ...(!threshold.ok && { failure: { message: `was ${thresholdActual(report, threshold)}` } }),
    })),
    ...(['lost', 'duplicated', 'outOfOrder', 'late', 'corrupted'] as const).flatMap((kind) =>
      verdict === undefined
        ? []
        : [
            {
              suite: 'delivery',
              name: `no event is ${ANOMALY_LABELS[kind]}`,
              ...(verdict.totals[kind] > 0 && {
                failure: {
                  message: `${formatCount(verdict.totals[kind])} of ${formatCount(verdict.acknowledged)} events`,
                  details: verdict.examples
                    .filter((example) => example.kind === kind)
                    .map(anomalyLine)
                    .join('\n'),
                },
              }),
            },
          ],
    ),
  ];
}

function caseXml({ suite, name, failure }: TestCase): string {
  const open = `    <testcase classname="cosmos-pipe.${suite}" name="${escapeXml(name)}" time="0"`;
  if (failure === undefined) return `${open}/>`;
  return [
    `${open}>`,
    `      <failure message="${escapeXml(failure.message)}">${escapeXml(failure.details ?? '')}</failure>`,
    '    </testcase>',
  ].join('\n');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeXml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] as string);
}
