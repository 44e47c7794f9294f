import { once } from 'node:events';
import type { CacheConnection } from '../src/cache/connection.ts';
import { formatCount, formatShare } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { cosmosOptions, opt, redisOptions } from '../src/cli/options.ts';
import type { PartitionKey } from '../src/cosmos/write-operation.ts';
import type { ServeStats } from '../src/pipeline/cache/serve-stats.ts';
import { ExitCode as Exit, type ExitCode } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';

const server = { group: 'Server:' } as const;
const caching = { group: 'Caching:' } as const;
const GENERATION_EVERY_MS = 1_000;

const options = {
  port: opt.port({
    flags: '--port <n>',
    description: 'HTTP port, 0 for a free one',
    fallback: '8080',
    ...server,
  }),
  host: opt.text({
    flags: '--host <address>',
    description: 'address to bind',
    fallback: '127.0.0.1',
    ...server,
  }),
  maxStoreReads: opt.count({
    flags: '--max-store-reads <n>',
    description: 'point reads of the container at the same time; more wait, far more get 503',
    fallback: '64',
    ...server,
  }),
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'keys are <prefix><partitionKey>:<id>',
    fallback: 'cp:',
    ...caching,
  }),
  generation: opt.flag({
    flags: '--generation',
    description: 'keys carry the generation of the prefix (see flush --generation)',
    ...caching,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'life of an entry',
    fallback: '5m',
    ...caching,
  }),
  staleWhileRevalidate: opt.durationMs({
    flags: '--stale-while-revalidate <duration>',
    description: 'serve an entry this long after its life while it is refreshed',
    fallback: '0s',
    ...caching,
  }),
  negativeTtl: opt.durationMs({
    flags: '--negative-ttl <duration>',
    description: 'remember for this long that there is no such item; 0s never',
    fallback: '10s',
    ...caching,
  }),
  memoryEntries: opt.integer({
    flags: '--memory-entries <n>',
    description: 'entries kept inside this process in front of Redis, 0 for none',
    fallback: '10000',
    ...caching,
  }),
  memoryTtl: opt.durationMs({
    flags: '--memory-ttl <duration>',
    description: 'life of an entry inside this process',
    fallback: '1s',
    ...caching,
  }),
  gzipOver: opt.bytes({ flags: '--gzip-over <size>', description: 'compress larger entries', ...caching }),
  subscribe: opt.text({
    flags: '--subscribe <channel>',
    description: 'drop keys from this process that `invalidate --publish` tells',
    ...caching,
  }),
  redisTimeout: opt.positiveDurationMs({
    flags: '--redis-timeout <duration>',
    description:
      'go to the container when Redis takes longer; five times in a row and it is left alone for 1s',
    fallback: '250ms',
    ...caching,
  }),
  ...cosmosOptions,
  ...redisOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Serve the items of a container over HTTP, cache-aside: this process, then Redis, then one point read for all who ask.',
    '',
    'GET /v1/items/<partitionKey>/<id>, GET /v1/items/<partitionKey>?ids=a,b, DELETE /v1/cache/<partitionKey>/<id>,',
    '/stats (hot keys included), /metrics, /healthz. Answers say where they came from: x-cache, x-cosmos-ru, server-timing.',
    'Add ?nocache to measure without the cache.',
  ].join('\n'),
  examples: [
    'cosmos-pipe serve --local --port 8080',
    'cosmos-pipe serve --ttl 10m --stale-while-revalidate 1m --subscribe cp:invalidated',
    'curl -i http://127.0.0.1:8080/v1/items/contoso-device-id-000154/event-1',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const { clock, signal, terminal } = context;
    const { cosmos: cosmosTarget, redis } = await context.targets(['cosmos', 'redis']);
    const [{ openCosmos }, { readContainer }, { readItem }, { openCache }, { startCacheServer }] =
      await Promise.all([
        import('../src/cosmos/client.ts'),
        import('../src/cosmos/containers.ts'),
        import('../src/cosmos/items.ts'),
        import('../src/cache/connection.ts'),
        import('../src/pipeline/cache/serve.ts'),
      ]);
    const cosmos = await openCosmos(cosmosTarget as NonNullable<typeof cosmosTarget>);
    let cache: CacheConnection | undefined;
    try {
      const { partitionKey } = await readContainer(cosmos);
      cache = await openCache(redis as NonNullable<typeof redis>, {
        commandTimeoutMs: values.redisTimeout,
        maxRetries: 1,
      });
      const running = await startCacheServer({
        cache,
        read: (key, id) => readItem(cosmos, id, key as PartitionKey),
        keyPrefix: await prefixOf(cache, values, context),
        partitionKeyPaths: partitionKey.paths.length,
        ttlMs: values.ttl,
        staleMs: values.staleWhileRevalidate,
        negativeTtlMs: values.negativeTtl,
        memoryEntries: values.memoryEntries,
        memoryTtlMs: values.memoryTtl,
        maxStoreReads: Math.max(1, values.maxStoreReads),
        host: values.host,
        port: values.port,
        clock,
        random: seededRandom(clock.epochMicros()),
        ...(values.gzipOver !== undefined && { gzipOverBytes: values.gzipOver }),
        ...(values.subscribe !== undefined && { subscribe: values.subscribe }),
      });
      const { database, container } = cosmos.target;
      terminal.note(
        `Serving ${database}/${container} through ${cache.address} on ${running.url}/v1/items/<partitionKey>/<id>. ^C to stop.`,
      );
      if (!signal.aborted) await once(signal, 'abort');
      await running.stop();
      const stats = running.stats();
      terminal.result(stats, resultText(stats));
      return Exit.Interrupted;
    } finally {
      cache?.dispose();
      cosmos.dispose();
    }
  },
});

/** The prefix of now; with generations it is looked up again every second. */
async function prefixOf(
  cache: CacheConnection,
  { generation, prefix }: Values,
  { clock, signal }: CommandContext,
): Promise<() => string> {
  if (!generation) return () => prefix;
  const { currentGeneration, generationPrefix } = await import('../src/cache/generation.ts');
  let current = await currentGeneration(cache, prefix);
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(GENERATION_EVERY_MS, signal);
      // Without Redis the last generation known stays in use.
      current = await currentGeneration(cache, prefix).catch(() => current);
    }
  };
  follow().catch(() => undefined);
  return () => generationPrefix(prefix, current);
}

function resultText({
  requests,
  byResult,
  errors,
  hitRate,
  requestCharge,
  requestChargeSaved,
}: ServeStats): string {
  const parts = Object.entries(byResult).filter(([, count]) => count > 0);
  return [
    `requests ${formatCount(requests)}   ${parts.map(([name, count]) => `${name} ${formatCount(count)}`).join('   ')}   errors ${formatCount(errors)}`,
    `hit rate ${hitRate === undefined ? '-' : formatShare(hitRate, 1)}`,
    `charge   ${formatCount(requestCharge)} RU used   ${formatCount(requestChargeSaved)} RU saved`,
  ].join('\n');
}
