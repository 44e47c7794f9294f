import type { StageSnapshot, StageSummary } from '../src/metrics/stage-recorder.ts';
import type { ProduceResult } from '../src/pipeline/produce/produce.ts';
import { formatCount } from '../src/report/format.ts';
import { formatBytes } from '../src/util/bytes.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import type { WorkloadEstimate } from '../src/workload/estimate.ts';
import { formatKeyDistribution } from '../src/workload/keys.ts';
import type { EventPreview } from '../src/workload/preview.ts';
import type { Workload } from '../src/workload/spec.ts';

const CURVE_ROWS = 6;
export const CURVE_COLUMNS = 60;
const BLOCK = 0x2580;
const BAR_WIDTH = 30;

/** Flags that change what there is to say of a plan. */
export interface PlanFlags {
  readonly file: string | undefined;
  readonly replay: string | undefined;
  readonly speed: number | undefined;
  readonly loop: boolean | undefined;
  readonly partitionKey: string | undefined;
  readonly shard: { readonly index: number; readonly count: number } | undefined;
}

/** `5,000 events/s for 30s, 907 B each, 10,000 keys (zipf 1.1), seed 1`. */
export function planText(
  workload: Workload,
  estimate: WorkloadEstimate,
  { file, loop, partitionKey, replay, shard, speed = 1 }: PlanFlags,
): string {
  const { durationMs, events, eventBytes, peakPerSecond } = estimate;
  const rate =
    peakPerSecond === undefined
      ? replay === undefined
        ? 'as fast as accepted'
        : `at the recorded times${speed === 1 ? '' : `, ${speed} times as fast`}`
      : `${workload.stages || workload.shape ? 'up to ' : ''}${formatCount(peakPerSecond)} events/s`;
  const time = durationMs === undefined ? '' : ` for ${formatDurationMs(durationMs)}`;
  const from = file ?? replay;
  const end = from === undefined || loop ? ' until stopped' : '';
  const total = events === undefined ? end : ` (${formatCount(events)} events)`;
  const keyCount = workload.keys.names?.length ?? workload.keys.count;
  const body = from === undefined ? `about ${formatBytes(eventBytes)} each` : `from ${from}`;
  const keys =
    partitionKey === undefined
      ? `${formatCount(keyCount)} keys (${formatKeyDistribution(workload.keys.distribution)})`
      : `keys of ${partitionKey}`;
  const part = shard === undefined ? '' : `, of these part ${shard.index}/${shard.count}`;
  return `${rate}${time}${total}${part}, ${body}, ${keys}, seed ${workload.seed}`;
}

/** `needs 6 throughput units; about $0.21 at list price`. */
export function costText({ costUsd, peakPerSecond, throughputUnits }: WorkloadEstimate): string {
  const units =
    throughputUnits === undefined || peakPerSecond === undefined
      ? 'takes all the throughput units there are'
      : `needs ${throughputUnits} throughput unit${throughputUnits === 1 ? '' : 's'} at ${formatCount(peakPerSecond)}/s`;
  return costUsd === undefined ? units : `${units}; about $${costUsd.toFixed(2)} at list price`;
}

/** The load curve as columns of blocks, highest rate on top. */
export function curveText(rates: readonly number[], durationMs: number): string[] {
  const peak = Math.max(...rates, 1e-9);
  const label = `${formatCount(peak)}/s`;
  const rows = Array.from({ length: CURVE_ROWS }, (_, row) => {
    const floor = CURVE_ROWS - 1 - row;
    const cells = rates.map((rate) => {
      const eighths = Math.round((rate / peak) * CURVE_ROWS * 8) - floor * 8;
      return eighths <= 0 ? ' ' : String.fromCharCode(BLOCK + Math.min(8, eighths));
    });
    return `${(row === 0 ? label : '').padStart(label.length)} ${cells.join('')}`.trimEnd();
  });
  const end = formatDurationMs(durationMs);
  return [...rows, `${' '.repeat(label.length)} 0s${end.padStart(rates.length - 2)}`];
}

export function previewText(events: readonly EventPreview[]): string[] {
  return events.map(
    ({ body, offsetMs, partitionKey, sizeBytes }) =>
      `+${formatDurationMs(offsetMs)}  ${partitionKey}  ${formatBytes(sizeBytes)}  ${body.length > 160 ? `${body.slice(0, 160)}...` : body}`,
  );
}

export interface ProgressState {
  readonly elapsedMs: number;
  readonly perSecond: number;
  readonly snapshot: StageSnapshot;
}

export function progressLines(
  { elapsedMs, perSecond, snapshot }: ProgressState,
  estimate: WorkloadEstimate,
): string[] {
  const { durationMs, events } = estimate;
  const done =
    durationMs !== undefined
      ? elapsedMs / durationMs
      : events !== undefined
        ? snapshot.done / Math.max(1, events)
        : undefined;
  const share = done === undefined ? undefined : Math.min(1, done);
  const bar =
    share === undefined
      ? ''
      : ` [${'\u2588'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '\u2591')}] ${String(Math.round(share * 100)).padStart(3)}%`;
  const clock = `${formatDurationMs(elapsedMs)}${durationMs === undefined ? '' : `/${formatDurationMs(durationMs)}`}`;
  return [
    ` ${clock}${bar}   ${formatCount(snapshot.done)} events   ${formatCount(perSecond)}/s`,
    ` send p50 ${formatDurationMs(snapshot.latencyP50Ms)}  p99 ${formatDurationMs(snapshot.latencyP99Ms)}  in flight ${formatCount(snapshot.inFlight)}  throttled ${formatCount(snapshot.throttled)}  failed ${formatCount(snapshot.failed)}`,
  ];
}

export function heartbeatText({ perSecond, snapshot }: ProgressState): string {
  return `sent ${formatCount(snapshot.done)}  ${formatCount(perSecond)}/s  p99 ${formatDurationMs(snapshot.latencyP99Ms)}  throttled ${formatCount(snapshot.throttled)}  failed ${formatCount(snapshot.failed)}`;
}

/** The result for people: what was sent, how fast, how long it took, and whether to believe it. */
export function summaryText(
  result: ProduceResult,
  stage: StageSummary,
  ledger: string | undefined,
  scheduled: boolean,
): string {
  const { latency, serviceTime } = stage;
  const failures = Object.entries(result.failed).map(([kind, count]) => `${formatCount(count)} ${kind}`);
  const injected = Object.entries(result.injected).map(([kind, count]) => `${formatCount(count)} ${kind}`);
  const counts = Object.values(result.partitions);
  const mean = counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length);
  const hottest = mean === 0 ? '' : `   (max/mean ${(Math.max(...counts) / mean).toFixed(2)})`;
  const shown = Object.entries(result.partitions).slice(0, 8);
  const offered =
    result.requestedPerSecond > 0 ? `offered ${formatCount(result.requestedPerSecond)}/s   ` : '';
  const lines = [
    `sent         ${formatCount(result.sent)} events in ${formatCount(result.batches)} batches, ${formatBytes(result.sizeBytes)}`,
    `rate         ${offered}achieved ${formatCount(result.achievedPerSecond)}/s   ${formatDurationMs(result.durationMs)}`,
    `latency      ${quantiles(latency)}   from ${scheduled ? 'the intended time' : 'when the event was made'}`,
    `service      ${quantiles(serviceTime)}`,
    `partitions   ${shown.map(([id, count]) => `${id}: ${formatCount(count)}`).join('   ')}${counts.length > 8 ? '   ...' : ''}${hottest}`,
    `problems     ${failures.length > 0 ? failures.join('   ') : '0 errors'}   ${formatCount(result.throttled)} throttled   ${formatCount(result.resent)} sent again   ${formatCount(result.dropped)} dropped   ${formatCount(result.late)} late`,
  ];
  if (result.unknown > 0)
    lines.push(
      `no answer    to ${formatCount(result.unknown)} of the events given up: they may be stored or not`,
    );
  if (injected.length > 0) lines.push(`on purpose   ${injected.join('   ')}`);
  if (result.requestedPerSecond > 0) {
    const { maxMs, p50Ms, p99Ms } = result.scheduling;
    lines.push(
      result.trustworthy
        ? `generator    kept its schedule: scheduling error p50 ${formatDurationMs(p50Ms)}  p99 ${formatDurationMs(p99Ms)}  max ${formatDurationMs(maxMs)}`
        : `generator    DID NOT KEEP UP, these results are not trustworthy: ${result.doubts.join('; ')}`,
    );
    if (!result.trustworthy) lines.push('             try --workers 2, a lower --rate or a larger --buffer');
  }
  if (ledger) lines.push(`next         cosmos-pipe verify --ledger ${ledger}`);
  return lines.join('\n');
}

function quantiles({ maxMs, p50Ms, p90Ms, p99Ms, p999Ms }: StageSummary['latency']): string {
  return `p50 ${formatDurationMs(p50Ms)}  p90 ${formatDurationMs(p90Ms)}  p99 ${formatDurationMs(p99Ms)}  p99.9 ${formatDurationMs(p999Ms)}  max ${formatDurationMs(maxMs)}`;
}
