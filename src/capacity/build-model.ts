import { constant, type Shape, steps } from '../workload/shape.ts';
import type { Schedule } from './arrival-curve.ts';
import { figure, type Sheet } from './sheet.ts';
import {
  ASSUMED_LATENCY,
  DEFAULT_MAX_UNSETTLED,
  MEASURED_REFUSALS,
  type PipelineModel,
} from './simulation-model.ts';
import { mapOf } from './sizing.ts';
import {
  DAY_MS,
  type PipelineTarget,
  readRuPerSecond,
  ruPerChange,
  ruPerWrite,
  wireBytes,
} from './target.ts';

/** What a pipeline is given, whether or not it is enough. */
export interface Provision {
  /** Absent: no limit. */
  readonly throughputUnits?: number;
  readonly hubPartitions: number;
  readonly consumers: number;
  readonly ruPerSecond: number;
  readonly physicalPartitions: number;
  /** Absent: as fast as it comes. */
  readonly feedPerSecond?: number;
  readonly cachePerSecond?: number;
  readonly withFeed: boolean;
  readonly withCache: boolean;
}

/** A day without a peak is cut short: it repeats. */
const STEADY_MS = 3_600_000;
const MAX_DRAIN_MS = DAY_MS;

/** The simulation's view of a target with what it is given. */
export function buildModel(
  target: PipelineTarget,
  provision: Provision,
  schedule: Schedule,
  sheet: Sheet,
): PipelineModel {
  const bytes = wireBytes(target, sheet);
  const units = provision.throughputUnits ?? Number.POSITIVE_INFINITY;
  const limit = (
    events: 'hubUnitIngressEvents' | 'hubUnitEgressEvents',
    size: 'hubUnitIngressBytes' | 'hubUnitEgressBytes',
  ): number => units * Math.min(figure(sheet, events), figure(sheet, size) / bytes);
  const change = ruPerChange(target, sheet).value;
  return {
    schedule,
    load: mapOf(target, provision.hubPartitions, provision.physicalPartitions),
    hub: {
      ingressPerSecond: limit('hubUnitIngressEvents', 'hubUnitIngressBytes'),
      egressPerSecond: limit('hubUnitEgressEvents', 'hubUnitEgressBytes') / target.consumerGroups,
    },
    producer: { capacityPerSecond: Number.POSITIVE_INFINITY },
    ingest: {
      consumers: provision.consumers,
      capacityPerSecond: target.consumerPerSecond,
      maxUnsettled: DEFAULT_MAX_UNSETTLED,
    },
    store: {
      ruPerSecond: provision.ruPerSecond,
      physicalPartitions: provision.physicalPartitions,
      ruPerWrite: ruPerWrite(target, sheet).value,
      refusedPerSecond: MEASURED_REFUSALS,
      readRuPerSecond: readRuPerSecond(target, sheet),
    },
    ...(provision.withFeed && {
      feed: {
        capacityPerSecond: provision.feedPerSecond ?? Number.POSITIVE_INFINITY,
        ruPerChange: change * Math.max(1, target.feedReaders),
      },
    }),
    ...(provision.withFeed &&
      provision.withCache && {
        cache: { capacityPerSecond: provision.cachePerSecond ?? Number.POSITIVE_INFINITY },
      }),
    latency: { ...ASSUMED_LATENCY, ...target.measured?.latency },
    maxDrainMs: MAX_DRAIN_MS,
  };
}

/** A day of the target: base, peak in the middle, base. */
export function scheduleOf({ ratePerSecond, peak }: PipelineTarget): Schedule {
  if (peak === undefined) return { shape: constant(ratePerSecond), durationMs: STEADY_MS };
  const quietMs = Math.max(0, DAY_MS - peak.durationMs);
  const parts = [
    { durationMs: quietMs / 4, ratePerSecond },
    { durationMs: peak.durationMs, ratePerSecond: peak.ratePerSecond },
    { durationMs: (quietMs * 3) / 4, ratePerSecond },
  ].filter(({ durationMs }) => durationMs > 0);
  const shape: Shape = steps(parts);
  return { shape, durationMs: quietMs + peak.durationMs };
}
