import { resolve } from 'node:path';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { commandLine } from '../src/cli/command-line.ts';
import { startLiveView } from '../src/cli/live.ts';
import { cosmosOptions, eventHubsOptions, opt, untilIdleOption } from '../src/cli/options.ts';
import type { CosmosTarget, EventHubsTarget } from '../src/config/targets.ts';
import { parseRuBudget } from '../src/cosmos/writer/ru-budget.ts';
import { DEFAULT_OWNERSHIP_EXPIRY_MS, DEFAULT_REBALANCE_MS } from '../src/eventhubs/processor-balance.ts';
import { parseStartFrom } from '../src/eventhubs/processor-position.ts';
import { createRuRecorder } from '../src/metrics/ru-recorder.ts';
import { createStageRecorder } from '../src/metrics/stage-recorder.ts';
import {
  type DeadLetterSpec,
  openDeadLetter,
  openDeadLetterArchive,
  parseDeadLetterSpec,
} from '../src/pipeline/dead-letter/open.ts';
import { type CheckpointSpec, parseCheckpointSpec } from '../src/pipeline/ingest/checkpoint-open.ts';
import { openWhenReachable } from '../src/pipeline/ingest/connect.ts';
import { replayDeadLetters } from '../src/pipeline/ingest/dead-letter-replay.ts';
import { startHealthServer } from '../src/pipeline/ingest/health.ts';
import { openIngestStore } from '../src/pipeline/ingest/store.ts';
import { startTelemetry } from '../src/pipeline/ingest/telemetry.ts';
import type { IngestOptions, IngestProgress } from '../src/pipeline/ingest/types.ts';
import { ingestWithWorkers } from '../src/pipeline/ingest/workers.ts';
import type { MappingOptions } from '../src/pipeline/mapping/mapping.ts';
import { formatCount } from '../src/report/format.ts';
import { formatTable } from '../src/report/table.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';
import { ingestLog } from './ingest-log.ts';
import { notifyOptions, openMilestones } from './ingest-notify.ts';
import {
  heartbeatLine,
  latencyText,
  type ProgressRates,
  progressLines,
  rateMeter,
  summaryText,
} from './ingest-view.ts';

const reading = { group: 'Reading:' } as const;
const mapping = { group: 'Mapping:' } as const;
const writing = { group: 'Writing:' } as const;
const ending = { group: 'Ending:' } as const;
const operation = { group: 'Operation:' } as const;

const options = {
  ...eventHubsOptions,
  ...cosmosOptions,
  from: opt.text({
    flags: '--from <position>',
    description: 'where to start without a checkpoint: earliest, latest, <sequence>, -10m, <time>',
    fallback: 'earliest',
    ...reading,
  }),
  restart: opt.flag({
    flags: '--restart',
    description: 'start at --from although there are checkpoints',
    ...reading,
  }),
  checkpoints: opt.text({
    flags: '--checkpoints <store>',
    description: 'file:<folder>, cosmos[:<container>], blob:<container or URL>, or memory',
    fallback: 'file:.cosmos-pipe/checkpoints',
    ...reading,
  }),
  checkpointEvents: opt.count({
    flags: '--checkpoint-events <n>',
    description: 'save a checkpoint after this many durable events of a partition',
    fallback: '1000',
    ...reading,
  }),
  checkpointInterval: opt.positiveDurationMs({
    flags: '--checkpoint-interval <duration>',
    description: 'save a checkpoint at least this often',
    fallback: '5s',
    ...reading,
  }),
  blobConnectionString: opt.secret({
    flags: '--blob-connection-string-file <path>',
    description: 'file with the storage connection string of blob: checkpoints, - for stdin',
    env: ['AZURE_STORAGE_CONNECTION_STRING'],
    ...reading,
  }),
  id: opt.text({
    flags: '--id <field|template>',
    description: 'item id, e.g. eventId or {deviceId}-{$sequenceNumber} (default: id, else eventId)',
    ...mapping,
  }),
  partitionKeyFrom: opt.text({
    flags: '--partition-key-from <field|template>',
    description: "partition key (default: the value at the container's own path)",
    ...mapping,
  }),
  rename: opt.custom(parsePair, {
    flags: '--rename <old=new>',
    description: 'rename a field',
    repeatable: true,
    ...mapping,
  }),
  drop: opt.text({ flags: '--drop <field>', description: 'leave a field out', repeatable: true, ...mapping }),
  flatten: opt.text({
    flags: '--flatten <separator>',
    description: 'make nested fields top-level: _ gives complexData_moreData0',
    ...mapping,
  }),
  set: opt.custom(parsePair, {
    flags: '--set <field=template>',
    description: 'add a field, e.g. source={$partition}',
    repeatable: true,
    ...mapping,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'items expire after this time',
    ...mapping,
  }),
  envelope: opt.flag({
    flags: '--no-envelope',
    description: 'do not keep coordinates and producer envelope in the field `pipe` (verify needs them)',
    ...mapping,
  }),
  map: opt.text({
    flags: '--map <module>',
    description: 'JavaScript module whose map(item, source) returns what to store',
    ...mapping,
  }),
  schema: opt.text({
    flags: '--schema <file>',
    description: 'JSON Schema that events must match',
    ...mapping,
  }),
  write: opt.choice(['upsert', 'create', 'replace-if-newer'], {
    flags: '--write <mode>',
    description: 'upsert, create (keep what is there) or replace-if-newer',
    fallback: 'upsert',
    ...writing,
  }),
  newerField: opt.text({
    flags: '--newer-field <field>',
    description: 'what replace-if-newer compares',
    fallback: 'deviceSequenceNumber',
    ...writing,
  }),
  maxRu: opt.custom(parseRuBudget, {
    flags: '--max-ru <n|share>',
    description: 'stay within 4000 RU/s, or 40% of what is provisioned',
    ...writing,
  }),
  maxWait: opt.durationMs({
    flags: '--max-wait <duration>',
    description: 'longest wait for a batch to fill',
    fallback: '20ms',
    ...writing,
  }),
  maxBuffer: opt.positiveBytes({
    flags: '--max-buffer <size>',
    description: 'events in memory that are not stored yet',
    fallback: '64MiB',
    ...writing,
  }),
  create: opt.flag({
    flags: '--create',
    description: 'create database and container when they are missing; the local stack gets them anyway',
    ...writing,
  }),
  partitionKey: opt.partitionKeyPaths({
    flags: '--partition-key <path>',
    description: 'partition key path of a created container, several with commas',
    fallback: '/deviceId',
    ...writing,
  }),
  throughput: opt.throughput({
    flags: '--throughput <ru>',
    description: 'throughput of a created container',
    fallback: '10000',
    ...writing,
  }),
  untilDrained: opt.flag({
    flags: '--until-drained',
    description: 'end when everything the hub holds now is stored',
    ...ending,
  }),
  untilIdle: untilIdleOption(ending.group, '1s'),
  deadLetter: opt.text({
    flags: '--dead-letter <where>',
    description: 'events that cannot be stored: a file, cosmos:<container> or hub:<name>',
    fallback: '.cosmos-pipe/dead-letter.ndjson',
    ...operation,
  }),
  healthPort: opt.port({
    flags: '--health-port <n>',
    description: 'serve /health and /metrics (Prometheus), 0 for a free port',
    ...operation,
  }),
  healthHost: opt.text({
    flags: '--health-host <address>',
    description: 'address of --health-port',
    fallback: '127.0.0.1',
    ...operation,
  }),
  logFormat: opt.choice(['text', 'json'], {
    flags: '--log-format <format>',
    description: 'text, or json: one object per line on stderr, for log collectors',
    fallback: 'text',
    ...operation,
  }),
  workers: opt.threads({
    flags: '--workers <n>',
    description: 'worker threads that share the partitions',
    fallback: '1',
    ...operation,
  }),
  ownershipExpiry: opt.durationMs({
    flags: '--ownership-expiry <duration>',
    description:
      'silence after which other processes take the partitions of this one; the same for all of them',
    fallback: `${DEFAULT_OWNERSHIP_EXPIRY_MS / 1_000}s`,
    ...operation,
  }),
  connectTimeout: opt.durationMs({
    flags: '--connect-timeout <duration>',
    description: 'keep trying at the start while a service cannot be reached',
    fallback: '10s',
    ...operation,
  }),
  owner: opt.text({
    flags: '--owner <name>',
    description: 'name of this process among the owners, unique (default: ingest-<random>)',
    ...operation,
  }),
  ...notifyOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Store the events of an event hub in Cosmos DB, in bulk, with checkpoints.',
    '',
    'Any number of these processes share the partitions of a consumer group through the',
    'checkpoint store. Actions: dead-letter list, dead-letter replay.',
  ].join('\n'),
  operands: '[action...]',
  examples: [
    'cosmos-pipe ingest',
    'cosmos-pipe ingest --from latest --max-ru 40% --health-port 9464',
    'cosmos-pipe ingest --checkpoints cosmos --workers 2',
    'cosmos-pipe ingest --until-drained --json',
    'cosmos-pipe ingest --write replace-if-newer --id deviceId --newer-field deviceSequenceNumber',
    'cosmos-pipe ingest dead-letter list',
  ],
  options,
  async run(values, context) {
    const action = context.operands.join(' ');
    switch (action) {
      case '':
        return runIngest(values, context);
      case 'dead-letter list':
        return listDeadLetters(values, context);
      case 'dead-letter replay':
        return replay(values, context);
      default:
        throw usageError(
          `unknown action "${action}"`,
          'known are `dead-letter list` and `dead-letter replay`',
        );
    }
  },
});

async function runIngest(values: Values, context: CommandContext): Promise<ExitCode | undefined> {
  const { clock, terminal } = context;
  const { cosmos, eventHubs, local } = await bothTargets(context);
  const ownerId =
    values.owner ?? `ingest-${seededRandom(clock.epochMicros()).uint32().toString(16).slice(0, 4)}`;
  const recorder = createStageRecorder('ingest', { clock });
  const ru = createRuRecorder({ clock });
  const log = ingestLog(terminal, values.logFormat, clock);
  log.info(
    'starting',
    { ownerId, eventHub: eventHubs.eventHub, database: cosmos.database, container: cosmos.container },
    headline(values, eventHubs, cosmos),
  );

  const connect = { clock, signal: context.signal, connectMs: values.connectTimeout, onProblem: log.warn };
  const deadLetter = await openWhenReachable(connect, () =>
    openDeadLetter(deadLetterOf(values, context, { cosmos, eventHubs }), { cosmos, eventHubs }),
  );
  const health =
    values.healthPort === undefined
      ? undefined
      : await startHealthServer({ host: values.healthHost, port: values.healthPort, now: () => clock.now() });
  if (health !== undefined) log.info(`health and metrics on http://${values.healthHost}:${health.port}`);
  const telemetry = await startTelemetry(context.env, eventHubs.eventHub, log.warn);

  const milestones = await openMilestones(values, context, { ownerId, cosmos, recorder, ru });
  milestones?.started();
  const meter = rateMeter();
  let latest: { progress: IngestProgress; rates: ProgressRates } | undefined;
  const view =
    values.logFormat === 'json'
      ? { stop: () => {} }
      : startLiveView(terminal, {
          clock,
          frame: () =>
            latest ? progressLines(latest.progress, latest.rates, latencyText(recent(recorder))) : [],
          heartbeat: () => (latest ? heartbeatLine(latest.progress, latest.rates) : 'connecting'),
        });
  try {
    const result = await ingestWithWorkers(
      {
        ...ingestOptions(values, context, eventHubs, cosmos, values.create ?? local),
        ownerId,
        recorder,
        ru,
        deadLetter,
        onProgress: (progress) => {
          latest = { progress, rates: meter(progress) };
          health?.update(progress);
          milestones?.progress(progress);
          telemetry?.update(progress);
          log.progress(progress);
        },
        ...(telemetry === undefined ? {} : { onPage: telemetry.page }),
        onProblem: log.warn,
      },
      values.workers,
    );
    view.stop();
    log.ended(result);
    milestones?.completed(result);
    const stage = recorder.summary();
    terminal.result(
      { ownerId, ...result, stage, ru: ru.summary() },
      summaryText(
        result,
        stage.serviceTime,
        stage.throttled,
        resumeText(values, context.argv),
        values.deadLetter,
      ),
    );
    return context.signal.aborted ? ExitCode.Interrupted : undefined;
  } catch (error) {
    milestones?.failed(error);
    throw error;
  } finally {
    view.stop();
    await milestones?.close();
    await health?.close();
    await deadLetter.close();
    await telemetry?.close();
  }
}

function recent(recorder: ReturnType<typeof createStageRecorder>) {
  const { latencyP50Ms, latencyP99Ms, done } = recorder.snapshot();
  return { count: done, p50Ms: latencyP50Ms, p99Ms: latencyP99Ms };
}

function ingestOptions(
  values: Values,
  context: CommandContext,
  eventHubs: EventHubsTarget,
  cosmos: CosmosTarget,
  create: boolean,
): Omit<IngestOptions, 'ownerId' | 'recorder' | 'ru'> {
  const { clock, signal } = context;
  if (values.untilDrained && values.untilIdle !== undefined)
    throw usageError('--until-drained and --until-idle exclude each other', 'pass one of them');
  if (values.ownershipExpiry <= 2 * DEFAULT_REBALANCE_MS)
    throw usageError(
      `--ownership-expiry ${formatDurationMs(values.ownershipExpiry)} is too short`,
      `ownership is renewed every ${formatDurationMs(DEFAULT_REBALANCE_MS)}: pass more than twice that, for example 15s`,
    );
  const until = values.untilDrained ? 'drained' : values.untilIdle === undefined ? undefined : 'idle';
  return {
    eventHubs,
    cosmos,
    ...(create
      ? {
          create: {
            partitionKeyPath: values.partitionKey,
            throughput: values.throughput,
            // Without it Cosmos DB keeps items for ever, whatever they say themselves.
            ...(values.ttl === undefined ? {} : { defaultTtlSeconds: -1 }),
          },
        }
      : {}),
    mapping: mappingOptions(values, context),
    checkpoints: checkpointsOf(values, context),
    from: parseStartFrom(values.from, clock.epochMicros() / 1000),
    ...(values.restart ? { restart: true } : {}),
    clock,
    signal,
    ...(until === undefined ? {} : { until }),
    limits: {
      checkpointEvents: values.checkpointEvents,
      checkpointIntervalMs: values.checkpointInterval,
      maxWaitMs: values.maxWait,
      maxBufferedBytes: values.maxBuffer,
      ownershipExpiryMs: values.ownershipExpiry,
      connectMs: values.connectTimeout,
      ...(values.untilIdle === undefined ? {} : { idleMs: values.untilIdle }),
      ...(values.maxRu === undefined ? {} : { ruBudget: values.maxRu }),
    },
  };
}

function mappingOptions(values: Values, { cwd }: CommandContext): MappingOptions {
  return {
    write: values.write,
    newerField: values.newerField,
    rename: Object.fromEntries(values.rename),
    drop: values.drop,
    set: Object.fromEntries(values.set),
    envelope: values.envelope !== false,
    ...(values.id === undefined ? {} : { id: values.id }),
    ...(values.partitionKeyFrom === undefined ? {} : { partitionKey: values.partitionKeyFrom }),
    ...(values.flatten === undefined ? {} : { flatten: values.flatten }),
    ...(values.ttl === undefined ? {} : { ttlSeconds: Math.max(1, Math.round(values.ttl / 1000)) }),
    ...(values.map === undefined ? {} : { hook: resolve(cwd, values.map) }),
    ...(values.schema === undefined ? {} : { schema: resolve(cwd, values.schema) }),
  };
}

async function listDeadLetters(values: Values, context: CommandContext): Promise<void> {
  const archive = await openArchive(values, context);
  try {
    if (context.terminal.json) {
      for await (const record of archive.records()) await context.terminal.item(JSON.stringify(record));
      return;
    }
    const rows = [['REASON', 'PARTITION', 'SEQUENCE', 'ENQUEUED', 'DETAIL']];
    for await (const { detail, enqueuedTime, partition, reason, sequenceNumber } of archive.records())
      rows.push([reason, partition, formatCount(sequenceNumber), enqueuedTime, detail.slice(0, 80)]);
    const text = rows.length === 1 ? 'no dead letters' : formatTable(rows, { left: [0, 1, 3, 4] }).join('\n');
    context.terminal.result(undefined, text);
  } finally {
    await archive.close();
  }
}

async function replay(values: Values, context: CommandContext): Promise<void> {
  const { clock, signal, terminal } = context;
  const archive = await openArchive(values, context);
  const ru = createRuRecorder({ clock });
  try {
    const { cosmos } = await context.targets(['cosmos']);
    const store = await openIngestStore(cosmos as CosmosTarget, ru);
    try {
      const result = await replayDeadLetters({
        archive,
        store,
        mapping: mappingOptions(values, context),
        recorder: createStageRecorder('replay', { clock }),
        ru,
        clock,
        signal,
      });
      const reasons = Object.entries(result.reasons).map(
        ([reason, count]) => `${reason} ${formatCount(count)}`,
      );
      terminal.result(
        result,
        [
          `replayed     ${formatCount(result.replayed)} events`,
          signal.aborted
            ? 'remaining    what was not reached, to be replayed by the same command'
            : `remaining    ${formatCount(result.remaining)}${reasons.length > 0 ? `   (${reasons.join(', ')})` : ''}`,
        ].join('\n'),
      );
    } finally {
      store.close();
    }
  } finally {
    await archive.close();
  }
}

function openArchive(values: Values, context: CommandContext) {
  return openDeadLetterArchive(
    deadLetterOf(values, context),
    async () => (await context.targets(['cosmos'])).cosmos as CosmosTarget,
  );
}

async function bothTargets(context: CommandContext) {
  const { cosmos, eventHubs, local } = await context.targets(['eventHubs', 'cosmos']);
  return { cosmos: cosmos as CosmosTarget, eventHubs: eventHubs as EventHubsTarget, local };
}

/** Relative files are relative to where the command was started, whatever the process does later. */
function checkpointsOf(
  { blobConnectionString, checkpoints }: Values,
  { cwd }: CommandContext,
): CheckpointSpec {
  const spec = parseCheckpointSpec(checkpoints, blobConnectionString);
  return spec.kind === 'file' ? { ...spec, folder: resolve(cwd, spec.folder) } : spec;
}

/** Throws E_USAGE where rejected events would go to where events come from or go to. */
function deadLetterOf(
  { deadLetter }: Values,
  { cwd }: CommandContext,
  targets?: { readonly cosmos: CosmosTarget; readonly eventHubs: EventHubsTarget },
): DeadLetterSpec {
  const spec = parseDeadLetterSpec(deadLetter);
  if (spec.kind === 'file') return { ...spec, path: resolve(cwd, spec.path) };
  if (spec.kind === 'hub' && spec.eventHub === targets?.eventHubs.eventHub)
    throw usageError(
      `--dead-letter ${deadLetter} is the hub that is read: rejected events would come again for ever`,
      'name another hub, a file or cosmos:<container>',
    );
  if (spec.kind === 'cosmos' && spec.container === targets?.cosmos.container)
    throw usageError(
      `--dead-letter ${deadLetter} is the container that events are stored in`,
      'name another container, a file or hub:<name>',
    );
  return spec;
}

function headline(values: Values, eventHubs: EventHubsTarget, cosmos: CosmosTarget): string {
  return [
    `Ingesting ${eventHubs.eventHub}/${eventHubs.consumerGroup} into ${cosmos.database}/${cosmos.container}, bulk ${values.write},`,
    `${values.restart ? 'from' : 'from the checkpoint, else'} ${values.from}; checkpoint every ${formatCount(values.checkpointEvents)} events or ${values.checkpointInterval / 1000}s in ${values.checkpoints}. ^C to stop.`,
  ].join('\n');
}

/** What goes on where this run ended; not `--restart`, which would begin again. */
function resumeText({ checkpoints }: Values, argv: readonly string[]): string {
  const again = commandLine(argv.filter((word) => word !== '--restart'));
  const from =
    checkpoints === 'memory' ? 'from the start: checkpoints in memory are gone' : 'from the checkpoint';
  return `${again}   (${from})`;
}

function parsePair(text: string): readonly [string, string] {
  const separator = text.indexOf('=');
  if (separator <= 0) throw new RangeError(`expected <name>=<value>, got "${text}"`);
  return [text.slice(0, separator), text.slice(separator + 1)];
}
