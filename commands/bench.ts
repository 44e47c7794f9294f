import { availableParallelism } from 'node:os';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { confirm } from '../src/cli/confirm.ts';
import { type LiveView, startLiveView } from '../src/cli/live.ts';
import {
  cosmosOptions,
  eventHubsOptions,
  opt,
  redisOptions,
  seedOption,
  yesOption,
} from '../src/cli/options.ts';
import { withSpinner } from '../src/cli/spinner.ts';
import type { Targets } from '../src/config/targets.ts';
import type { ContainerSpec } from '../src/cosmos/containers.ts';
import { parseRuBudget } from '../src/cosmos/writer/ru-budget.ts';
import { type Bench, type BenchResult, startBench } from '../src/pipeline/bench.ts';
import type { BenchServiceOptions, BenchServices } from '../src/pipeline/bench-services.ts';
import { formatCount } from '../src/report/format.ts';
import { reportOfBench } from '../src/report/from-bench.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode } from '../src/util/errors.ts';
import type { WorkloadInput } from '../src/workload/spec.ts';
import { benchView } from './bench-view.ts';
import { publishReport, reportOptions } from './report-output.ts';

const load = { group: 'Load:' } as const;
const pipeline = { group: 'Pipeline:' } as const;

/** About half of two cores: load, pipeline and embedded stack together take some 0.5 ms of CPU per event (2026-11-23). */
const DEFAULT_RATE = '2000/s';
const DEFAULT_EVENTS = 100_000;
/** What 2,500 writes/s of 11 RU need, with room for the hottest of its 7 ranges. */
const LOCAL_THROUGHPUT = 40_000;

const options = {
  rate: opt.ratePerSecond({
    flags: '-r, --rate <n/unit>',
    description: 'arrivals of an open model: they do not wait for the pipeline',
    fallback: DEFAULT_RATE,
    ...load,
  }),
  events: opt.integer({
    flags: '-n, --events <n>',
    description: `events to send (default: ${formatCount(DEFAULT_EVENTS)}, or what --duration gives)`,
    ...load,
  }),
  duration: opt.durationMs({ flags: '-d, --duration <duration>', description: 'how long to send', ...load }),
  stages: opt.text({
    flags: '--stages <list>',
    description: 'linear ramps instead of --rate: 30s:1000/s,2m:5000/s,30s:0/s',
    ...load,
  }),
  keys: opt.integer({
    flags: '--keys <n>',
    description: 'number of partition keys (devices)',
    fallback: '1000',
    ...load,
  }),
  keyDistribution: opt.text({
    flags: '--key-distribution <name>',
    description: 'uniform, zipf:1.1, hotspot:20%/80%, sequential',
    fallback: 'uniform',
    ...load,
  }),
  size: opt.text({
    flags: '--size <size>',
    description: 'size of a body (default: the event of about 1 KB)',
    ...load,
  }),
  seed: seedOption,
  warmup: opt.durationMs({
    flags: '--warmup <duration>',
    description: 'carry the load this long before measuring, 0s for not at all',
    fallback: '3s',
    ...load,
  }),
  producerWorkers: opt.integer({
    flags: '--workers <n>',
    description: 'threads that produce',
    fallback: '1',
    ...load,
  }),
  throughput: opt.integer({
    flags: '--throughput <ru>',
    description: 'RU/s of the container when it is made here (default with the embedded stack: 40000)',
    ...pipeline,
  }),
  indexing: opt.choice(['all', 'none', 'keyOnly'], {
    flags: '--indexing <policy>',
    description: 'indexing policy of the container when it is made here: all, none, keyOnly',
    fallback: 'all',
    ...pipeline,
  }),
  maxRu: opt.custom(parseRuBudget, {
    flags: '--max-ru <n|share>',
    description: 'let ingest stay within 4000 RU/s, or 40% of what is provisioned',
    ...pipeline,
  }),
  cache: opt.flag({ flags: '--no-cache', description: 'end at the change feed, without Redis', ...pipeline }),
  ...reportOptions,
  yes: yesOption,
  ...eventHubsOptions,
  ...cosmosOptions,
  ...redisOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Put a load through Event Hubs -> ingest -> Cosmos DB -> change feed -> Redis, all at once, and verify the result.',
    '',
    'Without a named target it runs against an embedded stack in a process of its own. Every acknowledged event is',
    'looked for in the container, the feed and the cache. Exit codes: 4 for loss, duplication, reordering or',
    'corruption, 99 for a crossed threshold.',
  ].join('\n'),
  examples: [
    'cosmos-pipe bench',
    'cosmos-pipe bench --rate 2000/s --duration 30s -o bench.json',
    "cosmos-pipe bench -t 'e2e_latency:p(99)<250ms' -t 'lost_events:count==0'",
    'cosmos-pipe bench --throughput 10000 --key-distribution zipf:1.1',
  ],
  options,
  run: bench,
});

async function bench(values: Values, context: CommandContext): Promise<ExitCode> {
  const { terminal, clock, signal } = context;
  const withCache = values.cache !== false;
  const targets = await context.targets(
    withCache ? ['eventHubs', 'cosmos', 'redis'] : ['eventHubs', 'cosmos'],
    {
      localByDefault: true,
    },
  );
  const { eventHubs, cosmos, redis } = targets;
  if (eventHubs === undefined || cosmos === undefined) throw new Error('targets() returns what is needed');
  const workload = workloadOf(values);
  if (!targets.local)
    await confirm(terminal, {
      action: `send ${loadText(values)} through ${eventHubs.eventHub} and ${cosmos.database}/${cosmos.container}, which costs money`,
      yes: values.yes === true,
    });
  const run = `bench-${new Date(clock.epochMicros() / 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  terminal.note(header(values, targets, run));
  const container = containerOf(values, targets.local);
  const services = { eventHubs, cosmos, ...(withCache && redis && { redis }) };
  const settings = {
    clock,
    ...(container && { container }),
    producerWorkers: values.producerWorkers,
    ...(values.maxRu !== undefined && { ingestLimits: { ruBudget: values.maxRu } }),
    onProblem: (message: string) => terminal.note(message),
  };
  if (values.warmup > 0 && !signal.aborted)
    await withSpinner(terminal, `warming up for ${formatDurationMs(values.warmup)}`, () =>
      carry(services, { ...settings, run: `${run}-warmup`, workload: warmupOf(values) }, signal),
    );
  const expectedEvents = expectedEventsOf(values);
  const result = await carry(services, { ...settings, run, workload }, signal, (bench, ruPerSecond) =>
    startLiveView(terminal, {
      ...benchView(bench.snapshot, {
        ...(expectedEvents !== undefined && { expectedEvents }),
        ...(ruPerSecond !== undefined && { provisionedRuPerSecond: ruPerSecond }),
      }),
      clock,
    }),
  );
  const report = reportOfBench(result, {
    title: loadText(values),
    toolVersion: context.version,
    env: context.env,
    config: {
      ...workload,
      warmupMs: values.warmup,
      target: targets.local ? 'local' : 'named',
      ...container,
    },
    thresholds: values.threshold,
  });
  const code = await publishReport(report, values.output, context);
  return signal.aborted && code !== ExitCode.Verification ? ExitCode.Interrupted : code;
}

/** One load through all stages, from opening them to the verdict. */
async function carry(
  services: BenchServices,
  options: BenchServiceOptions,
  signal: AbortSignal,
  watch?: (bench: Bench, provisionedRuPerSecond: number | undefined) => LiveView,
): Promise<BenchResult> {
  const { openBenchStages } = await import('../src/pipeline/bench-services.ts');
  const stages = await openBenchStages(services, options);
  try {
    const bench = startBench(stages, {
      run: options.run,
      clock: options.clock,
      signal,
      bodyFields: { key: 'deviceId', sequence: 'deviceSequenceNumber' },
    });
    const view = watch?.(bench, stages.provisionedRuPerSecond);
    return await bench.result.finally(() => view?.stop());
  } finally {
    await stages.close();
  }
}

/** The same events at the same rate under another run id: what is cold (code, connections, caches) is not measured. */
function warmupOf(values: Values): WorkloadInput {
  const { stages: _, ...workload } = workloadOf(values);
  return { ...workload, rate: values.rate, duration: `${values.warmup}ms` };
}

function workloadOf(values: Values): WorkloadInput {
  const events =
    values.events ??
    (values.duration === undefined && values.stages === undefined ? DEFAULT_EVENTS : undefined);
  return {
    ...(values.stages === undefined ? { rate: values.rate } : { stages: values.stages }),
    ...(events !== undefined && { events }),
    ...(values.duration !== undefined && { duration: `${values.duration}ms` }),
    ...(values.size !== undefined && { size: values.size }),
    keys: { count: values.keys, distribution: values.keyDistribution },
    seed: values.seed,
  };
}

function expectedEventsOf({ events, duration, stages, rate }: Values): number | undefined {
  if (events !== undefined) return events;
  if (stages !== undefined) return undefined;
  return duration === undefined ? DEFAULT_EVENTS : Math.round((duration / 1000) * rate);
}

/** A container is only made where it costs nothing, or where somebody said how large it shall be. */
function containerOf(values: Values, local: boolean): ContainerSpec | undefined {
  const throughput = values.throughput ?? (local ? LOCAL_THROUGHPUT : undefined);
  if (throughput === undefined) return undefined;
  return { partitionKeyPath: '/deviceId', throughput, indexing: values.indexing };
}

function loadText(values: Values): string {
  const expected = expectedEventsOf(values);
  const rate =
    values.stages === undefined ? `${formatCount(values.rate)} events/s` : `stages ${values.stages}`;
  return expected === undefined ? rate : `${formatCount(expected)} events at ${rate}`;
}

function header(values: Values, targets: Targets, run: string): string {
  const where = targets.local ? 'embedded stack, same machine' : (targets.cosmos?.endpoint ?? '');
  const stages = ['produce', 'ingest', 'change feed', ...(values.cache === false ? [] : ['redis'])];
  return [
    `    target  ${where}`,
    `  pipeline  ${stages.join(' -> ')}`,
    `      load  open model, ${loadText(values)}`,
    `      data  ${values.size ?? 'about 1 KB'} JSON, ${formatCount(values.keys)} keys, ${values.keyDistribution}, seed ${values.seed}`,
    `       run  ${run}, ${availableParallelism()} cores`,
    '',
  ].join('\n');
}
