import { formatDurationMs } from '../util/duration.ts';
import { backlogSummary, drainText } from './backlog.ts';
import { formatCount, formatFigure, formatMoney, formatShare } from './format.ts';
import { dataTable, escapeHtml } from './html-markup.ts';
import {
  driftSection,
  latencySections,
  ruSections,
  throughputSection,
  waterfallSection,
} from './html-sections.ts';
import { STYLE } from './html-style.ts';
import { REPEAT_HEADER, repeatRows } from './repeat.ts';
import type { RunReport } from './run-report.ts';
import { searchSentences, TRIAL_HEADER, trialRows } from './search.ts';
import { ANOMALY_LABELS, anomalyLine, anomalySummary, HOP_HEADER, hopRows, thresholdActual } from './text.ts';

/**
 * One self-contained page: charts are drawn when it is written, so it needs no script, no font and no network, and reads
 * the same from a file, as an artefact of CI, or on paper.
 */
export function renderHtml(report: RunReport): string {
  const charts = [
    throughputSection(report),
    latencySections(report),
    ruSections(report),
    waterfallSection(report),
    driftSection(report),
    cost(report),
  ].join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>cosmos-pipe ${report.kind}: ${escapeHtml(report.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${header(report)}
${tiles(report)}
${thresholds(report)}
${bottleneck(report)}
${search(report)}${repeats(report)}<div class="grid">
${charts}
</div>
${stages(report)}
${delivery(report)}${hops(report)}
${parameters(report)}
</main>
</body>
</html>
`;
}

function header(report: RunReport): string {
  const { verdict, environment, run, startedAt, durationMs, toolVersion } = report;
  const crossed = report.thresholds.filter(({ ok }) => !ok).length;
  const doubts = report.doubts.map((doubt) => `<li>${escapeHtml(doubt)}</li>`).join('');
  return `<header>
<h1>${escapeHtml(report.title)}</h1>
<p class="muted">cosmos-pipe ${report.kind} ${escapeHtml(toolVersion)}, run ${escapeHtml(run)}, ${startedAt}, ${formatDurationMs(durationMs)}</p>
<p>${[
    badge(report.valid, trust(report)),
    verdict === undefined
      ? ''
      : badge(verdict.ok, verdict.ok ? 'every event once and in order' : anomalySummary(verdict)),
    report.thresholds.length === 0
      ? ''
      : badge(
          crossed === 0,
          crossed === 0
            ? 'all thresholds met'
            : `${crossed} ${crossed === 1 ? 'threshold' : 'thresholds'} crossed`,
        ),
  ].join('')}</p>
${doubts === '' ? '' : `<ul>${doubts}</ul>`}
<p class="muted">${environment.cpuCount} x ${escapeHtml(environment.cpuModel)}, ${escapeHtml(environment.platform)}, Node ${escapeHtml(environment.node)}${
    environment.commit === undefined ? '' : `, commit ${escapeHtml(environment.commit)}`
  }</p>
</header>`;
}

function trust({ kind, valid }: RunReport): string {
  if (!valid) return 'these results are not trustworthy';
  return kind === 'simulate' ? 'predicted by a model, not measured' : 'the figures can be trusted';
}

function badge(ok: boolean, text: string): string {
  return `<span class="verdict ${ok ? 'good' : 'bad'}">${ok ? '✓' : '✗'} ${escapeHtml(text)}</span>`;
}

function tiles(report: RunReport): string {
  const { load, endToEnd, ru, cost: costs } = report;
  const backlog = backlogSummary(report);
  const items: (readonly [label: string, value: string, note: string])[] = [];
  if (load !== undefined)
    items.push([
      'achieved',
      `${formatCount(load.achievedPerSecond)}/s`,
      `${formatCount(load.sent)} events sent`,
    ]);
  if (endToEnd !== undefined && endToEnd.count > 0)
    items.push(
      ['end to end p50', formatDurationMs(endToEnd.p50Ms), `p90 ${formatDurationMs(endToEnd.p90Ms)}`],
      ['end to end p99', formatDurationMs(endToEnd.p99Ms), `max ${formatDurationMs(endToEnd.maxMs)}`],
    );
  if (backlog !== undefined)
    items.push(['backlog', formatCount(backlog.maxEvents), drainText(backlog) ?? 'events at most']);
  if (ru !== undefined)
    items.push(
      [
        'request units',
        `${formatCount(ru.perSecond)} RU/s`,
        ru.provisionedPerSecond === undefined
          ? `${formatCount(ru.requestCharge)} RU in all`
          : `${formatShare(ru.perSecond / ru.provisionedPerSecond)} of ${formatCount(ru.provisionedPerSecond)}`,
      ],
      [
        'throttled',
        formatCount(ru.throttled),
        ru.perWrite === undefined ? '' : `${formatFigure(ru.perWrite)} RU per write`,
      ],
    );
  if (costs !== undefined)
    items.push([
      'cost',
      `${formatMoney(costs.perMillionEvents)} ${costs.currency}`,
      `per million events, ${formatMoney(costs.perMonth)} ${costs.currency} a month`,
    ]);
  const list = items
    .map(
      ([label, value, note]) =>
        `<li><span class="muted">${escapeHtml(label)}</span><b>${escapeHtml(value)}</b><span class="muted">${escapeHtml(note)}</span></li>`,
    )
    .join('\n');
  return list === '' ? '' : `<ul class="tiles">${list}</ul>`;
}

function thresholds(report: RunReport): string {
  if (report.thresholds.length === 0) return '';
  return `<section><h2>Thresholds</h2>${dataTable(
    'What the run is held against',
    ['threshold', 'measured', 'verdict'],
    report.thresholds.map((threshold) => [
      threshold.expression,
      thresholdActual(report, threshold),
      threshold.ok ? '✓ met' : '✗ crossed',
    ]),
  )}</section>`;
}

function bottleneck({ bottleneck: found }: RunReport): string {
  return found === undefined
    ? ''
    : `<section><h2>Bottleneck: ${escapeHtml(found.stage)}</h2><p>${escapeHtml(found.sentence)}.</p></section>`;
}

function search({ search: found }: RunReport): string {
  if (found === undefined) return '';
  const lines = searchSentences(found).map(escapeHtml);
  return `<section><h2>Highest rate</h2><p>${lines.join('<br>')}</p><details><summary>Trials</summary>${dataTable(
    'Rates that were tried, in their order',
    TRIAL_HEADER,
    trialRows(found),
    [2],
  )}</details></section>`;
}

function repeats(report: RunReport): string {
  const { repeats: repeated } = report;
  if (repeated === undefined) return '';
  return `<section><h2>Repeats</h2>${dataTable(
    `Over ${repeated.runs.length} runs; the rest of this page is of ${report.run}`,
    REPEAT_HEADER,
    repeatRows(report),
  )}</section>`;
}

function stages({ stages: list, endToEnd }: RunReport): string {
  if (list.length === 0) return '';
  const latencies = (summary: RunReport['endToEnd']): string[] =>
    summary === undefined || summary.count === 0
      ? ['-', '-', '-', '-', '-']
      : [summary.p50Ms, summary.p90Ms, summary.p99Ms, summary.p999Ms, summary.maxMs].map(formatDurationMs);
  return `<section><h2>Stages</h2>${dataTable(
    'Latency from the intended send time of an event to the end of the stage',
    ['stage', 'events', 'events/s', 'p50', 'p90', 'p99', 'p99.9', 'max', 'errors', 'throttled'],
    [
      ...list.map((stage) => [
        stage.name,
        formatCount(stage.done),
        formatCount(stage.donePerSecond),
        ...latencies(stage.latency),
        formatCount(stage.failed),
        formatCount(stage.throttled),
      ]),
      ...(endToEnd === undefined
        ? []
        : [
            [
              'end to end',
              formatCount(endToEnd.count),
              formatCount(list.at(-1)?.donePerSecond ?? 0),
              ...latencies(endToEnd),
              '',
              '',
            ],
          ]),
    ],
  )}</section>`;
}

function delivery({ verdict }: RunReport): string {
  if (verdict === undefined) return '';
  const kinds = Object.entries(ANOMALY_LABELS) as [keyof typeof ANOMALY_LABELS, string][];
  const examples = verdict.examples
    .map((example) => `<li>${escapeHtml(anomalyLine(example))}</li>`)
    .join('\n');
  return `<section><h2>Delivery</h2>${dataTable(
    `${formatCount(verdict.acknowledged)} events acknowledged`,
    ['place', 'events', ...kinds.map(([, label]) => label)],
    verdict.places.map(({ place, events, counts }) => [
      place,
      formatCount(events),
      ...kinds.map(([kind]) => formatCount(counts[kind])),
    ]),
  )}${examples === '' ? '' : `<ul>${examples}</ul>`}</section>`;
}

function hops(report: RunReport): string {
  const rows = hopRows(report);
  if (rows.length === 0) return '';
  return `<section><h2>Latency</h2>${dataTable('By what the items themselves say', HOP_HEADER, rows)}</section>`;
}

function cost({ cost: costs }: RunReport): string {
  if (costs === undefined) return '';
  const { currency } = costs;
  return `<section><h2>Cost</h2>${dataTable(
    `Estimate from list prices: ${costs.prices}`,
    ['item', 'per hour', 'why'],
    [
      ...costs.items.map(({ name, perHour, why }) => [name, `${formatMoney(perHour)} ${currency}`, why]),
      [
        'total',
        `${formatMoney(costs.perHour)} ${currency}`,
        `${formatMoney(costs.run)} ${currency} for this run`,
      ],
    ],
    [2],
  )}</section>`;
}

function parameters({ config }: RunReport): string {
  return `<section><h2>Parameters</h2><pre>${escapeHtml(JSON.stringify(config, null, 2))}</pre></section>`;
}
