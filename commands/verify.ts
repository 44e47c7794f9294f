import { resolve } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { startLiveView } from '../src/cli/live.ts';
import { cosmosOptions, opt, redisOptions } from '../src/cli/options.ts';
import { createRuRecorder } from '../src/metrics/ru-recorder.ts';
import { MAX_MEMORY_BYTES, type VerifyProgress, verifyPipeline } from '../src/pipeline/verify/run.ts';
import { formatCount } from '../src/report/format.ts';
import { reportOfVerify } from '../src/report/from-verify.ts';
import { formatBytes } from '../src/util/bytes.ts';
import { type ExitCode, usageError } from '../src/util/errors.ts';
import { publishReport, reportOptions } from './report-output.ts';

const truth = { group: 'Truth:' } as const;
const places = { group: 'Places:' } as const;
const verdict = { group: 'Verdict:' } as const;
const memory = { group: 'Memory:' } as const;

/** Of the heap that V8 allows itself; the rest is for pages and the process itself. */
const HEAP_SHARE = 0.7;

const options = {
  ledger: opt.text({
    flags: '--ledger <file>',
    description: 'what the producer had acknowledged (produce --ledger); several for shards',
    repeatable: true,
    ...truth,
  }),
  key: opt.text({
    flags: '--key <field>',
    description: 'field with the key, for events that cosmos-pipe did not produce: deviceId',
    ...truth,
  }),
  sequence: opt.text({
    flags: '--sequence <field>',
    description: 'field with the sequence number within the key: deviceSequenceNumber',
    ...truth,
  }),
  time: opt.text({
    flags: '--time <field>',
    description: 'field with the time of origin, for latency: createdAt',
    ...truth,
  }),
  first: opt.integer({
    flags: '--first <n>',
    description: 'sequence number that every key begins with (default: the first one found)',
    ...truth,
  }),
  feed: opt.text({
    flags: '--feed <file>',
    description: 'also verify a recording of the change feed (tail-feed --json)',
    ...places,
  }),
  cache: opt.flag({ flags: '--cache', description: 'also look for every item in Redis', ...places }),
  keyPrefix: opt.prefix({
    flags: '--key-prefix <text>',
    description: 'prefix of the cache keys',
    fallback: 'cp:',
    ...places,
  }),
  lateAfter: opt.durationMs({
    flags: '--late-after <duration>',
    description: 'events that took longer from their intended send time are late',
    ...verdict,
  }),
  unordered: opt.flag({
    flags: '--unordered',
    description: 'do not ask for order within a key: Event Grid promises none',
    ...verdict,
  }),
  examples: opt.integer({
    flags: '--examples <n>',
    description: 'examples shown of each kind and place',
    fallback: '10',
    ...verdict,
  }),
  maxMemory: opt.bytes({
    flags: '--max-memory <size>',
    description: 'for what is known of keys; more goes to disk until the end (default: 512MB, or what fits)',
    ...memory,
  }),
  scratch: opt.text({
    flags: '--scratch <folder>',
    description: 'where that goes (default: the folder for temporary files)',
    ...memory,
  }),
  ...reportOptions,
  ...cosmosOptions,
  ...redisOptions,
};

export const command = defineCommand({
  description: [
    'Prove that every event is in the container exactly once and in order, and name those that are not.',
    '',
    'With a ledger: what Event Hubs acknowledged against what is stored, whichever program stored it. Without: streams',
    'that carry a key and a sequence number of their own must have no gaps. Exit code 4 when anything is wrong.',
  ].join('\n'),
  examples: [
    'cosmos-pipe verify --ledger run.ledger.ndjson',
    'cosmos-pipe verify --ledger shard-0.ndjson --ledger shard-1.ndjson --cache',
    'cosmos-pipe verify --key deviceId --sequence deviceSequenceNumber --first 0',
    'cosmos-pipe verify --ledger run.ledger.ndjson --late-after 30s -o verify.xml',
  ],
  options,
  run: verify,
});

async function verify(values: OptionValues<typeof options>, context: CommandContext): Promise<ExitCode> {
  const { terminal, clock, cwd } = context;
  if ((values.key === undefined) !== (values.sequence === undefined))
    throw usageError(
      '--key and --sequence belong together',
      'for example --key deviceId --sequence deviceSequenceNumber',
    );
  const own = (['key', 'first'] as const).find((name) => values[name] !== undefined);
  if (values.ledger.length > 0 && own)
    throw usageError(
      `--ledger and --${own} both say what is true: events of a ledger are told by what produce sent with them`,
      'pass --ledger for events of produce, --key and --sequence for those of other programs',
    );
  if (values.time !== undefined && values.key === undefined)
    throw usageError('--time needs --key and --sequence', 'events of produce carry their time themselves');
  const maxMemoryBytes = memoryBound(values.maxMemory);
  const withCache = values.cache === true;
  const { cosmos, redis } = await context.targets(withCache ? ['cosmos', 'redis'] : ['cosmos']);
  if (cosmos === undefined) throw new Error('targets() returns what is needed');
  const startedMicros = clock.epochMicros();
  const startMs = clock.now();
  let progress: VerifyProgress = { items: 0, spilledBytes: 0 };
  const line = (): string =>
    `read ${formatCount(progress.items)} items of ${cosmos.database}/${cosmos.container}${spilledText(progress)}`;
  const live = startLiveView(terminal, { frame: () => [` ${line()}`], heartbeat: line, clock });
  const found = await verifyPipeline({
    cosmos,
    ledgers: values.ledger.map((path) => resolve(cwd, path)),
    maxMemoryBytes,
    ...(values.scratch !== undefined && { scratchFolder: resolve(cwd, values.scratch) }),
    fields: {
      ...(values.key !== undefined && { key: values.key }),
      ...(values.sequence !== undefined && { sequence: values.sequence }),
      ...(values.time !== undefined && { time: values.time }),
    },
    ...(values.first !== undefined && { firstSequence: values.first }),
    ...(values.lateAfter !== undefined && { lateAfterMs: values.lateAfter }),
    ordered: values.unordered !== true,
    maxExamples: values.examples,
    ...(values.feed !== undefined && { feedFile: resolve(cwd, values.feed) }),
    ...(withCache && redis && { cache: { target: redis, keyPrefix: values.keyPrefix } }),
    ru: createRuRecorder({ clock }),
    clock,
    signal: context.signal,
    onProgress: (now) => {
      progress = now;
    },
  }).finally(() => live.stop());
  if (found.spilledBytes > 0) terminal.note(`read everything${spilledText(found)}`);
  const report = reportOfVerify(found.verdict, {
    title: `${cosmos.database}/${cosmos.container}`,
    run: found.runs.join(','),
    toolVersion: context.version,
    startedMicros,
    durationMs: clock.now() - startMs,
    env: context.env,
    config: { ledgers: values.ledger, key: values.key ?? null, sequence: values.sequence ?? null },
    thresholds: values.threshold,
  });
  return publishReport(report, values.output, context);
}

function spilledText({ spilledBytes }: Pick<VerifyProgress, 'spilledBytes'>): string {
  return spilledBytes === 0 ? '' : `, ${formatBytes(spilledBytes)} put aside on disk`;
}

function memoryBound(wantedBytes: number | undefined): number {
  const limitBytes = Math.round(getHeapStatistics().heap_size_limit * HEAP_SHARE);
  if (wantedBytes === undefined) return Math.min(MAX_MEMORY_BYTES, limitBytes);
  if (wantedBytes <= limitBytes) return wantedBytes;
  throw usageError(
    `--max-memory ${formatBytes(wantedBytes)} is more than the heap of this Node.js has room for, ${formatBytes(limitBytes)}`,
    `let it grow: NODE_OPTIONS=--max-old-space-size=${Math.ceil(wantedBytes / HEAP_SHARE / 1024 ** 2)}`,
  );
}
