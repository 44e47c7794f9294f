import type { Schedule } from './arrival-curve.ts';
import type { LoadMap } from './load-map.ts';

/** Latency of a stage while nothing queues, from the intended send time of an event. */
export interface BaseLatency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A pipeline as the simulation sees it. Rates are events per second. */
export interface PipelineModel {
  readonly schedule: Schedule;
  readonly load: LoadMap;
  readonly hub: {
    /** What the namespace lets in and out; Infinity without a limit. */
    readonly ingressPerSecond: number;
    readonly egressPerSecond: number;
  };
  readonly producer: { readonly capacityPerSecond: number };
  readonly ingest: {
    readonly consumers: number;
    /** What one consumer can read, parse and send on. */
    readonly capacityPerSecond: number;
    /** Events of one hub partition that may be read and not stored yet; then its reading waits. */
    readonly maxUnsettled: number;
  };
  readonly store: {
    /** Divided evenly among the physical partitions; Infinity without a limit. */
    readonly ruPerSecond: number;
    readonly physicalPartitions: number;
    readonly ruPerWrite: number;
    /** RU/s of reads from outside the pipeline, spread evenly, which the pipeline cannot have. */
    readonly readRuPerSecond?: number;
    /** Requests that a lane is refused in a second in which its budget runs out: the writer's and the feed's probing. */
    readonly refusedPerSecond: number;
  };
  /** Absent: the pipeline ends at the container. */
  readonly feed?: {
    readonly capacityPerSecond: number;
    readonly ruPerChange: number;
  };
  /** Absent: the pipeline ends at the feed. */
  readonly cache?: { readonly capacityPerSecond: number };
  readonly latency: Readonly<Record<StageName, BaseLatency>>;
  readonly outages?: readonly Outage[];
  /** Simulated time after the schedule in which the backlog may drain. */
  readonly maxDrainMs: number;
}

/** A part that does nothing for a while, from the start of the load on. */
export interface Outage {
  readonly part: OutagePart;
  readonly startMs: number;
  readonly durationMs: number;
}

export const OUTAGE_PARTS = ['event-hubs', 'ingest', 'cosmos', 'feed'] as const;
export type OutagePart = (typeof OUTAGE_PARTS)[number];

export type StageName = 'produce' | 'ingest' | 'feed' | 'cache';

/** One request to a service of the same region, from client to client: an order of magnitude, typically and at its slowest. */
const REQUEST_MS = { typical: 5, slow: 50 } as const;
/** How long `bench` lets an event wait for others: the producer, and then the writer and the reader of the feed each. */
const LINGER_MS = 5;
const GATHER_MS = 50;

/** Half of the waits in the middle, all of them and one slow request at the 99th percentile. */
function assumed(requests: number, waitsMs: number): BaseLatency {
  const { typical, slow } = REQUEST_MS;
  return {
    p50Ms: Math.round(waitsMs / 2) + requests * typical,
    p99Ms: waitsMs + (requests - 1) * typical + slow,
  };
}

/** To be replaced by a measured report. Requests: send, deliver, write, read, cache. */
export const ASSUMED_LATENCY: PipelineModel['latency'] = {
  produce: assumed(1, LINGER_MS),
  ingest: assumed(3, LINGER_MS + GATHER_MS),
  feed: assumed(4, LINGER_MS + 2 * GATHER_MS),
  cache: assumed(5, LINGER_MS + 2 * GATHER_MS),
};

/** Of the bulk writer and the feed reader together: `bench` had 77 refusals in 15 s of two saturated partitions. */
export const MEASURED_REFUSALS = 2.5;

/** As ingest's own default (IngestLimits.maxUnsettled). */
export const DEFAULT_MAX_UNSETTLED = 50_000;
