import { areaOf } from './arrivals.ts';
import { limitTo, type RateSegment } from './shape.ts';
import { meanSize } from './size.ts';
import type { Workload } from './spec.ts';
import { shapeOf } from './stream.ts';

/** What a workload will amount to, before anything is sent. */
export interface WorkloadEstimate {
  /** `undefined` when it goes on until it is stopped, or data decides. */
  readonly events: number | undefined;
  readonly durationMs: number | undefined;
  /** Highest arrival rate; `undefined` for as fast as possible. */
  readonly peakPerSecond: number | undefined;
  /** Mean size of a body. */
  readonly eventBytes: number;
  /** Throughput units the peak needs: 1,000 events/s or 1 MB/s each, whichever comes first. */
  readonly throughputUnits: number | undefined;
  /** List price of ingress events and of the throughput units for the time of the run, US dollars. */
  readonly costUsd: number | undefined;
}

/**
 * Event Hubs Standard, US list prices as commonly quoted, not read off the price page: prices differ by region and
 * change, so they are an argument. https://azure.microsoft.com/pricing/details/event-hubs/
 */
const EVENT_HUBS_PRICES: EventHubsPrices = { throughputUnitHourUsd: 0.03, millionEventsUsd: 0.028 };

interface EventHubsPrices {
  readonly throughputUnitHourUsd: number;
  readonly millionEventsUsd: number;
}

const BYTES_PER_UNIT = 1_000_000;
const EVENTS_PER_UNIT = 1_000;
/** An event is billed per started 64 KB. */
const BILLED_BYTES = 64 * 1024;
/** Envelope, partition key and encoding around a body. */
const OVERHEAD_BYTES = 180;
/** Segments looked at of a shape that never ends. */
const MOST_SEGMENTS = 100_000;

/** Mean body size of the telemetry event, measured over 10,000 of them. */
const TELEMETRY_BYTES = 907;

export function estimateWorkload(
  workload: Workload,
  sampleBytes?: number,
  prices: EventHubsPrices = EVENT_HUBS_PRICES,
): WorkloadEstimate {
  const eventBytes = Math.round(sampleBytes ?? (workload.size ? meanSize(workload.size) : TELEMETRY_BYTES));
  const scheduled = totalsOf(workload);
  const peak = scheduled.peakPerSecond;
  const throughputUnits =
    peak === undefined
      ? undefined
      : Math.max(
          1,
          Math.ceil(peak / EVENTS_PER_UNIT),
          Math.ceil((peak * (eventBytes + OVERHEAD_BYTES)) / BYTES_PER_UNIT),
        );
  const { events, durationMs } = scheduled;
  const billed =
    events === undefined ? undefined : events * Math.ceil((eventBytes + OVERHEAD_BYTES) / BILLED_BYTES);
  const costUsd =
    billed === undefined
      ? undefined
      : (billed / 1e6) * prices.millionEventsUsd +
        // Throughput units are billed per started hour.
        Math.max(1, Math.ceil((durationMs ?? 0) / 3_600_000)) *
          (throughputUnits ?? 1) *
          prices.throughputUnitHourUsd;
  return { ...scheduled, eventBytes, throughputUnits, costUsd };
}

function totalsOf(workload: Workload): Pick<WorkloadEstimate, 'events' | 'durationMs' | 'peakPerSecond'> {
  const { duration, events, keys } = workload;
  if (keys.intervals) {
    const count = keys.names?.length ?? keys.count;
    const perSecond =
      keys.intervals.reduce((sum, ms) => sum + 1000 / ms, 0) * (count / keys.intervals.length);
    return bounded(perSecond, duration, events);
  }
  const shape = shapeOf(workload);
  if (!shape) return { events, durationMs: duration, peakPerSecond: undefined };
  const wanted = events ?? Number.POSITIVE_INFINITY;
  let area = 0;
  let ms = 0;
  let peak = 0;
  let seen = 0;
  for (const part of duration === undefined ? shape() : limitTo(shape, duration)()) {
    peak = Math.max(peak, part.fromPerSecond, part.toPerSecond);
    const partArea = areaOf(part);
    if (area + partArea >= wanted)
      return {
        events: wanted,
        durationMs: ms + (part.durationMs * (wanted - area)) / partArea,
        peakPerSecond: peak,
      };
    area += partArea;
    ms += part.durationMs;
    seen += 1;
    if (seen >= MOST_SEGMENTS || (duration === undefined && events === undefined && seen >= 1000))
      return { events: undefined, durationMs: undefined, peakPerSecond: peak };
  }
  return { events: Math.ceil(area), durationMs: ms, peakPerSecond: peak };
}

function bounded(
  perSecond: number,
  durationMs: number | undefined,
  events: number | undefined,
): Pick<WorkloadEstimate, 'events' | 'durationMs' | 'peakPerSecond'> {
  const byTime =
    durationMs === undefined ? Number.POSITIVE_INFINITY : Math.ceil((perSecond * durationMs) / 1000);
  const total = Math.min(events ?? Number.POSITIVE_INFINITY, byTime);
  if (total === Number.POSITIVE_INFINITY)
    return { events: undefined, durationMs: undefined, peakPerSecond: perSecond };
  return {
    events: total,
    durationMs: Math.min(durationMs ?? Number.POSITIVE_INFINITY, (total * 1000) / perSecond),
    peakPerSecond: perSecond,
  };
}

/** Arrival rate at `columns` equally spaced moments of the first `durationMs`: the curve that --dry-run draws. */
export function sampleRates(segments: Iterable<RateSegment>, durationMs: number, columns: number): number[] {
  const rates: number[] = [];
  let startMs = 0;
  for (const part of segments) {
    while (rates.length < columns) {
      const atMs = ((rates.length + 0.5) * durationMs) / columns;
      if (atMs >= startMs + part.durationMs) break;
      const share = (atMs - startMs) / part.durationMs;
      rates.push(part.fromPerSecond + (part.toPerSecond - part.fromPerSecond) * share);
    }
    startMs += part.durationMs;
    if (rates.length === columns) return rates;
  }
  while (rates.length < columns) rates.push(0);
  return rates;
}
