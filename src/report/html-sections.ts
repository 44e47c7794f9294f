import { scaleLinear } from 'd3-scale';
import { Histogram, type HistogramSummary } from '../metrics/histogram.ts';
import { formatBytes } from '../util/bytes.ts';
import { formatDurationMs } from '../util/duration.ts';
import { backlogOf, type Timeline } from './backlog.ts';
import { DRIFT_HEADER, driftRows } from './drift.ts';
import { formatCount, formatFigure, formatShare } from './format.ts';
import {
  type Axis,
  type ChartLine,
  drawing,
  FRAMES,
  lineChart,
  MARGIN,
  round,
  timeline,
} from './html-chart.ts';
import { dataTable, element, escapeHtml } from './html-markup.ts';
import { coarsen, perSecond, pointsOf, ruTimeline } from './html-series.ts';
import { rangeCount, singleRange } from './ranges.ts';
import type { RunReport, RuReport } from './run-report.ts';

type Color = ChartLine['color'];

const TIME: Axis = { label: 'time', format: formatSeconds, ticks: timeTicks };
const RATE: Axis = { label: 'events/s', format: formatShort };
const LATENCY: Axis = { label: 'latency, log scale', log: true, format: formatDurationMs };
/** Rows of a data table: enough to read, few enough to scroll. */
const TABLE_ROWS = 120;
const SPECTRUM = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999] as const;
/** Points of the spectrum per factor of ten in rarity, and the rarest: one in 100,000. */
const POINTS_PER_DECADE = 12;
const RAREST = 1e5;
/** Ranges drawn one by one in the heat map: the busiest. */
const HEAT_ROWS = 48;
const HEAT_COLUMNS = 120;

/** Offered, finished and waiting over time. */
export function throughputSection(report: RunReport): string {
  const [first] = report.stages;
  const last = report.stages.at(-1);
  if (first === undefined || last === undefined) return '';
  const offered = coarsen(perSecond(first.series.offered, first.series.intervalMs), 'mean');
  const done = coarsen(perSecond(last.series.done, last.series.intervalMs), 'mean');
  const backlog = coarsen(backlogOf(report), 'last');
  return [
    section(
      'Offered and achieved',
      lineChart({
        title: 'Offered and achieved events per second',
        description: `${first.name} was offered ${formatCount(first.offeredPerSecond)}/s on average, ${last.name} finished ${formatCount(last.donePerSecond)}/s.`,
        lines: [
          { name: `offered to ${first.name}`, points: pointsOf(offered), color: 0 },
          { name: `finished by ${last.name}`, points: pointsOf(done), color: 1, dash: 'dashed' },
        ],
        stepped: true,
        x: TIME,
        y: RATE,
      }),
      timeTable('Events per second', ['offered', 'finished'], [offered, done], formatCount),
    ),
    section(
      'Backlog',
      lineChart({
        title: 'Backlog over time',
        description: `Events that were due and not through the pipeline; at most ${formatCount(Math.max(0, ...backlog.values))}.`,
        lines: [{ name: 'events due and not finished', points: pointsOf(backlog), color: 2 }],
        stepped: true,
        x: TIME,
        y: { label: 'events', format: formatShort },
      }),
      timeTable('Backlog', ['events'], [backlog], formatCount),
    ),
  ].join('\n');
}

/** Latency of each stage over time, and the spectrum of percentiles. */
export function latencySections(report: RunReport): string {
  const measured = report.stages.filter(({ latency }) => latency.count > 0);
  if (measured.length === 0) return '';
  const overTime = measured.map(({ series }) =>
    coarsen({ intervalMs: series.intervalMs, values: series.latencyP99Ms }, 'max'),
  );
  const spectra: { name: string; summary: HistogramSummary }[] = measured.map(({ name, latency }) => ({
    name,
    summary: latency,
  }));
  if (report.endToEnd !== undefined && report.endToEnd.count > 0 && spectra.length < 4)
    spectra.push({ name: 'end to end', summary: report.endToEnd });
  const histograms = spectra.map(({ summary }) => Histogram.decode(summary.histogramMicros));
  const names = measured.map(({ name }) => name);
  return [
    section(
      'Latency over time',
      lineChart({
        title: 'Latency over time, 99th percentile of each stage',
        description: 'From the intended send time of an event to the end of the stage.',
        lines: measured.map(({ name }, index) => styled(name, pointsOf(overTime[index] as Timeline), index)),
        stepped: true,
        x: TIME,
        y: LATENCY,
      }),
      timeTable('p99 per interval', names, overTime, formatDurationMs),
    ),
    section(
      'Latency spectrum',
      lineChart({
        title: 'Latency by percentile',
        description: 'Each percentile of the whole run, from the histograms of all events.',
        lines: spectra.map(({ name }, index) =>
          styled(name, spectrumOf(histograms[index] as Histogram), index),
        ),
        stepped: false,
        x: {
          label: 'percentile',
          log: true,
          format: (odds) => `${round100(100 - 100 / odds)}%`,
          ticks: ([, most]) =>
            [50, 90, 99, 99.9, 99.99]
              .map((percentile) => 100 / (100 - percentile))
              .filter((odds) => odds <= most),
        },
        y: LATENCY,
      }),
      dataTable(
        'Latency by percentile',
        ['percentile', ...spectra.map(({ name }) => name)],
        SPECTRUM.map((percentile) => [
          `${percentile}%`,
          ...histograms.map((histogram) => formatDurationMs(histogram.percentile(percentile) / 1000)),
        ]),
      ),
    ),
  ].join('\n');
}

/** Latency against rarity: one in two, one in ten ... events is slower. */
function spectrumOf(histogram: Histogram): [odds: number, latencyMs: number][] {
  // Of a few events too, every percentile is one of them: a line as long as one in ten shows them all.
  const most = Math.log10(Math.max(10, Math.min(RAREST, histogram.count))) * POINTS_PER_DECADE;
  return Array.from({ length: Math.floor(most) + 1 }, (_, point): [number, number] => {
    // Powers differ in their last bits between versions of V8, which can pick the neighbouring sample.
    const odds = Number((10 ** (point / POINTS_PER_DECADE)).toPrecision(6));
    return [odds, histogram.percentile(Number((100 - 100 / odds).toPrecision(9))) / 1000];
  });
}

/** Request units against what is provisioned, and the load of each range. */
export function ruSections({ ru }: RunReport): string {
  if (ru === undefined) return '';
  const { charge, throttledAt } = ruTimeline(ru);
  const provisioned = ru.provisionedPerSecond;
  return [
    section(
      'Request units',
      lineChart({
        title: 'Request units per second',
        description: `${formatCount(ru.perSecond)} RU/s on average, ${formatCount(ru.busiestPerSecond)} in the busiest interval, ${formatCount(ru.throttled)} requests throttled.`,
        lines: [{ name: 'consumed', points: pointsOf(charge), color: 0 }],
        stepped: true,
        x: TIME,
        y: { label: 'RU/s', format: formatShort },
        ...(provisioned !== undefined && {
          limit: { name: `provisioned ${formatCount(provisioned)} RU/s`, value: provisioned },
        }),
        marks: throttledAt,
      }),
      `${operationTable(ru)}${timeTable('RU/s', ['consumed'], [charge], formatCount)}`,
    ),
    heatSection(ru),
  ].join('\n');
}

/** Memory of the measuring process, and what the ends of a long steady load differ by. */
export function driftSection({ drift, process }: RunReport): string {
  const rss = process?.rssSeries;
  if (rss === undefined) return '';
  const memory = coarsen({ intervalMs: rss.intervalMs, values: rss.bytes }, 'max');
  const grew =
    drift === undefined
      ? ''
      : `<p>${drift.growing.length > 0 ? '<span class="bad">✗</span> ' : ''}${escapeHtml(drift.sentence)}.</p>`;
  const table =
    drift === undefined
      ? ''
      : dataTable('Drift', [...DRIFT_HEADER.slice(0, -1), 'an hour'], driftRows(drift));
  return section(
    drift === undefined ? 'Memory' : 'Does anything grow?',
    `${lineChart({
      title: 'Memory of the measuring process',
      description: `Resident; at most ${formatBytes(Math.max(...rss.bytes))}.`,
      lines: [{ name: 'resident', points: pointsOf(memory), color: 3 }],
      stepped: true,
      x: TIME,
      y: { label: 'MB', format: (bytes) => formatCount(bytes / 1e6) },
    })}${grew}`,
    `${table}${timeTable('Memory', ['resident'], [memory], formatBytes)}`,
  );
}

/** What each stage adds to the median end-to-end latency, one bar after the other. */
export function waterfallSection(report: RunReport): string {
  const measured = report.stages.filter(({ latency }) => latency.count > 0);
  const steps = measured.map(({ name, latency }, index) => {
    const from = measured[index - 1]?.latency.p50Ms ?? 0;
    return { name, from: Math.min(from, latency.p50Ms), to: latency.p50Ms };
  });
  const total = Math.max(0, ...steps.map(({ to }) => to));
  if (total === 0) return '';
  const title = 'Where the time goes';
  const description = steps
    .map(({ name, from, to }) => `${name} adds ${formatDurationMs(to - from)}`)
    .join(', ');
  const drawings = FRAMES.map(({ name, width }) => {
    const left = 76;
    const right = width - 70;
    const bars = steps.map((step, index) => {
      const y = 12 + index * 30;
      const x = (ms: number): number => left + ((right - left) * ms) / total;
      return [
        element('text', { x: left - 8, y: y + 14, 'text-anchor': 'end' }, escapeHtml(step.name)),
        element('rect', {
          class: `f${index % 4}`,
          x: round(x(step.from)),
          y,
          width: Math.max(1, round(x(step.to) - x(step.from))),
          height: 20,
          rx: 2,
        }),
        element('text', { x: round(x(step.to)) + 6, y: y + 14 }, `+${formatDurationMs(step.to - step.from)}`),
      ].join('');
    });
    return drawing({ name, width, height: 20 + steps.length * 30 }, title, description, bars.join(''));
  });
  return section(
    title,
    `<p class="muted">Median from the intended send time of an event to the end of each stage.</p>${drawings.join('')}`,
    dataTable(
      title,
      ['stage', 'from', 'to', 'added'],
      steps.map(({ name, from, to }) => [name, ...[from, to, to - from].map(formatDurationMs)]),
    ),
  );
}

function heatSection(ru: RuReport): string {
  const named = Object.entries(ru.ranges).filter(([id]) => id !== '*');
  if (named.length === 0) return '';
  const busiest = named
    .map(([id, range]) => ({ id, range: singleRange(range) }))
    .sort((a, b) => b.range.requestCharge - a.range.requestCharge)
    .slice(0, HEAT_ROWS)
    .map(({ id, range }) => ({
      id,
      range,
      line: coarsen(perSecond(range.requestChargeSeries, ru.intervalMs), 'max', HEAT_COLUMNS),
    }));
  const most = Math.max(1, ...busiest.flatMap(({ line }) => line.values));
  const title = 'Load of each partition key range';
  const total = named.reduce((sum, [, range]) => sum + range.requestCharge, 0);
  const share = (charge: number): string => formatShare(total === 0 ? 0 : charge / total);
  const [hottest] = busiest;
  const description =
    hottest === undefined
      ? ''
      : `The hottest range, ${hottest.id}, took ${share(hottest.range.requestCharge)}; ${share(total / rangeCount(ru))} would be fair.`;
  const drawings = FRAMES.map(({ name, ticks, width }) => {
    const rowHeight = Math.max(6, Math.min(22, 240 / busiest.length));
    const columns = Math.max(1, ...busiest.map(({ line }) => line.values.length));
    const step = (width - MARGIN.left - MARGIN.right) / columns;
    const cells = busiest.flatMap(({ id, line }, row) => [
      rowHeight < 10 && row % 4 > 0
        ? ''
        : element(
            'text',
            {
              class: 'tick',
              x: MARGIN.left - 6,
              y: round((row + 0.5) * rowHeight) + 4,
              'text-anchor': 'end',
            },
            escapeHtml(id),
          ),
      ...line.values.map((value, column) =>
        value === 0
          ? ''
          : element('rect', {
              class: 'heat',
              'fill-opacity': Math.max(0.04, Math.round((value / most) * 100) / 100),
              x: round(MARGIN.left + column * step),
              y: round(row * rowHeight),
              width: round(step + 0.2),
              height: round(rowHeight - 1),
            }),
      ),
    ]);
    const base = Math.ceil(busiest.length * rowHeight);
    const intervalMs = busiest[0]?.line.intervalMs ?? ru.intervalMs;
    const time = scaleLinear([0, (columns * intervalMs) / 1000], [MARGIN.left, width - MARGIN.right]);
    return drawing(
      { name, width, height: base + MARGIN.bottom },
      title,
      description,
      `${cells.join('')}${timeline(TIME, { base, ticks, width }, time)}`,
    );
  });
  return section(
    title,
    `<p class="muted">Range by time, darkest at ${formatCount(most)} RU/s. ${escapeHtml(description)}</p>${drawings.join('')}`,
    dataTable(
      `The ${busiest.length} busiest of ${named.length} ranges`,
      ['range', 'RU', 'share', 'throttled'],
      busiest.map(({ id, range }) => [
        id,
        formatCount(range.requestCharge),
        share(range.requestCharge),
        formatCount(range.throttled),
      ]),
    ),
  );
}

function operationTable({ operations }: RuReport): string {
  return dataTable(
    'By operation',
    ['operation', 'count', 'RU', 'RU each'],
    Object.entries(operations).map(([kind, { count, requestCharge }]) => [
      kind,
      formatCount(count),
      formatCount(requestCharge),
      count === 0 ? '-' : formatFigure(requestCharge / count),
    ]),
  );
}

function section(title: string, chart: string, data: string): string {
  return `<section><h2>${escapeHtml(title)}</h2><figure>${chart}</figure><details><summary>Data</summary>${data}</details></section>`;
}

function timeTable(
  caption: string,
  names: readonly string[],
  timelines: readonly Timeline[],
  format: (value: number) => string,
): string {
  const coarse = timelines.map((timeline) => coarsen(timeline, 'max', TABLE_ROWS));
  const length = Math.max(0, ...coarse.map(({ values }) => values.length));
  const { intervalMs } = coarse[0] ?? { intervalMs: 1000 };
  const coarsened = coarse.some(({ intervalMs: wide }, index) => wide !== timelines[index]?.intervalMs);
  return dataTable(
    coarsened ? `${caption}, greatest of each interval` : caption,
    ['time', ...names],
    Array.from({ length }, (_, slot) => [
      formatSeconds((slot * intervalMs) / 1000),
      ...coarse.map(({ values }) => (values[slot] === undefined ? '' : format(values[slot]))),
    ]),
  );
}

const DASHES = [undefined, 'dashed', 'dotted', 'dashed'] as const;

function styled(name: string, points: ChartLine['points'], index: number): ChartLine {
  const dash = DASHES[index % DASHES.length];
  return { name, points, color: (index % 4) as Color, ...(dash && { dash }) };
}

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
/** Distances of time that people count in, seconds. */
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 4, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 30, 100].map((days) => days * DAY),
];

function timeTicks([, most]: readonly [number, number], count: number): number[] {
  const step = TIME_STEPS.find((seconds) => most / seconds <= count) ?? most;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, tick) => tick * step);
}

/** `45s`, `1:30`, `6:00h`. */
function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds * 10) / 10}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}:${String(Math.round(seconds % 60)).padStart(2, '0')}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}h`;
}

/** `1.2M`, `350k`: what fits beside an axis. */
function formatShort(value: number): string {
  return value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });
}

function round100(value: number): number {
  return Math.round(value * 100) / 100;
}
