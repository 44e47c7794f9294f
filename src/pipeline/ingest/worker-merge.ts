import type { IngestTotals } from './partition.ts';
import type { IngestProgress, IngestResult, PartitionProgress } from './types.ts';

/** One progress of several workers: the totals added up, each partition as its owner sees it. */
export function mergeProgress(all: readonly IngestProgress[]): IngestProgress {
  const partitions = new Map<string, PartitionProgress>();
  for (const { partitions: seen } of all)
    for (const partition of seen)
      if (partition.owner !== undefined || !partitions.has(partition.partitionId))
        partitions.set(partition.partitionId, partition);
  const ranges = new Map<string, IngestProgress['writer']['perRange'][number]>();
  for (const { writer } of all)
    for (const range of writer.perRange) {
      const known = ranges.get(range.rangeId);
      ranges.set(
        range.rangeId,
        known === undefined
          ? range
          : {
              rangeId: range.rangeId,
              queued: known.queued + range.queued,
              requestsInFlight: known.requestsInFlight + range.requestsInFlight,
              window: known.window + range.window,
              requestCharge: known.requestCharge + range.requestCharge,
              throttled: known.throttled + range.throttled,
              written: known.written + range.written,
            },
      );
    }
  return {
    phase: all.some((progress) => progress.phase === 'draining') ? 'draining' : 'running',
    elapsedMs: Math.max(...all.map((progress) => progress.elapsedMs)),
    totals: sumTotals(all.map((progress) => progress.totals)),
    partitions: [...partitions.values()],
    writer: {
      inFlight: sum(all.map(({ writer }) => writer.inFlight)),
      buffered: sum(all.map(({ writer }) => writer.buffered)),
      bufferedBytes: sum(all.map(({ writer }) => writer.bufferedBytes)),
      perRange: [...ranges.values()],
    },
  };
}

/** The result of a run whose workers all ended. A partition that moved between workers counts where it got furthest. */
export function mergeResults(all: readonly IngestResult[]): IngestResult {
  const reached = new Map<string, number | undefined>();
  for (const { partitions } of all)
    for (const { partitionId, sequenceNumber } of partitions) {
      const known = reached.get(partitionId);
      reached.set(
        partitionId,
        known === undefined ? sequenceNumber : Math.max(known, sequenceNumber ?? known),
      );
    }
  return {
    ...sumTotals(all),
    ended: all.find(({ ended }) => ended === 'signal')?.ended ?? all[0]?.ended ?? 'signal',
    durationMs: Math.max(...all.map(({ durationMs }) => durationMs)),
    partitions: [...reached]
      .map(([partitionId, sequenceNumber]) => ({ partitionId, sequenceNumber }))
      .sort((a, b) => a.partitionId.localeCompare(b.partitionId, 'en', { numeric: true })),
  };
}

function sumTotals(all: readonly Readonly<IngestTotals>[]): IngestTotals {
  return {
    received: sum(all.map((totals) => totals.received)),
    stored: sum(all.map((totals) => totals.stored)),
    storedBytes: sum(all.map((totals) => totals.storedBytes)),
    alreadyStored: sum(all.map((totals) => totals.alreadyStored)),
    skipped: sum(all.map((totals) => totals.skipped)),
    deadLettered: sum(all.map((totals) => totals.deadLettered)),
    requestCharge: sum(all.map((totals) => totals.requestCharge)),
    missing: sum(all.map((totals) => totals.missing)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
