import { formatCount } from './format.ts';
import type { RunReport } from './run-report.ts';
import { renderSaved } from './saved.ts';
import { ANOMALY_LABELS, anomalyLine, thresholdActual } from './text.ts';

interface TestCase {
  readonly suite: string;
  readonly name: string;
  readonly failure?: { readonly message: string; readonly details?: string };
}

/**
 * JUnit XML: a case for the trustworthiness of the run, for each threshold, and for each kind of anomaly; the report as text
 * is the output. Fits the schema of Jenkins, and the stricter one of Ant, which wants what CI systems leave out.
 */
export function renderJUnit(report: RunReport): string {
  const cases = casesOf(report);
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const attributes = {
    name: `${report.kind}: ${report.title}`,
    tests: cases.length,
    failures,
    errors: 0,
    time: (report.durationMs / 1000).toFixed(3),
    timestamp: report.startedAt.replace(/\.\d+Z$/, ''),
    hostname: 'localhost',
    id: 0,
    package: 'cosmos-pipe',
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite ${attributesXml(attributes)}>`,
    '    <properties>',
    ...propertiesOf(report).map(([name, value]) => `      <property ${attributesXml({ name, value })}/>`),
    '    </properties>',
    ...cases.map(caseXml),
    `    <system-out>${escapeXml(renderSaved(report))}</system-out>`,
    '    <system-err/>',
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function propertiesOf({ environment, run, toolVersion }: RunReport): [name: string, value: string][] {
  return [
    ['run', run],
    ['toolVersion', toolVersion],
    ['node', environment.node],
    ['cpu', `${environment.cpuCount} x ${environment.cpuModel}`],
    ...(environment.commit === undefined ? [] : [['commit', environment.commit] satisfies [string, string]]),
  ];
}

function casesOf(report: RunReport): TestCase[] {
  const { verdict } = report;
  return [
    {
      suite: 'run',
      name: report.kind === 'simulate' ? 'the prediction can be trusted' : 'the figures can be trusted',
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
  const open = `    <testcase ${attributesXml({ classname: `cosmos-pipe.${suite}`, name, time: 0 })}`;
  if (failure === undefined) return `${open}/>`;
  return [
    `${open}>`,
    `      <failure ${attributesXml({ type: suite, message: failure.message })}>${escapeXml(failure.details ?? '')}</failure>`,
    '    </testcase>',
  ].join('\n');
}

function attributesXml(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}="${escapeXml(String(value)).replaceAll('\n', '&#10;')}"`)
    .join(' ');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
/** What XML 1.0 cannot say, escaped or not: keys of events can hold anything. */
const UNSPEAKABLE = /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu;

function escapeXml(text: string): string {
  return text
    .replaceAll(UNSPEAKABLE, '\ufffd')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character] as string);
}
