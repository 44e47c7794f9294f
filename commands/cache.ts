import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CacheConnection } from '../src/cache/connection.ts';
import { formatCount, formatShare } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { cosmosOptions, opt, redisOptions, seedOption } from '../src/cli/options.ts';
import type { CosmosTarget, RedisTarget } from '../src/config/targets.ts';
import type { CacheVerification } from '../src/pipeline/cache/cache-verify.ts';
import { ExitCode as Exit, type ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';
import { parseShare } from '../src/util/share.ts';
import { parseKeyDistribution } from '../src/workload/keys.ts';

const verifying = { group: 'Verifying:' } as const;
const benching = { group: 'Benchmark:' } as const;

const options = {
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'keys are <prefix><partitionKey>:<id>',
    fallback: 'cp:',
    ...verifying,
  }),
  sample: opt.count({
    flags: '--sample <n>',
    description: 'entries to compare with the container, one point read each',
    fallback: '500',
    ...verifying,
  }),
  maxStale: opt.custom((text) => parseShare(text), {
    flags: '--max-stale <share>',
    description: 'share of stale and orphaned entries that is still good: 1% or 0.01',
    fallback: '0',
    ...verifying,
  }),
  items: opt.count({
    flags: '--items <n>',
    description: 'items of 1 KB to write into a container of their own',
    fallback: '5000',
    ...benching,
  }),
  requests: opt.count({
    flags: '--requests <n>',
    description: 'reads, the same ones without and with the cache',
    fallback: '20000',
    ...benching,
  }),
  keyDistribution: opt.custom(parseKeyDistribution, {
    flags: '--key-distribution <kind>',
    description: 'uniform, sequential, zipf(1.1) or hotspot(20/80)',
    fallback: 'zipf(1.1)',
    ...benching,
  }),
  concurrency: opt.count({
    flags: '-c, --concurrency <n>',
    description: 'connections, without --rate',
    fallback: '32',
    ...benching,
  }),
  rate: opt.positiveRatePerSecond({
    flags: '-r, --rate <n/unit>',
    description: 'send at this rate whatever the server does (default: as fast as it answers)',
    ...benching,
  }),
  pricePer100Ru: opt.custom(parsePrice, {
    flags: '--price-per-100-ru <amount>',
    description: 'price of 100 RU/s per hour',
    fallback: '0.008',
    ...benching,
  }),
  cachePrice: opt.custom(parsePrice, {
    flags: '--cache-price <amount>',
    description: 'price of the cache per hour',
    fallback: '0.068',
    ...benching,
  }),
  seed: { ...seedOption, description: 'seed of the sample and of the keys' },
  ...cosmosOptions,
  ...redisOptions,
};

function parsePrice(text: string): number {
  const price = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(price) || price < 0) throw new RangeError(`expected a price from 0, got "${text}"`);
  return price;
}

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    '`cache verify` compares a cache with its container: fresh, stale, orphaned and missing entries; exits with 4 when more',
    'than --max-stale of them are stale or orphaned.',
    '',
    '`cache bench` sends one seeded stream of reads past the cache and through it, on the embedded stack unless a target is',
    'named, with `serve` in a process of its own: throughput, latency of hits and misses, RU and cost saved.',
  ].join('\n'),
  operands: '<action>',
  examples: [
    'cosmos-pipe cache verify',
    'cosmos-pipe cache verify --sample 2000 --max-stale 0.01 --json',
    'cosmos-pipe cache bench',
    'cosmos-pipe cache bench --rate 500/s --key-distribution "hotspot(5/90)"',
  ],
  options,
  run(values, context): Promise<ExitCode> {
    const [action] = context.operands;
    if (action === 'verify') return verify(values, context);
    if (action === 'bench') return bench(values, context);
    throw usageError(`unknown action "${action ?? ''}" (known: verify, bench)`);
  },
});

async function verify(values: Values, context: CommandContext): Promise<ExitCode> {
  const { cosmos: cosmosTarget, redis } = await context.targets(['cosmos', 'redis']);
  const [{ openCosmos }, { openCache }, { verifyCache }] = await Promise.all([
    import('../src/cosmos/client.ts'),
    import('../src/cache/connection.ts'),
    import('../src/pipeline/cache/cache-verify.ts'),
  ]);
  const cosmos = await openCosmos(cosmosTarget as NonNullable<typeof cosmosTarget>);
  let cache: CacheConnection | undefined;
  try {
    cache = await openCache(redis as NonNullable<typeof redis>);
    context.terminal.note(
      `Comparing up to ${formatCount(values.sample)} entries of ${values.prefix} on ${cache.address} with ${cosmos.target.container}`,
    );
    const result = await verifyCache({
      cosmos,
      cache,
      keyPrefix: values.prefix,
      sample: Math.max(1, values.sample),
      random: seededRandom(values.seed),
      signal: context.signal,
    });
    context.terminal.result(result, resultText(result));
    const wrong = result.stale + result.orphan;
    return wrong > values.maxStale * result.checked ? Exit.Verification : Exit.Ok;
  } finally {
    cache?.dispose();
    cosmos.dispose();
  }
}

function resultText(result: CacheVerification): string {
  const { checked, fresh, stale, orphan, empty, foreign, wanted, missing, requestCharge, examples } = result;
  return [
    `entries  ${formatCount(checked)} compared   fresh ${formatShare(fresh, checked)}   stale ${formatShare(stale, checked)}   orphan ${formatShare(orphan, checked)}   ${formatCount(empty)} empty   ${formatCount(foreign)} foreign`,
    `items    ${formatCount(wanted)} looked for   missing ${formatShare(missing, wanted)}`,
    `charge   ${formatCount(requestCharge)} RU`,
    ...examples.map(({ key, state }) => `${state.padEnd(8)} ${key}`),
  ].join('\n');
}

/** Items in a container that this run makes and removes, `serve` as a child, the load in this process. */
async function bench(values: Values, context: CommandContext): Promise<ExitCode> {
  const { clock, terminal } = context;
  const { cosmos: target, redis } = await context.targets(['cosmos', 'redis'], { localByDefault: true });
  if (target === undefined || redis === undefined) throw usageError('cache bench needs Cosmos DB and Redis');
  const [
    { openCosmos },
    { deleteContainer, provision },
    { writeBenchItems },
    { benchCache },
    { cacheBenchText },
  ] = await Promise.all([
    import('../src/cosmos/client.ts'),
    import('../src/cosmos/containers.ts'),
    import('../src/pipeline/bench/cache-bench-items.ts'),
    import('../src/pipeline/bench/cache-bench.ts'),
    import('../src/pipeline/bench/cache-bench-text.ts'),
  ]);
  const run = `cache-bench-${Math.floor(clock.epochMicros() / 1000).toString(36)}`;
  const cosmos = await openCosmos({ ...target, container: run });
  try {
    terminal.note(`Writing ${formatCount(values.items)} items into ${target.database}/${run}`);
    await provision(cosmos, { partitionKeyPath: '/deviceId', throughput: 60_000 });
    const items = await writeBenchItems(cosmos, values.items);
    const serving = await startServe({ ...cosmos.target }, redis, run, context);
    try {
      terminal.note(`Reading ${formatCount(values.requests)} times without and with the cache`);
      const result = await benchCache({
        url: serving.url,
        items,
        keys: values.keyDistribution,
        requests: values.requests,
        connections: Math.min(values.concurrency, values.requests),
        seed: values.seed,
        pricePer100Ru: values.pricePer100Ru,
        cachePricePerHour: values.cachePrice,
        clock,
        signal: context.signal,
        ...(values.rate !== undefined && { ratePerSecond: values.rate }),
      });
      terminal.result(result, cacheBenchText(result));
      return result.cached.errors + result.uncached.errors > 0 ? Exit.Failure : Exit.Ok;
    } finally {
      await serving.stop();
    }
  } finally {
    await deleteContainer(cosmos);
    cosmos.dispose();
  }
}

/** `serve` without a cache of its own, so that what is measured is Redis. Credentials travel in the environment. */
async function startServe(
  cosmos: CosmosTarget,
  redis: RedisTarget,
  prefix: string,
  { clock, cwd, env, self }: CommandContext,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const [program = process.execPath, ...entry] = self;
  const args = [
    'serve',
    '--port',
    '0',
    '--prefix',
    `${prefix}:`,
    '--memory-entries',
    '0',
    '--max-store-reads',
    '1000',
    '--redis-timeout',
    '5s',
  ];
  const child = spawn(program, [...entry, ...args, ...(redis.cluster ? ['--redis-cluster'] : [])], {
    cwd,
    env: {
      ...env,
      COSMOS_ENDPOINT: cosmos.endpoint,
      ...(cosmos.key && { COSMOS_KEY: cosmos.key.reveal() }),
      COSMOS_DATABASE: cosmos.database,
      COSMOS_CONTAINER: cosmos.container,
      REDIS_URL: redis.url.reveal(),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
  };
  const deadline = clock.now() + 60_000;
  for (;;) {
    const [, url] = /on (http:\/\/[^/]+)\//.exec(output) ?? [];
    if (url !== undefined) return { url, stop };
    if (child.exitCode !== null || clock.now() > deadline) {
      await stop();
      throw new PipeError('E_UNREACHABLE', `serve did not start (${output.trim().split('\n')[0] ?? ''})`, {
        hint: 'run `cosmos-pipe serve --debug` to see why',
      });
    }
    await clock.sleep(20);
  }
}
