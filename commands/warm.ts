import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CacheConnection } from '../src/cache/connection.ts';
import { formatCount } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { startLiveView } from '../src/cli/live.ts';
import { checked, cosmosOptions, opt, parseWhole, redisOptions, seedOption } from '../src/cli/options.ts';
import type { CosmosConnection } from '../src/cosmos/client.ts';
import type { WarmOptions, WarmProgress } from '../src/pipeline/cache/warm.ts';
import type { WarmSource } from '../src/pipeline/cache/warm-source.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';
import { ExitCode as Exit, type ExitCode, usageError } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';
import { parseShare } from '../src/util/share.ts';

const source = { group: 'Source:' } as const;
const entries = { group: 'Entries:' } as const;
const running = { group: 'Running:' } as const;

const options = {
  query: opt.text({
    flags: '--query <sql>',
    description: 'items of this query (default: every item, from the change feed)',
    ...source,
  }),
  since: opt.custom(
    checked((text) => parseFeedStart(text, 0)),
    {
      flags: '--since <start>',
      description: 'items changed since then, from the change feed: beginning, -1h, or a time',
      ...source,
    },
  ),
  keysFile: opt.text({
    flags: '--keys-file <path>',
    description:
      'items listed in a file, - for stdin: partitionKey,id per line, JSON, or what stats --hot-file wrote',
    ...source,
  }),
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'keys are <prefix><partitionKey>:<id>',
    fallback: 'cp:',
    ...entries,
  }),
  format: opt.choice(['versioned', 'string'], {
    flags: '--format <name>',
    description: 'versioned: a hash that stale writes cannot overwrite; string: plain JSON for any program',
    fallback: 'versioned',
    ...entries,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'life of an entry',
    fallback: '1h',
    ...entries,
  }),
  ttlJitter: opt.custom((text) => parseWhole(text, 0, 100), {
    flags: '--ttl-jitter <percent>',
    description: 'spread of the life in percent, so that entries written together do not end together',
    fallback: '10',
    ...entries,
  }),
  onlyMissing: opt.flag({
    flags: '--only-missing',
    description: 'leave existing entries alone',
    ...entries,
  }),
  project: opt.text({
    flags: '--project <field,field>',
    description: 'store these top-level fields only, beside id',
    ...entries,
  }),
  gzipOver: opt.bytes({
    flags: '--gzip-over <size>',
    description: 'compress entries above this size',
    ...entries,
  }),
  maxValue: opt.bytes({
    flags: '--max-value <size>',
    description: 'skip larger entries',
    fallback: '100KB',
    ...entries,
  }),
  generation: opt.flag({
    flags: '--generation',
    description: 'write under the current generation of the prefix (see flush --generation)',
    ...entries,
  }),
  maxRu: opt.count({
    flags: '--max-ru <n>',
    description: 'use at most this many RU/s of the container on average',
    ...running,
  }),
  maxMemory: opt.bytes({
    flags: '--max-memory <size>',
    description: 'stop when the Redis server uses this much memory',
    ...running,
  }),
  verify: opt.custom(parseShare, {
    flags: '--verify <share>',
    description: 'read this share of the entries back and compare, e.g. 1% or 0.01',
    ...running,
  }),
  resume: opt.text({
    flags: '--resume <file>',
    description: 'go on from the position in this file, and keep it there',
    ...running,
  }),
  dryRun: opt.flag({
    flags: '--dry-run',
    description: 'read one page and estimate items, bytes, RU and time',
    ...running,
  }),
  seed: { ...seedOption, description: 'seed of the jitter and of the sample to verify', ...running },
  ...cosmosOptions,
  ...redisOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Fill a Redis cache with the items of a container, within a budget of request units.',
    '',
    'Entries are versioned by default: a slow writer never replaces a newer item, and `serve` and `invalidate` understand them.',
  ].join('\n'),
  examples: [
    'cosmos-pipe warm --dry-run --max-ru 400',
    'cosmos-pipe warm --max-ru 400 --ttl 30m --verify 1%',
    `cosmos-pipe warm --query "SELECT * FROM c WHERE c.type = 'TEMP'" --prefix app: --format string`,
    'cosmos-pipe warm --since -1h --resume warm.json --only-missing',
    'cosmos-pipe stats --hot-file hot.ndjson && cosmos-pipe warm --keys-file hot.ndjson',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const { clock, signal } = context;
    const from = sourceOf(values, context);
    const { cosmos: cosmosTarget, redis } = await context.targets(['cosmos', 'redis']);
    const [{ openCosmos }, { openCache }] = await Promise.all([
      import('../src/cosmos/client.ts'),
      import('../src/cache/connection.ts'),
    ]);
    const cosmos = await openCosmos(cosmosTarget as NonNullable<typeof cosmosTarget>);
    try {
      if (values.dryRun) return await estimate(cosmos, from, values, context);
      const cache = await openCache(redis as NonNullable<typeof redis>);
      try {
        return await warm(
          {
            cosmos,
            cache,
            source: from,
            write: await writeOptions(values, cache),
            clock,
            signal,
            random: seededRandom(values.seed),
            ...(values.maxRu !== undefined && { maxRuPerSecond: values.maxRu }),
            ...(values.maxMemory !== undefined && { maxMemoryBytes: values.maxMemory }),
            ...(values.verify !== undefined && { verifyShare: values.verify }),
          },
          values,
          context,
        );
      } finally {
        cache.dispose();
      }
    } finally {
      cosmos.dispose();
    }
  },
});

async function warm(options: WarmOptions, values: Values, context: CommandContext): Promise<ExitCode> {
  const { clock, cwd, signal, terminal } = context;
  const [{ warmCache }, { warmText }, { openWarmPosition }] = await Promise.all([
    import('../src/pipeline/cache/warm.ts'),
    import('../src/pipeline/cache/warm-text.ts'),
    import('../src/pipeline/cache/warm-resume.ts'),
  ]);
  const position =
    values.resume === undefined
      ? undefined
      : await openWarmPosition(resolve(cwd, values.resume), options.source);
  const { database, container } = options.cosmos.target;
  const budget = values.maxRu === undefined ? 'no RU limit' : `at most ${formatCount(values.maxRu)} RU/s`;
  terminal.note(
    `Warming ${options.cache.address} from ${database}/${container} (${describe(options.source)}), ${budget}. ^C to stop.`,
  );
  let progress: WarmProgress = { items: 0, requestCharge: 0 };
  const line = (): string =>
    `${formatCount(progress.items)} items   ${formatCount(progress.requestCharge)} RU`;
  const view = startLiveView(terminal, { frame: () => [` ${line()}`], heartbeat: line, clock });
  try {
    const result = await warmCache({
      ...options,
      ...(position?.stored !== undefined && { resume: position.stored }),
      onProgress(next) {
        progress = next;
        position?.reached(next.position);
      },
    });
    view.stop();
    await position?.save();
    terminal.result(result, warmText(result));
    const { verified } = result;
    if (verified && verified.missing + verified.different > 0) return Exit.Verification;
    return signal.aborted ? Exit.Interrupted : Exit.Ok;
  } finally {
    view.stop();
  }
}

async function estimate(
  cosmos: CosmosConnection,
  from: WarmSource,
  values: Values,
  { clock, signal, terminal }: CommandContext,
): Promise<ExitCode> {
  const [{ estimateWarm }, { estimateText }] = await Promise.all([
    import('../src/pipeline/cache/warm.ts'),
    import('../src/pipeline/cache/warm-text.ts'),
  ]);
  const result = await estimateWarm({
    cosmos,
    source: from,
    write: entryOptions(values),
    clock,
    signal,
    ...(values.maxRu !== undefined && { maxRuPerSecond: values.maxRu }),
  });
  terminal.result(result, estimateText(result));
  return Exit.Ok;
}

function sourceOf(values: Values, { clock, cwd, terminal }: CommandContext): WarmSource {
  const given = [values.query, values.since, values.keysFile].filter((value) => value !== undefined);
  if (given.length > 1) throw usageError('--query, --since and --keys-file exclude each other');
  if (values.query !== undefined) return { from: 'query', query: values.query };
  if (values.keysFile === undefined)
    return { from: 'feed', start: parseFeedStart(values.since ?? 'beginning', clock.epochMicros() / 1000) };
  if (values.keysFile === '-')
    return { from: 'keys', keyPrefix: values.prefix, lines: () => terminal.streams.stdin };
  const path = resolve(cwd, values.keysFile);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw usageError(`there is no key file ${values.keysFile}`, 'name a file, or - for stdin');
  return { from: 'keys', keyPrefix: values.prefix, lines: () => createReadStream(path) };
}

function describe(from: WarmSource): string {
  if (from.from === 'query') return from.query;
  return from.from === 'keys' ? 'listed keys' : 'change feed';
}

async function writeOptions(values: Values, cache: CacheConnection): Promise<WarmOptions['write']> {
  if (!values.generation) return entryOptions(values);
  const { currentGeneration, generationPrefix } = await import('../src/cache/generation.ts');
  const generation = await currentGeneration(cache, values.prefix);
  return { ...entryOptions(values), keyPrefix: generationPrefix(values.prefix, generation) };
}

function entryOptions(values: Values): WarmOptions['write'] {
  return {
    keyPrefix: values.prefix,
    format: values.format,
    ttlMs: values.ttl,
    ttlJitter: values.ttlJitter / 100,
    maxValueBytes: values.maxValue,
    ...(values.onlyMissing && { onlyMissing: true }),
    ...(values.project !== undefined && { project: values.project.split(',').map((field) => field.trim()) }),
    ...(values.gzipOver !== undefined && { gzipOverBytes: values.gzipOver }),
  };
}
