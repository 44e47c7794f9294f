import type { CacheConnection } from '../src/cache/connection.ts';
import { formatCount, formatShare } from '../src/cache/text.ts';
import { defineCommand } from '../src/cli/command.ts';
import { cosmosOptions, opt, redisOptions, seedOption } from '../src/cli/options.ts';
import type { CacheVerification } from '../src/pipeline/cache-verify.ts';
import { ExitCode as Exit, type ExitCode, usageError } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';

const verifying = { group: 'Verifying:' } as const;

const options = {
  prefix: opt.text({
    flags: '--prefix <text>',
    description: 'keys are <prefix><partitionKey>:<id>',
    fallback: 'cp:',
    ...verifying,
  }),
  sample: opt.integer({
    flags: '--sample <n>',
    description: 'entries to compare with the container, one point read each',
    fallback: '500',
    ...verifying,
  }),
  maxStale: opt.number({
    flags: '--max-stale <share>',
    description: 'share of stale and orphaned entries that is still good, 0 to 1',
    fallback: '0',
    ...verifying,
  }),
  seed: { ...seedOption, description: 'seed of the sample', ...verifying },
  ...cosmosOptions,
  ...redisOptions,
};

export const command = defineCommand({
  description: [
    'Compare a cache with its container: `cache verify` tells fresh, stale, orphaned and missing entries.',
    '',
    'Exits with 4 when more than --max-stale of the entries are stale or orphaned.',
  ].join('\n'),
  operands: '<action>',
  examples: ['cosmos-pipe cache verify', 'cosmos-pipe cache verify --sample 2000 --max-stale 0.01 --json'],
  options,
  async run(values, context): Promise<ExitCode> {
    const [action] = context.operands;
    if (action !== 'verify') throw usageError(`unknown action "${action ?? ''}" (known: verify)`);
    const { cosmos: cosmosTarget, redis } = await context.targets(['cosmos', 'redis']);
    const [{ openCosmos }, { openCache }, { verifyCache }] = await Promise.all([
      import('../src/cosmos/client.ts'),
      import('../src/cache/connection.ts'),
      import('../src/pipeline/cache-verify.ts'),
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
  },
});

function resultText(result: CacheVerification): string {
  const { checked, fresh, stale, orphan, empty, foreign, wanted, missing, requestCharge, examples } = result;
  return [
    `entries  ${formatCount(checked)} compared   fresh ${formatShare(fresh, checked)}   stale ${formatShare(stale, checked)}   orphan ${formatShare(orphan, checked)}   ${formatCount(empty)} empty   ${formatCount(foreign)} foreign`,
    `items    ${formatCount(wanted)} looked for   missing ${formatShare(missing, wanted)}`,
    `charge   ${formatCount(requestCharge)} RU`,
    ...examples.map(({ key, state }) => `${state.padEnd(8)} ${key}`),
  ].join('\n');
}
