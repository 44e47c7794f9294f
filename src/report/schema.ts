import { z } from 'zod';
import { Histogram } from '../metrics/histogram.ts';
import { PipeError } from '../util/errors.ts';
import { RUN_REPORT_VERSION, type RunReport } from './run-report.ts';

const count = z.int().min(0);
const amount = z.number().min(0);
const series = z.array(z.number());
const counts = z.record(z.string(), count);

function isHistogram(encoded: string): boolean {
  try {
    Histogram.decode(encoded);
    return true;
  } catch {
    return false;
  }
}

const histogram = z
  .strictObject({
    count,
    minMs: amount,
    meanMs: amount,
    p50Ms: amount,
    p90Ms: amount,
    p95Ms: amount,
    p99Ms: amount,
    p999Ms: amount,
    maxMs: amount,
    histogramMicros: z
      .string()
      .refine(isHistogram, 'Invalid histogram')
      .describe('HdrHistogram V2, compressed, base64; microseconds, three significant digits'),
  })
  .describe(
    'A distribution in milliseconds, with the histogram that distributions of several runs are added by',
  );

const stage = z.strictObject({
  name: z.string(),
  startedMicros: amount.describe('microseconds since the Unix epoch; the zero of the series'),
  activeMs: amount.describe('from the first to the last work'),
  offered: count.describe('work the stage was asked to do'),
  done: count,
  sizeBytes: amount,
  failed: count,
  errors: counts.describe('failures by kind'),
  throttled: count.describe('replies that asked to slow down'),
  inFlightMax: count,
  offeredPerSecond: amount,
  donePerSecond: amount,
  serviceTime: histogram.describe('from starting a piece of work to its end'),
  latency: histogram.describe('from the intended send time of an event to the end of this stage'),
  series: z
    .strictObject({
      intervalMs: amount,
      offered: series,
      done: series,
      failed: series,
      throttled: series,
      inFlightMax: series,
      latencyP50Ms: series,
      latencyP99Ms: series,
    })
    .describe('one value per interval; a percentile is that of the worst second of the interval'),
});

const ru = z.strictObject({
  startedMicros: amount,
  intervalMs: amount,
  requestCharge: amount,
  throttled: count,
  perSecond: amount,
  busiestPerSecond: amount,
  operations: z.record(z.string(), z.strictObject({ count, requestCharge: amount })),
  ranges: z
    .record(
      z.string(),
      z.strictObject({
        requestCharge: amount,
        throttled: count,
        requestChargeSeries: series,
        throttledSeries: series,
        alike: count
          .optional()
          .describe('ranges of about the same load that are added up here, 1 when absent'),
      }),
    )
    .describe('by partition key range id; * where a reply named none'),
  provisionedPerSecond: amount.optional(),
  perWrite: amount.optional(),
});

const usage = z
  .strictObject({
    hub: z.discriminatedUnion('tier', [
      z.strictObject({
        tier: z.literal('standard'),
        throughputUnits: amount,
        capture: z.boolean().optional(),
      }),
      z.strictObject({ tier: z.literal('premium'), processingUnits: amount }),
      z.strictObject({ tier: z.literal('dedicated'), capacityUnits: amount }),
    ]),
    store: z.discriminatedUnion('mode', [
      z.strictObject({ mode: z.literal('provisioned'), ruPerSecond: amount }),
      z.strictObject({ mode: z.literal('autoscale'), maxRuPerSecond: amount, billedRuPerSecond: amount }),
      z.strictObject({ mode: z.literal('serverless'), ruPerHour: amount }),
    ]),
    eventsPerHour: amount,
    eventBytes: amount,
    storedGb: amount,
    regions: count.optional(),
  })
  .describe('what is priced, so that `report --prices` can price it again');

const cost = z
  .strictObject({
    currency: z.string(),
    prices: z.string().describe('which price sheet'),
    items: z.array(z.strictObject({ name: z.string(), perHour: amount, why: z.string() })),
    perHour: amount,
    perMillionEvents: amount,
    perMonth: amount.describe('730 hours'),
    run: amount,
    usage: usage.optional(),
  })
  .describe('estimate by list prices');

const anomalyCounts = z.strictObject({
  lost: count,
  duplicated: count,
  outOfOrder: count,
  late: count,
  corrupted: count,
  unexpected: count,
});

const place = z.enum(['store', 'feed', 'cache']);

const verdict = z.strictObject({
  ok: z.boolean().describe('nothing lost, duplicated, out of order, late or corrupted'),
  acknowledged: count,
  ledger: z.enum(['complete', 'incomplete', 'none']),
  places: z.array(
    z.strictObject({
      place,
      observed: count,
      events: count,
      counts: anomalyCounts,
      redelivered: count,
      rewritten: count.describe('shown behind later events because they were written again: order unknown'),
    }),
  ),
  totals: anomalyCounts,
  examples: z.array(
    z.strictObject({
      kind: z.enum(['lost', 'duplicated', 'outOfOrder', 'late', 'corrupted', 'unexpected']),
      place,
      run: z.string(),
      key: z.string(),
      sequence: z.int(),
      untilSequence: z.int().optional(),
      id: z.string().optional(),
      lastSeen: z.string(),
      detail: z.string(),
    }),
  ),
  injected: counts.describe(
    'misbehaviour that the producer injected on purpose, `resent`: events sent again after a lost answer, and `unknown`: events given up without an answer',
  ),
  latency: z.strictObject({ enqueue: histogram, ingest: histogram, feed: histogram, endToEnd: histogram }),
});

const threshold = z.strictObject({
  expression: z.string(),
  metric: z.string(),
  aggregation: z.string(),
  operator: z.enum(['<', '<=', '>', '>=', '==', '!=']),
  limit: z.number(),
  actual: z.number().optional().describe('absent when the run has no such metric'),
  ok: z.boolean(),
});

const drifted = z
  .strictObject({ early: amount, late: amount, change: z.number().describe('of early, 0.1 is 10 % more') })
  .describe('medians of the first and of the last quarter of the load, without its first tenth');

const runReport = z
  .strictObject({
    schemaVersion: z.literal(RUN_REPORT_VERSION),
    kind: z.enum(['bench', 'verify', 'simulate']),
    toolVersion: z.string(),
    run: z.string().describe('run id, the same as in the ledger and in the stored envelopes'),
    title: z.string(),
    startedAt: z.iso.datetime(),
    durationMs: amount,
    valid: z.boolean().describe('false when the figures cannot be trusted, see doubts'),
    doubts: z.array(z.string()),
    environment: z.strictObject({
      node: z.string(),
      platform: z.string(),
      cpuModel: z.string(),
      cpuCount: count,
      memoryBytes: amount,
      ci: z.boolean(),
      commit: z.string().optional(),
    }),
    config: z.record(z.string(), z.unknown()).describe('effective settings, secrets left out'),
    load: z
      .strictObject({
        requestedEvents: count.optional(),
        requestedPerSecond: amount.optional(),
        achievedPerSecond: amount,
        sent: count,
        dropped: count,
        late: count,
        scheduling: histogram
          .optional()
          .describe('scheduling error: how late the generator took up arrivals'),
        hottestKey: z
          .strictObject({ key: z.string(), events: count })
          .optional()
          .describe('the partition key of most events; absent when several have as many'),
      })
      .optional(),
    stages: z.array(stage).describe('in pipeline order'),
    endToEnd: histogram.optional(),
    ru: ru.optional(),
    cost: cost.optional(),
    verdict: verdict.optional(),
    thresholds: z.array(threshold),
    bottleneck: z
      .strictObject({
        stage: z.string(),
        reason: z.enum(['saturated', 'throttled', 'latency']),
        sentence: z.string(),
      })
      .optional(),
    process: z
      .strictObject({
        eventLoopDelayP50Ms: amount,
        eventLoopDelayP99Ms: amount,
        eventLoopDelayMaxMs: amount,
        cpuUserMs: amount,
        cpuSystemMs: amount,
        rssMaxBytes: amount,
        rssSeries: z
          .strictObject({ intervalMs: amount, bytes: series })
          .optional()
          .describe('memory of the measuring process over time, the greatest value of each interval'),
      })
      .optional(),
    drift: z
      .strictObject({
        sentence: z.string(),
        growing: z.array(z.enum(['memory', 'latency', 'backlog'])),
        memory: drifted
          .extend({ perHour: z.number().optional() })
          .optional()
          .describe('bytes of the measuring process; per hour for loads of ten minutes or more'),
        latency: drifted.optional().describe('milliseconds: p99 of a second, end of the last stage'),
        backlog: drifted.optional().describe('events due and not through'),
      })
      .optional()
      .describe(
        'whether anything grew under a load that did not; absent for short runs and loads that change',
      ),
    repeats: z
      .strictObject({
        runs: z.array(z.string()),
        metrics: z.array(
          z.strictObject({
            metric: z.string(),
            aggregation: z.string(),
            median: z.number(),
            min: z.number(),
            max: z.number(),
          }),
        ),
      })
      .optional()
      .describe('of bench --repeat: this report is of the median run'),
    search: z
      .strictObject({
        ratePerSecond: amount,
        held: count,
        runs: count,
        failedPerSecond: amount.optional(),
        failedReason: z.string().optional(),
        failedRuns: count.optional(),
        range: z
          .strictObject({ fromPerSecond: amount, toPerSecond: amount.optional() })
          .optional()
          .describe('up to the first nothing that was tried failed, from the second on nothing held'),
        generatorLimited: z.boolean(),
        complete: z.boolean(),
        trials: z.array(
          z.strictObject({
            ratePerSecond: amount,
            held: z.boolean(),
            reason: z.string().optional(),
            generatorLimited: z.boolean().optional(),
          }),
        ),
      })
      .optional()
      .describe('of bench --find-max: this report is of a run at the rate found'),
  })
  .describe('Report of one measured run of cosmos-pipe');

/** The JSON Schema of a run report, as it is published in the package. */
export function runReportJsonSchema(): Record<string, unknown> {
  return {
    $id: 'urn:cosmos-pipe:run-report:1',
    title: 'cosmos-pipe run report, version 1',
    ...z.toJSONSchema(runReport),
  };
}

/** Checks a document read from outside. Throws PipeError E_CONFIG that names the first wrong member. */
export function parseRunReport(document: unknown, origin: string): RunReport {
  const parsed = runReport.safeParse(document);
  // The schema says `absent or a number` where the type, for exactOptionalPropertyTypes, says `absent`: JSON knows no undefined.
  if (parsed.success) return parsed.data as RunReport;
  // Members may be added within a version, and a comparison meets reports of newer builds.
  const issue = parsed.error.issues.find(({ code }) => code !== 'unrecognized_keys');
  if (issue === undefined) return document as RunReport;
  const version = (document as { readonly schemaVersion?: unknown } | null)?.schemaVersion;
  if (typeof version === 'number' && version > RUN_REPORT_VERSION)
    throw new PipeError(
      'E_CONFIG',
      `${origin} is a run report of version ${version}, and this cosmos-pipe reads version ${RUN_REPORT_VERSION}`,
      { hint: 'install the one that wrote it: npm install cosmos-pipe@latest' },
    );
  const where = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  throw new PipeError(
    'E_CONFIG',
    `${origin} is not a run report of version ${RUN_REPORT_VERSION} (${where}${issue.message})`,
    { hint: 'write one with: cosmos-pipe bench -o bench.json' },
  );
}
