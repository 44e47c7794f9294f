import type { HistogramSummary } from '../src/metrics/histogram.ts';
import { totalLag } from '../src/pipeline/ingest/progress.ts';
import type { IngestProgress, IngestResult } from '../src/pipeline/ingest/types.ts';
import { formatCount, formatFigure } from '../src/report/format.ts';
import { formatTable } from '../src/report/table.ts';
import { formatBytes } from '../src/util/bytes.ts';
import { formatDurationMs } from '../src/util/duration.ts';

/** Rates between one progress and the next. */
export interface ProgressRates {
  readonly eventsPerSecond: ReadonlyMap<string, number>;
  readonly storedPerSecond: number;
  readonly ruPerSecond: number;
}

/** Compares each progress with the one before. */
export function rateMeter(): (progress: IngestProgress) => ProgressRates {
  let previous:
    | { elapsedMs: number; stored: number; charge: number; sequences: Map<string, number> }
    | undefined;
  return ({ elapsedMs, partitions, totals }) => {
    const seconds = previous === undefined ? 0 : (elapsedMs - previous.elapsedMs) / 1000;
    const rate = (now: number, before: number | undefined) =>
      seconds <= 0 || before === undefined ? 0 : Math.max(0, (now - before) / seconds);
    const sequences = new Map<string, number>();
    const eventsPerSecond = new Map<string, number>();
    for (const { partitionId, sequenceNumber } of partitions) {
      if (sequenceNumber === undefined) continue;
      sequences.set(partitionId, sequenceNumber);
      eventsPerSecond.set(partitionId, rate(sequenceNumber, previous?.sequences.get(partitionId)));
    }
    const rates = {
      eventsPerSecond,
      storedPerSecond: rate(totals.stored, previous?.stored),
      ruPerSecond: rate(totals.requestCharge, previous?.charge),
    };
    previous = { elapsedMs, stored: totals.stored, charge: totals.requestCharge, sequences };
    return rates;
  };
}

/** The live block: one line per partition, then what Cosmos DB says. */
export function progressLines(progress: IngestProgress, rates: ProgressRates, latency: string): string[] {
  const rows = progress.partitions.map((partition) => {
    const { checkpointAgeMs, lagEvents, lagMs, owner, partitionId, sequenceNumber } = partition;
    if (owner === undefined) return [partitionId, 'another', '', '', '', ''];
    const behind =
      lagEvents === undefined
        ? '-'
        : `${formatCount(lagEvents)}${lagMs ? ` / ${formatDurationMs(lagMs)}` : ''}`;
    return [
      partitionId,
      owner,
      sequenceNumber === undefined ? '-' : formatCount(sequenceNumber),
      behind,
      formatCount(rates.eventsPerSecond.get(partitionId) ?? 0),
      `${formatDurationMs(checkpointAgeMs)} ago`,
    ];
  });
  const table = formatTable([['PARTITION', 'OWNER', 'SEQUENCE', 'LAG', 'EVENTS/S', 'CHECKPOINT'], ...rows], {
    indent: 1,
    left: [0, 1],
  });
  const { totals, writer } = progress;
  const throttled = writer.perRange.reduce((sum, range) => sum + range.throttled, 0);
  const perWrite = totals.stored === 0 ? 0 : totals.requestCharge / totals.stored;
  const state =
    progress.phase === 'draining'
      ? ` draining ${formatCount(writer.buffered)} writes, then checkpointing (^C again to force)`
      : ` enqueued to stored  ${latency}`;
  return [
    '',
    ...table,
    '',
    ` cosmos  ${formatCount(rates.storedPerSecond)} writes/s   ${formatFigure(perWrite)} RU/write   ${formatCount(rates.ruPerSecond)} RU/s   429s ${formatCount(throttled)}`,
    state,
  ];
}

/** One line for logs: `00:20 stored 4,998/s, 149,959 in all, lag 52, 31,437 RU/s`. */
export function heartbeatLine(progress: IngestProgress, rates: ProgressRates): string {
  const { elapsedMs, partitions, phase, totals } = progress;
  const lag = totalLag(partitions);
  const owned = partitions.filter((partition) => partition.owner !== undefined).length;
  return `${formatDurationMs(elapsedMs)} ${phase}: ${formatCount(rates.storedPerSecond)}/s, ${formatCount(totals.stored)} stored, lag ${lag === undefined ? 'unknown' : formatCount(lag)} in ${owned} partitions, ${formatCount(rates.ruPerSecond)} RU/s, ${formatCount(totals.deadLettered)} dead-lettered`;
}

/** `p50 11ms  p99 47ms`. */
export function latencyText({
  count,
  p50Ms,
  p99Ms,
}: Pick<HistogramSummary, 'count' | 'p50Ms' | 'p99Ms'>): string {
  return count === 0 ? '-' : `p50 ${formatDurationMs(p50Ms)}  p99 ${formatDurationMs(p99Ms)}`;
}

/** The summary at the end. */
export function summaryText(
  result: IngestResult,
  latency: HistogramSummary,
  throttled: number,
  resume: string,
  deadLetter: string,
): string {
  const { alreadyStored, deadLettered, durationMs, missing, received, requestCharge, skipped, stored } =
    result;
  const seconds = Math.max(durationMs / 1000, 0.001);
  const rows: [string, string][] = [
    [
      'ingested',
      `${formatCount(stored)} events, ${formatBytes(result.storedBytes)}   ${formatCount(requestCharge)} RU   ${formatCount(stored / seconds)}/s over ${formatDurationMs(durationMs)}`,
    ],
  ];
  if (stored > 0)
    rows.push(
      ['latency', `enqueued to stored ${latencyText(latency)}  max ${formatDurationMs(latency.maxMs)}`],
      ['cosmos', `${formatFigure(requestCharge / stored)} RU/write   429s ${formatCount(throttled)}`],
    );
  rows.push([
    'checkpoints',
    result.partitions
      .map(({ partitionId, sequenceNumber }) =>
        sequenceNumber === undefined ? `${partitionId}: -` : `${partitionId}: ${formatCount(sequenceNumber)}`,
      )
      .join('   ') || 'none were ours',
  ]);
  const others = [
    alreadyStored > 0 && `${formatCount(alreadyStored)} already stored`,
    skipped > 0 && `${formatCount(skipped)} skipped by the mapping`,
    received !== stored + alreadyStored + skipped + deadLettered &&
      `${formatCount(received - stored - alreadyStored - skipped - deadLettered)} not finished, they come again`,
  ].filter((text) => text !== false);
  if (others.length > 0) rows.push(['besides', others.join('   ')]);
  rows.push([
    'problems',
    `${formatCount(deadLettered)} dead-lettered   ${formatCount(missing)} expired unread`,
  ]);
  // A hub is looked into by ingesting it.
  if (deadLettered > 0 && !deadLetter.startsWith('hub:'))
    rows.push(['look', `cosmos-pipe ingest dead-letter list --dead-letter ${deadLetter}`]);
  rows.push(['resume', resume]);
  return rows.map(([name, text]) => `${name.padEnd(13)}${text}`).join('\n');
}
