import { Histogram } from '../../metrics/histogram.ts';
import { produceShare } from './share.ts';
import type { ProduceOptions, ProduceResult, ShareResult } from './types.ts';
import { produceOnWorkers } from './workers.ts';

export type { ProduceOptions, ProduceResult, RecordSource, Routing } from './types.ts';

/** Share of late arrivals up to which the schedule counts as kept. */
const TOLERATED_LATE = 0.001;

/**
 * Sends a workload to an event hub. Arrivals follow their schedule whatever the service answers (open model) unless the
 * workload has none, in which case events go as fast as they are accepted (closed model). Resolves when everything was
 * acknowledged or given up; on abort, when what was taken up by then is answered. Memory does not grow with the number
 * of events. Throws a PipeError when the hub cannot be reached, and a RangeError for an invalid workload.
 */
export async function produce(options: ProduceOptions): Promise<ProduceResult> {
  const scheduling = new Histogram();
  const workers = options.workers ?? 1;
  const shares =
    workers > 1 || options.ownThread === true
      ? await produceOnWorkers(options, workers, scheduling)
      : [await produceShare({ ...options, scheduling })];
  return join(shares, scheduling);
}

function join(shares: readonly ShareResult[], scheduling: Histogram): ProduceResult {
  const sum = (of: (share: ShareResult) => number): number =>
    shares.reduce((total, share) => total + of(share), 0);
  const max = (of: (share: ShareResult) => number): number => Math.max(0, ...shares.map(of));
  const offered = sum((share) => share.offered);
  const sent = sum((share) => share.sent);
  const late = sum((share) => share.late);
  const dropped = sum((share) => share.dropped);
  const lastOffsetMs = max((share) => share.lastOffsetMs);
  const durationMs = max((share) => share.lastAcknowledgedMs);
  const closedModel = shares.every((share) => share.closedModel);
  const doubts: string[] = [];
  if (dropped > 0) doubts.push(`${dropped} of ${offered} arrivals dropped: the generator was too far behind`);
  if (late > offered * TOLERATED_LATE)
    doubts.push(`${late} of ${offered} arrivals taken up more than 50ms after their time`);
  return {
    offered,
    sent,
    sizeBytes: sum((share) => share.sizeBytes),
    batches: sum((share) => share.batches),
    failed: addUp(shares.map((share) => share.failed)),
    throttled: sum((share) => share.throttled),
    resent: sum((share) => share.resent),
    unknown: sum((share) => share.unknown),
    late,
    dropped,
    injected: addUp(shares.map((share) => share.injected)),
    partitions: addUp(shares.map((share) => share.partitions)),
    durationMs,
    requestedPerSecond: closedModel || lastOffsetMs === 0 ? 0 : ((offered - 1) * 1000) / lastOffsetMs,
    achievedPerSecond: durationMs === 0 ? 0 : (sent * 1000) / durationMs,
    scheduling: scheduling.summary(),
    startMicros: shares[0]?.startMicros ?? 0,
    trustworthy: doubts.length === 0,
    doubts,
    interrupted: shares.some((share) => share.interrupted),
  };
}

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}
