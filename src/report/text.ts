import type { Cost } from '../capacity/cost.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { Anomaly, AnomalyKind, Hop, Verdict } from '../pipeline/verify/verify.ts';
import { formatDurationMs } from '../util/duration.ts';
import { backlogSummary, drainText } from './backlog.ts';
import { DRIFT_HEADER, driftRows } from './drift.ts';
import { formatCount, formatFigure, formatMetric, formatMoney, formatShare } from './format.ts';
import { metricsOf } from './metrics.ts';
import { hottestRange, throttledMs } from './ranges.ts';
import type { Drift, RunReport, RuReport, ThresholdResult } from './run-report.ts';
import { formatTable } from './table.ts';
import { wrap } from './wrap.ts';

export type Paint = (style: 'green' | 'red' | 'yellow' | 'bold' | 'dim', text: string) => string;

/** Examples of anomalies, about. */
const MOST_EXAMPLES = 10;
/** Of running text, with its indentation inside 80 columns. */
const TEXT_WIDTH = 74;

/** No colours. */
export const plain: Paint = (_, text) => text;

/** Names of the anomalies as a person reads them. */
export const ANOMALY_LABELS: Readonly<Record<AnomalyKind, string>> = {
  lost: 'lost',
  duplicated: 'duplicated',
  outOfOrder: 'out of order',
  late: 'late',
  corrupted: 'corrupted',
  unexpected: 'unexpected',
};

/** The report for a terminal of 80 columns: doubts and thresholds first, then the figures, then what they mean. */
export function renderText(report: RunReport, paint: Paint = plain): string {
  const { verdict, ru, bottleneck, thresholds, stages } = report;
  const sections = [
    report.valid ? [] : doubtLines(report, paint),
    thresholds.length > 0 ? [heading('THRESHOLDS', paint), ...thresholdLines(report, paint)] : [],
    stages.length > 0
      ? [heading(`RESULTS, ${formatDurationMs(report.durationMs)}`, paint), ...stageLines(report)]
      : [],
    ru === undefined ? [] : [heading('COSMOS DB', paint), ...ruLines(ru, report.load)],
    report.drift === undefined ? [] : [heading('DRIFT', paint), ...driftLines(report.drift, paint)],
    report.cost === undefined ? [] : [heading('COST', paint), ...costLines(report.cost)],
    verdict === undefined ? [] : [heading('DELIVERY', paint), ...deliveryLines(verdict, paint)],
    hopLines(report, paint),
    bottleneck === undefined
      ? []
      : [heading('BOTTLENECK', paint), ...wrap(bottleneck.sentence, TEXT_WIDTH).map((line) => `    ${line}`)],
    report.valid ? keptUpLines(report, paint) : [],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** `lost 0   duplicated 0   out of order 0`, with `late`, `corrupted` and `unexpected` only where there are any. */
export function anomalySummary(verdict: Verdict): string {
  return (Object.keys(ANOMALY_LABELS) as AnomalyKind[])
    .filter((kind) => ['lost', 'duplicated', 'outOfOrder'].includes(kind) || verdict.totals[kind] > 0)
    .map((kind) => `${ANOMALY_LABELS[kind]} ${formatCount(verdict.totals[kind])}`)
    .join('   ');
}

function heading(text: string, paint: Paint): string {
  return `  ${paint('bold', text)}\n`;
}

function doubtLines(report: RunReport, paint: Paint): string[] {
  return [
    `  ${paint('yellow', '! these results are not trustworthy')}`,
    ...report.doubts.flatMap((doubt) => wrap(doubt, TEXT_WIDTH).map((line) => `    ${line}`)),
  ];
}

function keptUpLines({ kind, load, process }: RunReport, paint: Paint): string[] {
  if (load === undefined || kind === 'simulate') return [];
  const error =
    load.scheduling === undefined ? '' : `, scheduling error p99 ${formatDurationMs(load.scheduling.p99Ms)}`;
  const delay =
    process === undefined ? '' : `, event-loop delay p99 ${formatDurationMs(process.eventLoopDelayP99Ms)}`;
  const kept = `the generator kept up: ${formatCount(load.dropped)} dropped, ${formatCount(load.late)} late arrivals`;
  return marked(paint('green', '✓'), `${kept}${error}${delay}`);
}

/** A sentence behind its mark, in lines of the report's width. */
function marked(mark: string, sentence: string): string[] {
  const [first = '', ...rest] = wrap(sentence, TEXT_WIDTH);
  return [`  ${mark} ${first}`, ...rest.map((line) => `    ${line}`)];
}

function thresholdLines(report: RunReport, paint: Paint): string[] {
  const rows = report.thresholds.map((threshold) => [
    threshold.ok ? paint('green', '✓') : paint('red', '✗'),
    threshold.expression,
    thresholdActual(report, threshold),
  ]);
  return formatTable(rows, { indent: 4, left: [0, 1] });
}

/** What was measured for a threshold, with its unit; the whole figure where rounded it would read like the limit. */
export function thresholdActual(
  report: RunReport,
  { metric, aggregation, actual, limit }: ThresholdResult,
): string {
  const known = metricsOf(report).get(metric);
  if (known === undefined || actual === undefined)
    return metric.endsWith('_drift') ? 'not measured: it takes a minute of load at one rate' : 'not measured';
  const shown = formatMetric(actual, known.unit, aggregation);
  const isLikeLimit = actual !== limit && shown === formatMetric(limit, known.unit, aggregation);
  return isLikeLimit ? `${shown} (${Number(actual.toPrecision(6))})` : shown;
}

function stageLines(report: RunReport): string[] {
  const { stages, endToEnd } = report;
  const header = ['STAGE', 'COUNT', 'RATE/S', 'P50', 'P90', 'P99', 'P99.9', 'MAX', 'ERRORS'];
  const rows = stages.map((stage: StageSummary) => [
    stage.name,
    formatCount(stage.done),
    formatCount(stage.donePerSecond),
    ...percentiles(stage.latency),
    formatCount(stage.failed),
  ]);
  const last = stages.at(-1);
  if (endToEnd !== undefined && last !== undefined)
    rows.push([
      'end to end',
      formatCount(endToEnd.count),
      formatCount(last.donePerSecond),
      ...percentiles(endToEnd),
      '',
    ]);
  return [
    ...formatTable([header, ...rows], { indent: 4 }),
    '    latency: from the intended send time of an event to the end of the stage',
    ...backlogLines(report),
  ];
}

/** `backlog: up to 10,963 events, gone 23.6s after the load`. */
function backlogLines(report: RunReport): string[] {
  const backlog = backlogSummary(report);
  if (backlog === undefined) return [];
  const drain = drainText(backlog);
  const gone = drain === undefined ? '' : `, ${drain}`;
  return [`    backlog: up to ${formatCount(backlog.maxEvents)} events${gone}`];
}

/** What the ends of a long steady load differ by. */
function driftLines(drift: Drift, paint: Paint): string[] {
  const grew = drift.growing.length > 0;
  return [
    ...formatTable([DRIFT_HEADER.map((label) => label.toUpperCase()), ...driftRows(drift)], { indent: 4 }),
    ...marked(grew ? paint('yellow', '!') : paint('green', '✓'), drift.sentence),
  ];
}

function percentiles(latency: StageSummary['latency']): string[] {
  if (latency.count === 0) return ['-', '-', '-', '-', '-'];
  return [latency.p50Ms, latency.p90Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(formatDurationMs);
}

function ruLines(ru: RuReport, load: RunReport['load']): string[] {
  const { provisionedPerSecond: provisioned } = ru;
  const refusedMs = throttledMs(ru);
  const rows = [
    [
      'consumed',
      `${formatCount(ru.requestCharge)} RU`,
      `${formatCount(ru.perSecond)} RU/s avg`,
      ru.perWrite === undefined ? '' : `${formatFigure(ru.perWrite)} RU/write`,
    ],
    ...operationRows(ru),
    ...(provisioned === undefined
      ? []
      : [
          [
            'provisioned',
            `${formatCount(provisioned)} RU/s`,
            `${formatShare(ru.perSecond / provisioned)} avg`,
            `${formatShare(ru.busiestPerSecond / provisioned)} busiest second`,
          ],
        ]),
    ...hottestRows(ru, load),
    [
      'throttled (429)',
      formatCount(ru.throttled),
      refusedMs === 0 ? '' : `in ${formatCount(refusedMs / 1000)} seconds`,
    ],
  ];
  return formatTable(rows, { indent: 4, left: [0, 1, 2, 3] });
}

function costLines({ currency, items, perHour, perMillionEvents, perMonth, prices, run }: Cost): string[] {
  const rows = [
    ...items.map(({ name, perHour: amount, why }) => [name, formatMoney(amount), why]),
    ['together', formatMoney(perHour), `${currency} an hour`],
    ['', formatMoney(run), 'for this run'],
    ['', formatMoney(perMonth), 'a month'],
    ['', formatMoney(perMillionEvents), 'per million events'],
  ];
  return [...formatTable(rows, { indent: 4, left: [0, 2] }), `    ${prices}`];
}

/** What each kind of operation took, where there is more than one. */
function operationRows({ operations, requestCharge }: RuReport): string[][] {
  const kinds = Object.entries(operations).filter(([, { requestCharge: charge }]) => charge > 0);
  if (kinds.length < 2) return [];
  return kinds
    .sort(([, a], [, b]) => b.requestCharge - a.requestCharge)
    .map(([kind, { requestCharge: charge }]) => [
      `  ${kind}`,
      `${formatCount(charge)} RU`,
      formatShare(charge / requestCharge),
    ]);
}

/** A key with less than this is one among many. */
const HOT_KEY_SHARE = 0.01;

/** Shares of the hottest partition key range against the fair share, and of the hottest key where one stands out. */
function hottestRows(ru: RuReport, load: RunReport['load']): string[][] {
  const range = hottestRange(ru);
  const key = load?.hottestKey;
  // Of a load that nobody took there are keys and no events.
  const keyShare = key === undefined || !load?.sent ? 0 : key.events / load.sent;
  return [
    ...(range === undefined
      ? []
      : [
          ['hottest range', `${formatShare(range.share)} of load`, `${formatShare(range.fairShare)} is fair`],
        ]),
    ...(key === undefined || keyShare < HOT_KEY_SHARE
      ? []
      : [['hottest key', `${formatShare(keyShare)} of events`, key.key]]),
  ];
}

function deliveryLines(verdict: Verdict, paint: Paint): string[] {
  const found = verdict.places.map(({ place, events }) => `${PLACE_LABELS[place]} ${formatCount(events)}`);
  const redelivered = verdict.places.find(({ place }) => place === 'feed')?.redelivered ?? 0;
  const rewritten = Math.max(0, ...verdict.places.map((place) => place.rewritten));
  const mark = verdict.ok ? paint('green', '✓') : paint('red', '✗');
  const { resent = 0, unknown = 0, ...misbehaviour } = verdict.injected;
  const injected = Object.entries(misbehaviour).map(([kind, count]) => `${kind} ${formatCount(count)}`);
  return [
    `    ${acknowledgedLabel(verdict)} ${formatCount(verdict.acknowledged)}   ${found.join('   ')}`,
    `  ${mark} ${anomalySummary(verdict)}   (per partition key)`,
    ...(redelivered > 0
      ? [`    delivered again by the feed: ${formatCount(redelivered)}, each an overwrite`]
      : []),
    ...(rewritten > 0
      ? [`    written again before they were first read: ${formatCount(rewritten)}, their order is unknown`]
      : []),
    ...(injected.length > 0 ? [`    injected on purpose: ${injected.join('   ')}`] : []),
    ...(resent > 0
      ? [`    sent again after a lost answer: ${formatCount(resent)}, which the hub may hold twice`]
      : []),
    ...(unknown > 0
      ? [`    given up without an answer: ${formatCount(unknown)}, which may be stored or not`]
      : []),
    ...(verdict.ledger === 'incomplete'
      ? ['    the ledger is incomplete: its producer did not end in order']
      : []),
    ...exampleLines(verdict.examples),
  ];
}

/** The kinds in turn, so that many of one do not hide the few of another. */
function exampleLines(examples: readonly Anomaly[]): string[] {
  const turns = new Map<string, number>();
  const turnOf = examples.map(({ kind, place }) => {
    const turn = turns.get(`${kind} ${place}`) ?? 0;
    turns.set(`${kind} ${place}`, turn + 1);
    return turn;
  });
  const last = turnOf.toSorted((a, b) => a - b)[MOST_EXAMPLES - 1] ?? Number.POSITIVE_INFINITY;
  const shown = examples.filter((_, index) => (turnOf[index] as number) <= last);
  const more = examples.length - shown.length;
  return [
    ...shown.map((example) => `    ${anomalyLine(example)}`),
    ...(more > 0 ? [`    and ${formatCount(more)} more examples in the report: -o report.html, --json`] : []),
  ];
}

const HOP_LABELS: Readonly<Record<Hop, string>> = {
  enqueue: 'to Event Hubs',
  ingest: 'to the write',
  feed: 'to the feed reader',
  endToEnd: 'end to end',
};

export const HOP_HEADER = ['hop', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max'] as const;

/** Where the time of a verified run went, by what the items themselves say, under {@link HOP_HEADER}. */
export function hopRows({ kind, verdict }: RunReport): string[][] {
  // A bench has measured it more closely.
  if (verdict === undefined || kind !== 'verify') return [];
  const { latency } = verdict;
  return (Object.keys(HOP_LABELS) as Hop[])
    .filter((hop) => latency[hop].count > 0)
    .map((hop) => [HOP_LABELS[hop], formatCount(latency[hop].count), ...percentiles(latency[hop])]);
}

function hopLines(report: RunReport, paint: Paint): string[] {
  const rows = hopRows(report);
  if (rows.length === 0) return [];
  const header = HOP_HEADER.map((label) => label.toUpperCase());
  return [heading('LATENCY', paint), ...formatTable([header, ...rows], { indent: 4 })];
}

const PLACE_LABELS = { store: 'stored', feed: 'in feed', cache: 'cached' } as const;

function acknowledgedLabel({ ledger }: Verdict): string {
  return ledger === 'none' ? 'expected' : 'acknowledged';
}

/** `lost: device-7 #41 to #48, last seen in event hub (acknowledged by ..., found nowhere after it)`. */
export function anomalyLine(anomaly: Anomaly): string {
  const { kind, key, sequence, untilSequence, id, lastSeen, detail } = anomaly;
  const event =
    sequence < 0
      ? `item ${id}`
      : `${key} #${sequence}${untilSequence === undefined ? '' : ` to #${untilSequence}`}`;
  const seen = lastSeen === 'nowhere' ? '' : `, last seen in ${lastSeen}`;
  return `${ANOMALY_LABELS[kind]}: ${event}${seen}: ${detail}`;
}
