import { buildModel, type Provision } from '../src/capacity/build-model.ts';
import { type Cost, costOf } from '../src/capacity/cost.ts';
import { figure, type Sheet } from '../src/capacity/sheet.ts';
import { type Simulation, simulate } from '../src/capacity/simulate.ts';
import { OUTAGE_PARTS, type Outage } from '../src/capacity/simulation-model.ts';
import {
  consumersFor,
  mapOf,
  physicalPartitionsFor,
  sizeHub,
  sizeStore,
  storedGigabytes,
} from '../src/capacity/sizing.ts';
import { billedByAutoscale } from '../src/capacity/store-options.ts';
import { type PipelineTarget, wireBytes } from '../src/capacity/target.ts';
import { amount, counted } from '../src/capacity/text.ts';
import { defineCommand, type OptionValues } from '../src/cli/command.ts';
import { opt } from '../src/cli/options.ts';
import { formatCount } from '../src/report/format.ts';
import { drainSentence, reportOfSimulation } from '../src/report/from-simulation.ts';
import { formatDurationMs, parseDurationMs } from '../src/util/duration.ts';
import { type ExitCode, usageError } from '../src/util/errors.ts';
import { formatKeyDistribution } from '../src/workload/keys.ts';
import { constant, limitTo, parseShape, parseStages, type Shape, stages } from '../src/workload/shape.ts';
import { capacityOptions, targetOf } from './capacity-options.ts';
import { sheetOf } from './prices-option.ts';
import { checkOutputs, publishReport, reportOptions } from './report-output.ts';

const load = { group: 'Load:' } as const;
const pipeline = { group: 'Pipeline:' } as const;

interface NamedOutage extends Outage {
  readonly text: string;
}

const OUTAGE = /^([a-z-]+)@([^@+]+)\+([^@+]+)$/;

/** `ingest@10h+10m`, as the times of faults are written. */
function parseOutage(text: string): NamedOutage {
  const [, name, start = '', duration = ''] = OUTAGE.exec(text) ?? [];
  const part = OUTAGE_PARTS.find((known) => known === name);
  if (part === undefined)
    throw new RangeError(
      `invalid outage "${text}", expected <part>@<start>+<duration>, for example ingest@10h+10m; the parts are ${OUTAGE_PARTS.join(', ')}`,
    );
  const durationMs = parseDurationMs(duration);
  if (durationMs === 0) throw new RangeError(`invalid outage "${text}", expected one of more than 0s`);
  return { text, part, startMs: parseDurationMs(start), durationMs };
}

const options = {
  rate: opt.positiveRatePerSecond({
    flags: '-r, --rate <n/unit>',
    description: 'arrivals of an open model: they do not wait for the pipeline',
    fallback: '1000/s',
    ...load,
  }),
  duration: opt.positiveDurationMs({
    flags: '-d, --duration <duration>',
    description: 'how long events arrive (default: as long as --stages, else 1h)',
    ...load,
  }),
  stages: opt.custom(parseStages, {
    flags: '--stages <list>',
    description: 'linear ramps instead of --rate: 30s:1000/s,2m:5000/s,30s:0/s',
    ...load,
  }),
  shape: opt.custom(parseShape, {
    flags: '--shape <shape>',
    description: 'any other course: sine(100/s,1000/s,1d), spike(1000/s,9000/s,1h,10m)',
    ...load,
  }),
  throughputUnits: opt.count({
    flags: '--throughput-units <n>',
    description: 'throughput units of the namespace (default: enough)',
    ...pipeline,
  }),
  partitions: opt.count({
    flags: '--partitions <n>',
    description: 'partitions of the hub (default: enough)',
    ...pipeline,
  }),
  consumers: opt.count({
    flags: '--consumers <n>',
    description: 'ingest processes (default: enough)',
    ...pipeline,
  }),
  throughput: opt.count({
    flags: '--throughput <ru>',
    description: 'RU/s of the container (default: enough, with headroom for skew)',
    ...pipeline,
  }),
  physicalPartitions: opt.count({
    flags: '--physical-partitions <n>',
    description:
      'of the container (default: what it has when made with --throughput, or needs for its storage)',
    ...pipeline,
  }),
  autoscale: opt.flag({
    flags: '--autoscale',
    description: 'the RU/s are the maximum of autoscale, and billed as it bills them',
    ...pipeline,
  }),
  feedRate: opt.positiveRatePerSecond({
    flags: '--feed-rate <n/unit>',
    description: 'changes that the feed reader can handle (default: all)',
    ...pipeline,
  }),
  cacheRate: opt.positiveRatePerSecond({
    flags: '--cache-rate <n/unit>',
    description: 'entries that the cache writer can write (default: all)',
    ...pipeline,
  }),
  feed: opt.flag({ flags: '--no-feed', description: 'end at the container', ...pipeline }),
  cache: opt.flag({ flags: '--no-cache', description: 'end at the change feed', ...pipeline }),
  hubRetention: opt.positiveDurationMs({
    flags: '--hub-retention <duration>',
    description: 'how long the hub keeps an event',
    fallback: '1d',
    ...pipeline,
  }),
  outage: opt.custom(parseOutage, {
    flags: '--outage <part@start+duration>',
    description: 'event-hubs, ingest, cosmos or feed is down for a while: ingest@10h+10m',
    repeatable: true,
    ...pipeline,
  }),
  ...capacityOptions,
  ...reportOptions,
};

type Given = OptionValues<typeof options>;
type Values = Given & { readonly duration: number };

const HOUR_MS = 3_600_000;

function withDuration(given: Given): Values {
  const ramps = given.stages?.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return { ...given, duration: given.duration ?? ramps ?? HOUR_MS };
}

export const command = defineCommand({
  description: [
    'Predict a run that no test machine can hold: lag, backlog, throttling, drain time, request units, cost and the',
    'bottleneck, for any load and any provisioning. A day at a million events a second takes seconds.',
    '',
    'The result is a report like that of `bench`: it has thresholds, renders to HTML and compares with measured runs.',
    'docs/capacity.md describes the model; docs/performance.md holds it against measured runs.',
  ].join('\n'),
  examples: [
    'cosmos-pipe simulate --rate 1000000/s --duration 1d --keys 1000000 -o day.html',
    'cosmos-pipe simulate --rate 5000/s --throughput 40000 --throughput-units 5',
    "cosmos-pipe simulate --shape 'sine(1000/s,9000/s,1d)' --duration 1d --throughput 50000 -t 'e2e_latency:p(99)<10m'",
    'cosmos-pipe simulate --rate 5000/s --duration 1d --outage ingest@10h+10m -o day.html',
    "cosmos-pipe simulate --rate 8000/s --key-distribution 'zipf(1.2)' --from bench.json",
  ],
  options,
  async run(given, context): Promise<ExitCode> {
    const values = withDuration(given);
    const { terminal, clock, cwd, env, version } = context;
    await checkOutputs(values.output, cwd);
    const sheet = await sheetOf(values.prices, cwd);
    checkFlags(values, sheet);
    const outages = values.outage.map(({ text: spec }) => spec);
    const { shape, meanPerSecond, peakPerSecond, text } = scheduleOf(values);
    const asked = await targetOf(values, { ratePerSecond: meanPerSecond, maxLagMs: 0 }, cwd);
    const target = values.feed === false ? { ...asked, feedReaders: 0 } : asked;
    if (wireBytes(target, sheet) > figure(sheet, 'hubMaxEventBytes'))
      throw usageError(
        `--size: an event of ${amount(wireBytes(target, sheet))} B is larger than the ${amount(figure(sheet, 'hubMaxEventBytes'))} B that Event Hubs takes`,
        'put what is large into a storage account and send where it is',
      );
    const { provision, enough } = provisionOf(values, target, peakPerSecond, sheet);
    terminal.note(header(target, provision, text, outages));
    if (!enough)
      terminal.warn('no throughput is enough for the busiest key or partition: `cosmos-pipe plan` says why');
    const schedule = { shape, durationMs: values.duration };
    const model = { ...buildModel(target, provision, schedule, sheet), outages: values.outage };
    const simulation = simulate(model, clock.epochMicros());
    const report = reportOfSimulation(simulation, model, {
      title: `simulated: ${text}`,
      run: `simulate-${new Date(clock.epochMicros() / 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`,
      startedMs: clock.epochMicros() / 1000,
      toolVersion: version,
      env,
      config: {
        load: text,
        ...provision,
        ruPerWrite: model.store.ruPerWrite,
        stepMs: simulation.stepMs,
        ...(outages.length > 0 && { outages }),
      },
      thresholds: values.threshold,
      cost: costOfRun(values, target, peakPerSecond, provision, simulation, sheet),
      hubRetentionMs: values.hubRetention,
    });
    terminal.note(`  ${drainSentence(simulation)}`);
    return publishReport(report, values.output, context);
  },
});

/** What is wrong with flags together, or against a limit. Throws PipeError E_USAGE. */
function checkFlags({ shape, stages: ramps, outage, duration, partitions = 1 }: Values, sheet: Sheet): void {
  if (shape !== undefined && ramps !== undefined)
    throw usageError(
      '--shape and --stages are two courses of one load',
      'join them in one --shape with " + ", for example "stages(30s:1000/s) + constant(1000/s)"',
    );
  const most = figure(sheet, 'hubDedicatedMaxPartitions');
  if (partitions > most)
    throw usageError(`--partitions: a hub has ${amount(most)} at most, got "${partitions}"`);
  const late = outage.find(({ startMs }) => startMs >= duration);
  if (late !== undefined)
    throw usageError(
      `--outage: ${late.text} begins after the load of ${formatDurationMs(duration)}`,
      'let it begin earlier, or pass a longer --duration',
    );
}

interface NamedSchedule {
  readonly shape: Shape;
  readonly meanPerSecond: number;
  readonly peakPerSecond: number;
  readonly text: string;
}

function scheduleOf({ rate, stages: ramps, shape: given, duration }: Values): NamedSchedule {
  const shape = given ?? (ramps === undefined ? constant(rate) : stages(ramps));
  let peakPerSecond = 0;
  let events = 0;
  for (const { durationMs, fromPerSecond, toPerSecond } of limitTo(shape, duration)()) {
    peakPerSecond = Math.max(peakPerSecond, fromPerSecond, toPerSecond);
    events += ((fromPerSecond + toPerSecond) / 2) * (durationMs / 1000);
  }
  if (events < 0.5)
    throw usageError(
      `no event arrives within --duration (${formatDurationMs(duration)})`,
      'pass a longer --duration, or a higher rate',
    );
  const varies = given !== undefined || ramps !== undefined;
  return {
    shape,
    meanPerSecond: (events * 1000) / duration,
    peakPerSecond,
    text: `${varies ? 'up to ' : ''}${amount(peakPerSecond)} events/s for ${formatDurationMs(duration)}`,
  };
}

/** What the flags say, and enough of everything else for the highest rate. */
function provisionOf(
  values: Values,
  target: PipelineTarget,
  rate: number,
  sheet: Sheet,
): { readonly provision: Provision; readonly enough: boolean } {
  const hub = sizeHub(target, rate, sheet);
  const mode = values.autoscale === true ? 'autoscale' : 'provisioned';
  const size = values.throughput === undefined ? sizeStore(target, rate, mode, sheet) : undefined;
  const ruPerSecond = values.throughput ?? size?.ruPerSecond ?? 0;
  return {
    enough: size?.possible ?? true,
    provision: {
      throughputUnits: values.throughputUnits ?? hub.throughputUnits,
      hubPartitions: values.partitions ?? hub.partitions,
      consumers: values.consumers ?? consumersFor(target, rate),
      ruPerSecond,
      physicalPartitions:
        values.physicalPartitions ??
        size?.physicalPartitions ??
        physicalPartitionsFor(ruPerSecond, mode, sheet),
      ...(values.feedRate !== undefined && { feedPerSecond: values.feedRate }),
      ...(values.cacheRate !== undefined && { cachePerSecond: values.cacheRate }),
      withFeed: target.feedReaders > 0,
      withCache: values.cache !== false,
    },
  };
}

/** What was given: the throughput units of the flag, else the first tier that carries the load. */
function costOfRun(
  values: Values,
  target: PipelineTarget,
  rate: number,
  provision: Provision,
  { events, durationMs, hourPeaksRu }: Simulation,
  sheet: Sheet,
): Cost {
  const { throughputUnits = 1, ruPerSecond, physicalPartitions } = provision;
  const { capture = false, regions } = target;
  const eventsPerHour = (events * HOUR_MS) / durationMs;
  const [enough] = sizeHub(target, rate, sheet).purchases;
  const standard = { tier: 'standard', throughputUnits, ...(capture && { capture }) } as const;
  const load = mapOf(target, 1, physicalPartitions);
  return costOf(
    {
      hub: values.throughputUnits === undefined && enough !== undefined ? enough : standard,
      store:
        values.autoscale === true
          ? {
              mode: 'autoscale',
              maxRuPerSecond: ruPerSecond,
              billedRuPerSecond: billedByAutoscale(
                hourPeaksRu,
                { load, physicalPartitions, ruPerSecond },
                target,
                sheet,
              ).byPartition,
            }
          : { mode: 'provisioned', ruPerSecond },
      eventsPerHour,
      eventBytes: wireBytes(target, sheet),
      storedGb: storedGigabytes(target, sheet),
      ...(regions !== undefined && regions > 1 && { regions }),
    },
    sheet,
    durationMs,
  );
}

function header(
  target: PipelineTarget,
  provision: Provision,
  text: string,
  outages: readonly string[],
): string {
  return [
    `       load  ${text}, ${counted(target.keys, 'key')}, ${formatKeyDistribution(target.distribution)}, ${formatCount(target.bodyBytes)} B each`,
    ` event hubs  ${counted(provision.throughputUnits ?? 0, 'throughput unit')}, ${counted(provision.hubPartitions, 'partition')}`,
    `     ingest  ${counted(provision.consumers, 'consumer')} of ${formatCount(target.consumerPerSecond)} events/s`,
    `  cosmos db  ${formatCount(provision.ruPerSecond)} RU/s in ${counted(provision.physicalPartitions, 'physical partition')}`,
    ...outages.map((outage) => `     outage  ${outage}`),
    '',
  ].join('\n');
}
