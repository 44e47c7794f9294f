import { resolve } from 'node:path';
import { FIGURE_NAMES, type Sheet } from '../src/capacity/sheet.ts';
import type { PipelineTarget } from '../src/capacity/target.ts';
import type { OptionValues } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { measuredBy, saturatedIngestRate } from '../src/report/measured.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { usageError } from '../src/util/errors.ts';
import { parseKeyDistribution } from '../src/workload/keys.ts';
import { pricesOption } from './prices-option.ts';

const load = { group: 'Load:' } as const;
const pipeline = { group: 'Pipeline:' } as const;
const basis = { group: 'Basis:' } as const;

/** What the telemetry event of streaming-at-scale has: 29 values in the body and the id; ingest keeps its own field out. */
const TELEMETRY_TERMS = '30';
const TELEMETRY_BYTES = '906';
/** An assumption that leaves room: how fast a consumer is depends on its machine, see `npm run bench -- ingest`. */
const CONSUMER_RATE = '10000/s';
/** The same assumption for large events, whose bytes are the work. */
const CONSUMER_BYTES = 20e6;

/** Options that `plan` and `simulate` share: what is to be carried, and what the figures rest on. */
export const capacityOptions = {
  size: opt.bytes({
    flags: '--size <size>',
    description: 'size of an event body (default: the telemetry event)',
    fallback: TELEMETRY_BYTES,
    ...load,
  }),
  keys: opt.count({
    flags: '--keys <n>',
    description: 'number of partition keys (devices)',
    fallback: '1000',
    ...load,
  }),
  keyDistribution: opt.custom(parseKeyDistribution, {
    flags: '--key-distribution <name>',
    description: 'uniform, zipf(1.1), hotspot(20/80), sequential',
    fallback: 'uniform',
    ...load,
  }),
  indexedTerms: opt.integer({
    flags: '--indexed-terms <n>',
    description: 'indexed values of an item: 30 is the telemetry event with everything indexed',
    fallback: TELEMETRY_TERMS,
    ...pipeline,
  }),
  reads: opt.ratePerSecond({
    flags: '--reads <n/unit>',
    description: 'point reads of items from outside the pipeline',
    fallback: '0/s',
    ...load,
  }),
  feedReaders: opt.integer({
    flags: '--feed-readers <n>',
    description: 'readers of the change feed, each of which reads every change',
    fallback: '1',
    ...pipeline,
  }),
  consumerGroups: opt.count({
    flags: '--consumer-groups <n>',
    description: 'consumer groups of the hub, each of which reads every event',
    fallback: '1',
    ...pipeline,
  }),
  consumerRate: opt.positiveRatePerSecond({
    flags: '--consumer-rate <n/unit>',
    description: `events that one ingest process can carry (default: ${CONSUMER_RATE}, or 20 MB/s when that is less)`,
    ...pipeline,
  }),
  retention: opt.positiveDurationMs({
    flags: '--retention <duration>',
    description: 'how long an item is kept in Cosmos DB',
    fallback: '7d',
    ...pipeline,
  }),
  regions: opt.count({
    flags: '--regions <n>',
    description: 'regions that the Cosmos DB account replicates to, each of which is paid',
    fallback: '1',
    ...pipeline,
  }),
  capture: opt.flag({
    flags: '--capture',
    description: 'Event Hubs Capture is on, which Standard pays by the throughput unit',
    ...pipeline,
  }),
  from: opt.text({
    flags: '--from <report.json>',
    description: 'take RU, sizes, latencies and a saturated rate from a measured run',
    ...basis,
  }),
  prices: pricesOption,
};

type Values = OptionValues<typeof capacityOptions>;

/** The target of the flags and the report. The rate and what depends on it are the command's own. */
export async function targetOf(
  values: Values,
  own: Pick<PipelineTarget, 'ratePerSecond' | 'peak' | 'maxLagMs'>,
  cwd: string,
): Promise<PipelineTarget> {
  const report = values.from === undefined ? undefined : await reportAt(resolve(cwd, values.from));
  if (report?.kind === 'simulate')
    throw usageError(
      `--from: ${values.from} is a prediction, and nothing was measured in it`,
      'measure a run with: cosmos-pipe bench -o bench.json',
    );
  const measured = report && measuredBy(report, values.from as string);
  const saturated = report && saturatedIngestRate(report);
  return {
    ...own,
    bodyBytes: values.size,
    keys: values.keys,
    distribution: values.keyDistribution,
    indexedTerms: values.indexedTerms,
    retentionMs: values.retention,
    readsPerSecond: values.reads,
    feedReaders: values.feedReaders,
    consumerGroups: values.consumerGroups,
    regions: values.regions,
    capture: values.capture === true,
    consumerPerSecond:
      values.consumerRate ??
      saturated ??
      Math.min(Number.parseInt(CONSUMER_RATE, 10), CONSUMER_BYTES / Math.max(1, values.size)),
    ...(measured && { measured }),
  };
}

/** The schema of a report is loaded only to read one. */
async function reportAt(path: string): Promise<RunReport> {
  const { readReport } = await import('../src/report/read.ts');
  return readReport(path);
}

/** Every figure with its value and source, as a file for `--prices`. */
export function pricesTemplate({ name, currency, figures }: Sheet): string {
  const lines = FIGURE_NAMES.map((key) => `  ${key}: ${figures[key].value} # ${figures[key].source}`);
  return [`name: ${JSON.stringify(name)}`, `currency: ${currency}`, 'figures:', ...lines].join('\n');
}
