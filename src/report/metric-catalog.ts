import type { RuOperation } from '../metrics/types.ts';

export type MetricUnit = 'ms' | 'events/s' | 'events' | 'RU' | 'RU/s' | 'share' | 'money' | 'bytes';

/** What a metric is, whether or not a run has measured it. */
export interface MetricKind {
  readonly unit: MetricUnit;
  readonly aggregations: readonly string[];
  /** Has a histogram, and so answers any `p(N)` too. */
  readonly distribution?: true;
}

/** Stages of the pipeline, in its order: the first part of the name of their metrics. */
export const STAGE_NAMES = ['produce', 'ingest', 'feed', 'cache'] as const;

const OPERATIONS: readonly RuOperation[] = [
  'create',
  'upsert',
  'replace',
  'patch',
  'delete',
  'read',
  'query',
  'changeFeed',
  'metadata',
];

const LATENCY: MetricKind = {
  unit: 'ms',
  aggregations: ['min', 'avg', 'med', 'max', 'count'],
  distribution: true,
};
const COUNTER: MetricKind = { unit: 'events', aggregations: ['count', 'rate'] };

const STAGE: Readonly<Record<string, MetricKind>> = {
  latency: LATENCY,
  service_time: LATENCY,
  rate: { unit: 'events/s', aggregations: ['avg', 'min', 'max'] },
  offered_rate: { unit: 'events/s', aggregations: ['avg'] },
  events: { unit: 'events', aggregations: ['count'] },
  bytes: { unit: 'bytes', aggregations: ['sum'] },
  in_flight: { unit: 'events', aggregations: ['max'] },
  errors: COUNTER,
  throttled: COUNTER,
};

/** Every metric that some report can have, by name; docs/report-schema.md explains them. */
export const METRICS: ReadonlyMap<string, MetricKind> = new Map<string, MetricKind>([
  ['e2e_latency', LATENCY],
  ...STAGE_NAMES.flatMap((stage) =>
    Object.entries(STAGE).map(([figure, kind]): [string, MetricKind] => [`${stage}_${figure}`, kind]),
  ),
  ['hop_enqueue', LATENCY],
  ['hop_ingest', LATENCY],
  ['hop_feed', LATENCY],
  ['hop_e2e', LATENCY],
  ['scheduling_error', LATENCY],
  ['sent_rate', { unit: 'events/s', aggregations: ['avg'] }],
  ['max_rate', { unit: 'events/s', aggregations: ['max'] }],
  ['dropped_events', COUNTER],
  ['late_arrivals', COUNTER],
  ['hottest_key', COUNTER],
  ['lost_events', COUNTER],
  ['duplicated_events', COUNTER],
  ['out_of_order_events', COUNTER],
  ['late_events', COUNTER],
  ['corrupted_events', COUNTER],
  ['unexpected_events', COUNTER],
  ['redelivered_events', COUNTER],
  ['rewritten_events', COUNTER],
  ['throttled', COUNTER],
  ['throttled_time', { unit: 'ms', aggregations: ['sum'] }],
  ['ru', { unit: 'RU', aggregations: ['avg', 'sum'] }],
  ...OPERATIONS.map((operation): [string, MetricKind] => [
    `ru_${operation.replace('changeFeed', 'change_feed')}`,
    { unit: 'RU', aggregations: ['avg', 'sum', 'count'] },
  ]),
  ['ru_rate', { unit: 'RU/s', aggregations: ['avg', 'max'] }],
  ['ru_used', { unit: 'share', aggregations: ['avg', 'max'] }],
  ['hottest_range', { unit: 'share', aggregations: ['rate'] }],
  ['backlog', { unit: 'events', aggregations: ['max'] }],
  ['drain_time', { unit: 'ms', aggregations: ['max'] }],
  ['duration', { unit: 'ms', aggregations: ['max'] }],
  ['latency_drift', { unit: 'share', aggregations: ['rate'] }],
  ['backlog_drift', { unit: 'events', aggregations: ['count'] }],
  ['memory_drift', { unit: 'bytes', aggregations: ['rate', 'hour'] }],
  ['memory', { unit: 'bytes', aggregations: ['max'] }],
  ['cpu_time', { unit: 'ms', aggregations: ['sum'] }],
  ['loop_delay', { unit: 'ms', aggregations: ['med', 'p(50)', 'p(99)', 'max'] }],
  ['cost', { unit: 'money', aggregations: ['run', 'hour', 'month', 'million'] }],
]);

/** Whether a metric answers an aggregation: `p(99.9)` of a distribution, and those that are listed. */
export function hasAggregation(kind: MetricKind, aggregation: string): boolean {
  if (kind.aggregations.includes(aggregation)) return true;
  const percentile = /^p\((\d+(?:\.\d+)?)\)$/.exec(aggregation)?.[1];
  return kind.distribution === true && percentile !== undefined && Number(percentile) <= 100;
}

/** What may stand behind the name of a metric, for a person. */
export function aggregationsOf({ aggregations, distribution }: MetricKind): readonly string[] {
  return distribution ? [...aggregations, 'p(N)'] : aggregations;
}

/** The names most like one that is not known, the likeliest first; none where nothing is near. */
export function nearMetrics(name: string): string[] {
  const wanted = name.replaceAll('-', '_').toLowerCase();
  return [...METRICS.keys()]
    .map((known) => ({ known, distance: unlikeness(wanted, known) }))
    .filter(({ distance }) => distance <= 3)
    .sort((a, b) => a.distance - b.distance)
    .filter(({ distance }, _, [best]) => distance <= (best?.distance ?? 0) + 1)
    .slice(0, 3)
    .map(({ known }) => known);
}

/** Edits between two names; those with a part in common, as `latency`, are near however long the rest is. */
function unlikeness(wanted: string, known: string): number {
  const lower = known.toLowerCase();
  if (wanted === lower) return 0;
  if (wanted.length >= 3 && (lower.includes(wanted) || wanted.includes(lower))) return 2;
  let row = Array.from({ length: lower.length + 1 }, (_, column) => column);
  for (let line = 1; line <= wanted.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= lower.length; column += 1) {
      const same = wanted[line - 1] === lower[column - 1];
      next.push(
        Math.min(
          (row[column] as number) + 1,
          (next[column - 1] as number) + 1,
          (row[column - 1] as number) + (same ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row.at(-1) as number;
}
