import { mapLoad } from '../../src/capacity/load-map.ts';
import type { PipelineModel } from '../../src/capacity/simulation-model.ts';
import type { PipelineTarget } from '../../src/capacity/target.ts';
import { constant } from '../../src/workload/shape.ts';

const LATENCY = { p50Ms: 10, p99Ms: 40 };

export interface ModelShape {
  readonly rate?: number;
  readonly durationMs?: number;
  readonly ruPerSecond?: number;
  readonly physicalPartitions?: number;
  readonly keys?: number;
  readonly overrides?: Partial<PipelineModel>;
}

/** 1,000 events/s for ten seconds at 10 RU and 1 RU for the feed, with whatever is given. */
export function sampleModel(shape: ModelShape = {}): PipelineModel {
  const {
    rate = 1_000,
    durationMs = 10_000,
    ruPerSecond = Number.POSITIVE_INFINITY,
    physicalPartitions = 1,
    keys = 1_000,
  } = shape;
  return {
    schedule: { shape: constant(rate), durationMs },
    load: mapLoad({ keys, distribution: { kind: 'uniform' }, hubPartitions: 4, physicalPartitions }),
    hub: { ingressPerSecond: Number.POSITIVE_INFINITY, egressPerSecond: Number.POSITIVE_INFINITY },
    producer: { capacityPerSecond: Number.POSITIVE_INFINITY },
    ingest: { consumers: 1, capacityPerSecond: 1e6, maxUnsettled: 50_000 },
    store: { ruPerSecond, physicalPartitions, ruPerWrite: 10, refusedPerSecond: 3 },
    feed: { capacityPerSecond: Number.POSITIVE_INFINITY, ruPerChange: 1 },
    cache: { capacityPerSecond: Number.POSITIVE_INFINITY },
    latency: { produce: LATENCY, ingest: LATENCY, feed: LATENCY, cache: LATENCY },
    maxDrainMs: 3_600_000,
    ...shape.overrides,
  };
}

export function sampleTarget(overrides: Partial<PipelineTarget> = {}): PipelineTarget {
  return {
    ratePerSecond: 5_000,
    bodyBytes: 906,
    keys: 20_000,
    distribution: { kind: 'uniform' },
    indexedTerms: 30,
    retentionMs: 86_400_000,
    readsPerSecond: 0,
    feedReaders: 1,
    consumerGroups: 1,
    consumerPerSecond: 10_000,
    maxLagMs: 60_000,
    ...overrides,
  };
}
