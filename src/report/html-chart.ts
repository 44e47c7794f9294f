import { scaleLinear, scaleLog } from 'd3-scale';
import { curveLinear, curveStepAfter, line as linePath } from 'd3-shape';
import { element, escapeHtml } from './html-markup.ts';

export interface ChartLine {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** One of the four colours of the palette. */
  readonly color: 0 | 1 | 2 | 3;
  readonly dash?: 'dashed' | 'dotted';
}

export interface Chart {
  readonly title: string;
  /** What the chart shows, for those who do not see it. */
  readonly description: string;
  readonly lines: readonly ChartLine[];
  /** Values that hold until the next one, as of intervals, instead of points of a curve. */
  readonly stepped: boolean;
  readonly x: Axis;
  readonly y: Axis;
  /** A horizontal line, such as what is provisioned. */
  readonly limit?: { readonly name: string; readonly value: number };
  /** Moments to be marked on the time axis, such as seconds with refused requests. */
  readonly marks?: readonly number[];
}

export interface Axis {
  readonly label: string;
  /** Logarithmic; values at or below 0 are left out. */
  readonly log?: boolean;
  readonly format: (value: number) => string;
  /** Where to put about `count` ticks, instead of where the scale would. */
  readonly ticks?: (domain: readonly [number, number], count: number) => readonly number[];
}

interface Frame {
  readonly name: 'wide' | 'narrow';
  readonly width: number;
  readonly height: number;
  readonly ticks: number;
}

/** Text in an SVG shrinks with it, so a phone gets a drawing of its own. */
export const FRAMES: readonly Frame[] = [
  { name: 'wide', width: 640, height: 260, ticks: 7 },
  { name: 'narrow', width: 330, height: 230, ticks: 4 },
];
export const MARGIN = { top: 18, right: 24, bottom: 34, left: 58 } as const;

/** A chart of lines as inline SVG, with its legend. */
export function lineChart(chart: Chart): string {
  return `${legend(chart)}${FRAMES.map((frame) => drawLines(chart, frame)).join('')}`;
}

/** An SVG that screen readers announce by title and description. */
export function drawing(
  { name, width, height }: Pick<Frame, 'name' | 'width' | 'height'>,
  title: string,
  description: string,
  content: string,
): string {
  return element(
    'svg',
    { class: name, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title}. ${description}` },
    `<title>${escapeHtml(title)}</title><desc>${escapeHtml(description)}</desc>${content}`,
  );
}

function drawLines(chart: Chart, frame: Frame): string {
  const { width, height } = frame;
  const points = chart.lines.flatMap((line) => line.points);
  const limit = chart.limit?.value ?? 0;
  const x = scaleOf(
    chart.x,
    points.map(([at]) => at),
    [MARGIN.left, width - MARGIN.right],
    undefined,
  );
  const y = scaleOf(
    chart.y,
    [...points.map(([, value]) => value), limit],
    [height - MARGIN.bottom, MARGIN.top],
    yTicks(frame),
  );
  const draw = linePath<readonly [number, number]>()
    .defined(([, value]) => !chart.y.log || value > 0)
    .x(([at]) => round(x(at)))
    .y(([, value]) => round(y(value)))
    .curve(chart.stepped ? curveStepAfter : curveLinear);
  const lines = chart.lines.map(({ points, color, dash }) =>
    element('path', { class: `line s${color} ${dash ?? ''}`.trimEnd(), d: draw(points) ?? '' }),
  );
  return drawing(
    frame,
    chart.title,
    chart.description,
    [
      yAxis(chart, frame, y),
      xAxis(chart, frame, x),
      ...lines,
      chart.limit === undefined ? '' : limitLine(chart.limit, frame, round(y(chart.limit.value))),
      ...(chart.marks ?? []).map((at) =>
        element('rect', {
          class: 'mark',
          x: round(x(at) - 1),
          y: height - MARGIN.bottom - 7,
          width: 2,
          height: 7,
        }),
      ),
    ].join(''),
  );
}

type Scale = ReturnType<typeof scaleLinear<number, number>> | ReturnType<typeof scaleLog<number, number>>;

/** A value axis begins at zero and ends at a tick when the number of its ticks is given. */
function scaleOf(
  axis: Axis,
  values: readonly number[],
  range: [number, number],
  ticks: number | undefined,
): Scale {
  const usable = axis.log ? values.filter((value) => value > 0) : values;
  const [least, most] = extentOf(usable);
  if (axis.log) return scaleLog([least || 1, most > least ? most : (least || 1) * 10], range);
  const scale = scaleLinear(
    [ticks !== undefined ? Math.min(0, least) : least, most > least || most > 0 ? most : 1],
    range,
  );
  return ticks === undefined ? scale : scale.nice(ticks);
}

function yTicks({ ticks }: Frame): number {
  return Math.min(5, ticks);
}

function yAxis({ y: axis }: Chart, frame: Frame, scale: Scale): string {
  const { width } = frame;
  const chosen = axis.log ? decades(scale.domain() as [number, number]) : scale.ticks(yTicks(frame));
  const lines = chosen.map((tick) => {
    const at = round(scale(tick));
    return `${element('line', { class: 'axis', x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at })}${element(
      'text',
      { class: 'tick', x: MARGIN.left - 6, y: at + 4, 'text-anchor': 'end' },
      escapeHtml(axis.format(tick)),
    )}`;
  });
  return `${lines.join('')}${element('text', { class: 'tick', x: 4, y: 11 }, escapeHtml(axis.label))}`;
}

function xAxis({ x }: Chart, { height, ticks, width }: Frame, scale: Scale): string {
  return timeline(x, { base: height - MARGIN.bottom, ticks, width }, scale);
}

/** The axis below a drawing: its line at `base`, its ticks and its name. */
export function timeline(
  axis: Axis,
  { base, ticks, width }: { readonly base: number; readonly ticks: number; readonly width: number },
  scale: Scale,
): string {
  const domain = scale.domain() as [number, number];
  const labels = (axis.ticks?.(domain, ticks) ?? scale.ticks(ticks)).map((tick) =>
    element(
      'text',
      { class: 'tick', x: round(scale(tick)), y: base + 15, 'text-anchor': 'middle' },
      escapeHtml(axis.format(tick)),
    ),
  );
  return `${element('line', { class: 'axis', x1: MARGIN.left, x2: width - MARGIN.right, y1: base, y2: base })}${labels.join(
    '',
  )}${element('text', { class: 'tick', x: width - MARGIN.right, y: base + 30, 'text-anchor': 'end' }, escapeHtml(axis.label))}`;
}

function limitLine({ name }: { readonly name: string }, { width }: Frame, at: number): string {
  return `${element('line', { class: 'limit', x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at })}${element(
    'text',
    { x: width - MARGIN.right, y: at - 4, 'text-anchor': 'end' },
    escapeHtml(name),
  )}`;
}

function legend({ lines, marks }: Chart): string {
  const items = lines.map(
    ({ name, color, dash }) =>
      `<li><svg viewBox="0 0 24 8" aria-hidden="true">${element('line', {
        class: `line s${color} ${dash ?? ''}`.trimEnd(),
        x1: 0,
        x2: 24,
        y1: 4,
        y2: 4,
      })}</svg>${escapeHtml(name)}</li>`,
  );
  if (marks !== undefined && marks.length > 0)
    items.push(
      '<li><svg viewBox="0 0 24 8" aria-hidden="true"><rect class="mark" x="11" y="0" width="2" height="8"/></svg>throttled (429)</li>',
    );
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** 1, 10, 100 ... within a domain, 1, 2, 5, 10 ... where that would be less than three ticks, its ends where it has none. */
function decades([least, most]: readonly [number, number]): number[] {
  const first = Math.floor(Math.log10(least));
  const powers = Array.from(
    { length: Math.ceil(Math.log10(most)) - first + 1 },
    (_, step) => 10 ** (first + step),
  );
  const within = (ticks: readonly number[]): number[] =>
    ticks.filter((tick) => tick >= least && tick <= most);
  const whole = within(powers);
  if (whole.length > 2) return whole;
  const finer = within(powers.flatMap((power) => [power, 2 * power, 5 * power]));
  return finer.length < 2 ? [least, most] : finer;
}

function extentOf(values: readonly number[]): [number, number] {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return values.length === 0 ? [0, 0] : [least, most];
}

/** A tenth of a pixel is enough, and keeps the file small. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
