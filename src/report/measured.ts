import type { BaseLatency, StageName } from '../capacity/simulation-model.ts';
import type { Measured } from '../capacity/target.ts';
import type { StageSummary } from '../metrics/stage-recorder.ts';
import type { RunReport } from './run-report.ts';

const STAGES: readonly StageName[] = ['produce', 'ingest', 'feed', 'cache'];

/** What a measured run tells about costs and latencies of a pipeline, for a plan or a simulation to go by. */
export function measuredBy(report: RunReport, origin: string): Measured {
  const { ru, stages } = report;
  const ingest = stages.find(({ name }) => name === 'ingest');
  const changes = stages.find(({ name }) => name === 'feed')?.done ?? 0;
  const feedCharge = ru?.operations.changeFeed?.requestCharge;
  let before: BaseLatency = { p50Ms: 0, p99Ms: 0 };
  const latency = Object.fromEntries(
    stages.flatMap((stage) => {
      const base = isStageName(stage.name) ? quietLatency(stage) : undefined;
      if (base === undefined) return [];
      // Each stage had its best second at another time; none ends before the one that feeds it.
      before = { p50Ms: Math.max(before.p50Ms, base.p50Ms), p99Ms: Math.max(before.p99Ms, base.p99Ms) };
      return [[stage.name, before] as const];
    }),
  );
  return {
    origin,
    ...(ru?.perWrite !== undefined && { ruPerWrite: ru.perWrite }),
    ...(feedCharge !== undefined && changes > 0 && { ruPerChange: feedCharge / changes }),
    ...(ingest !== undefined && ingest.done > 0 && { itemBytes: Math.round(ingest.sizeBytes / ingest.done) }),
    latency,
  };
}

/** Events per second of the ingest of a run that it limited; `undefined` when something else did. */
export function saturatedIngestRate({ bottleneck, stages, ru }: RunReport): number | undefined {
  if (bottleneck?.stage !== 'ingest' || bottleneck.reason !== 'saturated') return undefined;
  if ((ru?.throttled ?? 0) > 0) return undefined;
  return stages.find(({ name }) => name === 'ingest')?.donePerSecond;
}

/** The best interval of a run: later ones may have queued. */
function quietLatency({ series }: StageSummary): BaseLatency | undefined {
  const medians = series.latencyP50Ms.filter((value) => value > 0);
  const tails = series.latencyP99Ms.filter((value) => value > 0);
  if (medians.length === 0 || tails.length === 0) return undefined;
  const p50Ms = Math.min(...medians);
  return { p50Ms, p99Ms: Math.max(p50Ms, Math.min(...tails)) };
}

function isStageName(name: string): name is StageName {
  return (STAGES as readonly string[]).includes(name);
}
