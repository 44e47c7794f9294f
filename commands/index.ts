import type { Manifest } from '../src/cli/run.ts';

/** Every subcommand: what the overview says of it, and how to load the rest. */
export const manifest: Manifest = {
  local: {
    summary: 'run the embedded Event Hubs, Cosmos DB, Redis and Event Grid stack',
    group: 'Develop:',
    load: () => import('./local.ts'),
  },
  doctor: {
    summary: 'check Node, configuration, services, clock and limits',
    group: 'Develop:',
    load: () => import('./doctor.ts'),
  },
  events: {
    summary: 'trace events through the local Event Grid, list and replay dead letters',
    group: 'Develop:',
    load: () => import('./events.ts'),
  },
  produce: {
    summary: 'send a seeded load to an event hub',
    group: 'Pipeline:',
    load: () => import('./produce.ts'),
  },
  ingest: {
    summary: 'store the events of an event hub in Cosmos DB',
    group: 'Pipeline:',
    load: () => import('./ingest.ts'),
  },
  backlog: {
    summary: 'show how far a consumer group is behind',
    group: 'Pipeline:',
    load: () => import('./backlog.ts'),
  },
  'tail-feed': {
    summary: 'follow the change feed, filter it, send it on',
    group: 'Pipeline:',
    load: () => import('./tail-feed.ts'),
  },
  publish: {
    summary: 'publish changes, JSON lines or generated events to Event Grid',
    group: 'Pipeline:',
    load: () => import('./publish.ts'),
  },
  receive: {
    summary: 'store the events of Event Grid in Cosmos DB, each once',
    group: 'Pipeline:',
    load: () => import('./receive.ts'),
  },
  warm: {
    summary: 'fill a Redis cache from a container',
    group: 'Cache:',
    load: () => import('./warm.ts'),
  },
  flush: {
    summary: 'delete the keys of a prefix from a Redis cache',
    group: 'Cache:',
    load: () => import('./flush.ts'),
  },
  bench: {
    summary: 'load the whole pipeline at once and verify the result',
    group: 'Measure:',
    load: () => import('./bench.ts'),
  },
  verify: {
    summary: 'prove that every event is stored once and in order',
    group: 'Measure:',
    load: () => import('./verify.ts'),
  },
  report: {
    summary: 'render saved reports, add up shards',
    group: 'Measure:',
    load: () => import('./report.ts'),
  },
  compare: {
    summary: 'compare reports and fail on a regression',
    group: 'Measure:',
    load: () => import('./compare.ts'),
  },
  plan: {
    summary: 'size a pipeline and find the cheapest way to buy it',
    group: 'Measure:',
    load: () => import('./plan.ts'),
  },
  simulate: {
    summary: 'predict lag, throttling, drain time and cost of any load',
    group: 'Measure:',
    load: () => import('./simulate.ts'),
  },
  invalidate: {
    summary: 'keep a Redis cache true to a container, change by change',
    group: 'Cache:',
    load: () => import('./invalidate.ts'),
  },
  serve: {
    summary: 'serve the items of a container over HTTP through the cache',
    group: 'Cache:',
    load: () => import('./serve.ts'),
  },
  stats: {
    summary: 'show hit rate, memory, prefixes and hot keys of a Redis cache',
    group: 'Cache:',
    load: () => import('./stats.ts'),
  },
  cache: {
    summary: 'compare a cache with its container',
    group: 'Cache:',
    load: () => import('./cache.ts'),
  },
};
