import type { OptionValues } from '../src/cli/command.ts';
import {
  checked,
  cosmosOptions,
  eventHubsOptions,
  opt,
  parseWhole,
  redisOptions,
  yesOption,
} from '../src/cli/options.ts';
import { parseRuBudget } from '../src/cosmos/writer/ru-budget.ts';
import { parseFault } from '../src/local/faults/grammar.ts';
import { formatCount } from '../src/report/format.ts';
import { parseKeyDistribution } from '../src/workload/keys.ts';
import { MAX_KEYS, MAX_SEED } from '../src/workload/limits.ts';
import { SCENARIOS } from '../src/workload/scenarios.ts';
import { parseStages } from '../src/workload/shape.ts';
import { parseSize } from '../src/workload/size.ts';
import { pricesOption } from './prices-option.ts';
import { reportOptions } from './report-output.ts';

const load = { group: 'Load:' } as const;
const pipeline = { group: 'Pipeline:' } as const;
const scenario = { group: 'Scenario:' } as const;
const runs = { group: 'Runs:' } as const;

/** Half of two cores: load, pipeline and embedded stack together take some 0.4 ms of CPU per event (2026-11-23). */
export const DEFAULT_RATE = 2_000;
export const DEFAULT_EVENTS = 100_000;
/** What 2,000 writes/s of 11 RU need, with room for the hottest of its 7 ranges. */
export const LOCAL_THROUGHPUT = 40_000;

// Values that a scenario may give have no fallback, so that a flag can be told from a default.
export const benchOptions = {
  scenario: opt.text({
    flags: '--scenario <name>',
    description: `a ready-made load: ${Object.keys(SCENARIOS).join(', ')}, cache, events; or one of scenarios: in pipeline.yaml`,
    ...scenario,
  }),
  fault: opt.custom(checked(parseFault), {
    flags: '--fault <spec>',
    description: 'disturb the embedded stack, times from the start of the load: cosmos:throttle=5%@10s+5s',
    repeatable: true,
    ...scenario,
  }),
  rate: opt.positiveRatePerSecond({
    flags: '-r, --rate <n/unit>',
    description: `arrivals of an open model: they do not wait for the pipeline (default: ${DEFAULT_RATE}/s)`,
    ...load,
  }),
  events: opt.count({
    flags: '-n, --events <n>',
    description: `events to send (default: ${formatCount(DEFAULT_EVENTS)}, or what --duration gives)`,
    ...load,
  }),
  duration: opt.positiveDurationMs({
    flags: '-d, --duration <duration>',
    description: 'how long to send',
    ...load,
  }),
  stages: opt.custom(checked(parseStages), {
    flags: '--stages <list>',
    description:
      'ramps, each from the rate before it (the first from --rate or 0): 30s:1000/s,2m:5000/s,30s:0/s',
    ...load,
  }),
  keys: opt.custom((text) => parseWhole(text, 1, MAX_KEYS), {
    flags: '--keys <n>',
    description: 'number of partition keys (devices) (default: 1,000)',
    ...load,
  }),
  keyDistribution: opt.custom(checked(parseKeyDistribution), {
    flags: '--key-distribution <kind>',
    description: 'uniform, zipf(1.1), hotspot(20/80), sequential (default: uniform)',
    ...load,
  }),
  size: opt.custom(checked(parseSize), {
    flags: '--size <size>',
    description: 'size of a body (default: the event of about 1 KB)',
    ...load,
  }),
  seed: opt.custom((text) => parseWhole(text, 0, MAX_SEED), {
    flags: '--seed <n>',
    description: 'seed of everything random; same seed, same events (default: 1)',
    ...load,
  }),
  warmup: opt.durationMs({
    flags: '--warmup <duration>',
    description: 'carry the load this long before measuring, 0s for not at all (default: 3s)',
    ...load,
  }),
  workers: opt.threads({
    flags: '--workers <n>',
    description: 'threads that produce',
    fallback: '1',
    ...load,
  }),
  throughput: opt.count({
    flags: '--throughput <ru>',
    description: `RU/s of the container when it is made here (default with the embedded stack: ${LOCAL_THROUGHPUT})`,
    ...pipeline,
  }),
  indexing: opt.choice(['all', 'none', 'keyOnly'], {
    flags: '--indexing <policy>',
    description: 'indexing policy of the container when it is made here: all, none, keyOnly (default: all)',
    ...pipeline,
  }),
  maxRu: opt.custom(parseRuBudget, {
    flags: '--max-ru <n|share>',
    description: 'let ingest stay within 4000 RU/s, or 40% of what is provisioned',
    ...pipeline,
  }),
  cache: opt.flag({ flags: '--no-cache', description: 'end at the change feed, without Redis', ...pipeline }),
  repeat: opt.count({
    flags: '--repeat <n>',
    description: 'run the load several times; the report is of the median run, with the noise beside it',
    fallback: '1',
    ...runs,
  }),
  findMax: opt.flag({
    flags: '--find-max',
    description:
      'search the highest rate that holds the thresholds without a growing backlog, from --rate upwards',
    ...runs,
  }),
  trial: opt.positiveDurationMs({
    flags: '--trial <duration>',
    description: 'how long --find-max carries each rate after its warm-up',
    fallback: '10s',
    ...runs,
  }),
  maxTrials: opt.count({
    flags: '--max-trials <n>',
    description: 'after so many runs --find-max reports what it has',
    fallback: '24',
    ...runs,
  }),
  abortOnFail: opt.flag({
    flags: '--abort-on-fail',
    description: 'stop the load as soon as a threshold is crossed',
    ...runs,
  }),
  ...reportOptions,
  prices: pricesOption,
  yes: yesOption,
  ...eventHubsOptions,
  ...cosmosOptions,
  ...redisOptions,
};

export type BenchValues = OptionValues<typeof benchOptions>;
