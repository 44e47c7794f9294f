import type { StageSnapshot } from '../src/metrics/stage-recorder.ts';
import type { BenchSnapshot } from '../src/pipeline/bench/bench.ts';
import { formatCount } from '../src/report/format.ts';
import { formatTable } from '../src/report/table.ts';
import { formatDurationMs } from '../src/util/duration.ts';

const BAR_WIDTH = 30;
/** Rates are shown over this long, so that the figures can be read. */
const RATE_WINDOW_MS = 1_000;

export interface BenchView {
  frame(): readonly string[];
  heartbeat(): string;
}

/** Of one range in the heat strip, from idle to busier than its share of the throughput. */
const HEAT = ' ▁▂▃▄▅▆▇█';
/** Ranges shown one by one; a strip of more would not fit 80 columns. */
const MAX_RANGES = 64;

type Reading = Pick<BenchSnapshot, 'elapsedMs' | 'ru'> & {
  readonly done: readonly number[];
  readonly offered: readonly number[];
};

/** Turns snapshots into the live block and the heartbeat line. `expectedEvents` is unknown for open-ended loads. */
export function benchView(
  snapshot: () => BenchSnapshot,
  load: { readonly expectedEvents?: number; readonly provisionedRuPerSecond?: number },
): BenchView {
  // Before the first look nothing was done: so that the first heartbeat has a rate.
  const readings: Reading[] = [
    { elapsedMs: 0, ru: { requestCharge: 0, throttled: 0, ranges: [] }, done: [], offered: [] },
  ];

  const read = (): {
    readonly now: BenchSnapshot;
    readonly rates: readonly number[];
    readonly offered: readonly number[];
    readonly ruPerSecond: number;
    readonly ranges: readonly RangeHeat[];
  } => {
    const now = snapshot();
    const { elapsedMs, ru, stages } = now;
    readings.push({
      elapsedMs,
      ru,
      done: stages.map(({ done }) => done),
      offered: stages.map(({ offered }) => offered),
    });
    while (readings.length > 2 && elapsedMs - (readings[1]?.elapsedMs ?? 0) > RATE_WINDOW_MS)
      readings.shift();
    const [first] = readings;
    const seconds = (elapsedMs - (first?.elapsedMs ?? elapsedMs)) / 1000;
    const perSecond = (count: number, before: number | undefined): number =>
      seconds > 0 ? (count - (before ?? 0)) / seconds : 0;
    return {
      now,
      rates: stages.map((stage, index) => perSecond(stage.done, first?.done[index])),
      offered: stages.map((stage, index) => perSecond(stage.offered, first?.offered[index])),
      ruPerSecond: perSecond(ru.requestCharge, first?.ru.requestCharge),
      ranges: ru.ranges
        .filter(({ rangeId }) => rangeId !== '*')
        .map(({ rangeId, requestCharge, throttled }) => {
          const before = first?.ru.ranges.find((range) => range.rangeId === rangeId);
          return {
            rangeId,
            ruPerSecond: perSecond(requestCharge, before?.requestCharge),
            isThrottled: throttled > (before?.throttled ?? 0),
          };
        }),
    };
  };

  return {
    frame() {
      const { now, rates, offered, ruPerSecond, ranges } = read();
      const header = ['STAGE', 'DONE', 'OFFERED/S', 'DONE/S', 'BACKLOG', 'P50', 'P99', 'ERRORS'];
      const rows = now.stages.map((stage, index) => [
        stage.name,
        formatCount(stage.done),
        formatCount(offered[index] ?? 0),
        formatCount(rates[index] ?? 0),
        index === 0 ? '-' : formatCount(backlog(now.stages, index)),
        latency(stage.latencyP50Ms),
        latency(stage.latencyP99Ms),
        formatCount(stage.failed),
      ]);
      return [
        ` ${now.phase} ${progress(now, load.expectedEvents)}`,
        '',
        ...formatTable([header, ...rows], { indent: 1 }),
        '',
        ` cosmos     ${ruText(ruPerSecond, now.ru.throttled, load.provisionedRuPerSecond)}`,
        ...heatStrip(ranges, load.provisionedRuPerSecond),
        ` generator  in flight ${formatCount(now.stages[0]?.inFlight ?? 0)}   event loop p99 +${formatDurationMs(now.loopDelayMs)}`,
      ];
    },
    heartbeat() {
      const { now, rates } = read();
      const last = now.stages.at(-1);
      return [
        clockTime(now.elapsedMs),
        now.phase,
        `done ${formatCount(last?.done ?? 0)}, ${formatCount(rates.at(-1) ?? 0)}/s`,
        ` backlog ${formatCount(behind(now.stages[0], last))}`,
        ` e2e p99 ${latency(last?.latencyP99Ms ?? 0)}`,
        ` 429s ${formatCount(now.ru.throttled)}`,
        ` errors ${formatCount(now.stages.reduce((sum, { failed }) => sum + failed, 0))}`,
      ].join(' ');
    },
  };
}

function backlog(stages: readonly StageSnapshot[], index: number): number {
  return behind(stages[index - 1], stages[index]);
}

/** The producer counts on its own thread and tells now and then, so a later stage can seem to be ahead. */
function behind(before: StageSnapshot | undefined, after: StageSnapshot | undefined): number {
  return Math.max(0, (before?.done ?? 0) - (after?.done ?? 0));
}

function progress({ elapsedMs, stages }: BenchSnapshot, expected: number | undefined): string {
  const done = stages.at(-1)?.done ?? 0;
  if (expected === undefined || expected === 0) return clockTime(elapsedMs);
  const share = Math.min(1, done / expected);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  return `${clockTime(elapsedMs)} [${bar}] ${Math.floor(share * 100)}%   ${formatCount(done)} of ${formatCount(expected)} events`;
}

function ruText(ruPerSecond: number, throttled: number, provisioned: number | undefined): string {
  const share =
    provisioned === undefined
      ? ''
      : ` of ${formatCount(provisioned)} (${((ruPerSecond / provisioned) * 100).toFixed(1)}%)`;
  return `${formatCount(ruPerSecond)} RU/s${share}   429s ${formatCount(throttled)}`;
}

interface RangeHeat {
  readonly rangeId: string;
  readonly ruPerSecond: number;
  readonly isThrottled: boolean;
}

/** One block per partition key range, full when it uses its share of what is provisioned; `!` for a 429 just now. */
function heatStrip(ranges: readonly RangeHeat[], provisioned: number | undefined): string[] {
  if (ranges.length < 2) return [];
  const hottest = ranges.reduce((a, b) => (b.ruPerSecond > a.ruPerSecond ? b : a));
  const full = provisioned === undefined ? hottest.ruPerSecond : provisioned / ranges.length;
  const total = ranges.reduce((sum, { ruPerSecond }) => sum + ruPerSecond, 0);
  if (total === 0) return [];
  const strip = ranges
    .toSorted((a, b) => Number(a.rangeId) - Number(b.rangeId))
    .slice(0, MAX_RANGES)
    .map(({ ruPerSecond, isThrottled }) => {
      const level = Math.min(HEAT.length - 1, Math.ceil((ruPerSecond / full) * (HEAT.length - 1)));
      return isThrottled ? '!' : HEAT[level];
    });
  const share = ((hottest.ruPerSecond / total) * 100).toFixed(0);
  return [` ranges     [${strip.join('')}] hottest ${hottest.rangeId}: ${share}% of the load`];
}

function latency(ms: number): string {
  return ms === 0 ? '-' : formatDurationMs(ms);
}

/** `00:37`. */
function clockTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`;
}
