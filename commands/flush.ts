import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { AuditLine } from '../src/cache/audit.ts';
import type { CacheConnection } from '../src/cache/connection.ts';
import type { FlushPreview } from '../src/cache/flush.ts';
import { counted, formatCount } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { confirm } from '../src/cli/confirm.ts';
import { opt, redisOptions, yesOption } from '../src/cli/options.ts';
import { flagOf } from '../src/cli/resolve-options.ts';
import { ExitCode as Exit, type ExitCode, PipeError, usageError } from '../src/util/errors.ts';

const choosing = { group: 'Choosing keys:' } as const;
const deleting = { group: 'Deleting:' } as const;

const options = {
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'delete the keys that begin with this, taken literally: * and ? are no wildcards',
    ...choosing,
  }),
  idleOver: opt.durationMs({
    flags: '--idle-over <duration>',
    description: 'only keys that nobody used for this long',
    ...choosing,
  }),
  withoutTtl: opt.flag({ flags: '--without-ttl', description: 'only keys that never expire', ...choosing }),
  type: opt.choice(['string', 'hash', 'list', 'set', 'zset'], {
    flags: '--type <name>',
    description: 'only keys of this type: string, hash, list, set, zset',
    ...choosing,
  }),
  generation: opt.flag({
    flags: '--generation',
    description:
      'count the generation of the prefix up instead of deleting: keys written with --generation are out at once',
    ...deleting,
  }),
  dryRun: opt.flag({ flags: '--dry-run', description: 'show what would be deleted, and stop', ...deleting }),
  expect: opt.integer({
    flags: '--expect <n>',
    description: 'the number of keys that must match; needed for a prefix of fewer than 4 characters',
    ...deleting,
  }),
  maxKeys: opt.integer({
    flags: '--max-keys <n>',
    description: 'refuse when more keys match',
    ...deleting,
  }),
  rate: opt.positiveRatePerSecond({
    flags: '--rate <n/unit>',
    description: 'delete at most this many keys per second, e.g. 5000/s',
    ...deleting,
  }),
  batchSize: opt.count({
    flags: '--batch-size <n>',
    description: 'keys per round trip',
    fallback: '500',
    ...deleting,
  }),
  auditFile: opt.text({
    flags: '--audit-file <path>',
    description: 'one JSON line per flush is appended there',
    fallback: '.cosmos-pipe/audit.ndjson',
    ...deleting,
  }),
  yes: { ...yesOption, ...deleting },
  ...redisOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Delete the keys of a cache that begin with a prefix: a preview first, then one UNLINK per key, node by node.',
    '',
    'There is no way from here to FLUSHDB or FLUSHALL: other programs may share the server.',
  ].join('\n'),
  examples: [
    'cosmos-pipe flush --prefix cp:orders: --dry-run',
    'cosmos-pipe flush --prefix cp:orders: --rate 5000/s',
    'cosmos-pipe flush --prefix cp:orders: --idle-over 1h --yes --json',
    'cosmos-pipe flush --prefix cp:orders: --generation',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    if (values.prefix === undefined || values.prefix === '')
      throw usageError('flush needs a prefix', 'pass --prefix, for example --prefix cp:orders:');
    const choosing = (['idleOver', 'withoutTtl', 'type', 'expect', 'maxKeys', 'rate'] as const).find(
      (name) => values[name] !== undefined,
    );
    if (values.generation && choosing)
      throw usageError(
        `--generation deletes nothing, so ${flagOf(choosing)} has nothing to choose from`,
        'leave one of them out',
      );
    const { adminUrl, embeddedRedis, redis } = await context.targets(['redis']);
    const { openCache } = await import('../src/cache/connection.ts');
    const connection = await openCache(redis as NonNullable<typeof redis>);
    // Nothing in the embedded Redis is anybody else's. An address of this machine alone may be a forwarded port.
    const own = embeddedRedis && adminUrl !== undefined && (await isHealthy(adminUrl));
    const asked = { ...values, yes: values.yes === true || own };
    try {
      if (values.generation) return await nextGeneration(connection, values.prefix, asked, context);
      return await flush(connection, values.prefix, asked, context);
    } finally {
      connection.dispose();
    }
  },
});

/** The state file of a stack that was killed may name a port that is somebody else's by now. */
async function isHealthy(adminUrl: string): Promise<boolean> {
  const { askStack } = await import('../src/local/admin-client.ts');
  return askStack(adminUrl, 'GET', '/health').then(
    () => true,
    () => false,
  );
}

async function flush(
  connection: CacheConnection,
  prefix: string,
  values: Values,
  context: CommandContext,
): Promise<ExitCode> {
  const { terminal, signal, clock } = context;
  const [{ flushPrefix, MIN_PREFIX_LENGTH, previewFlush }, { flushText, previewText }] = await Promise.all([
    import('../src/cache/flush.ts'),
    import('../src/cache/flush-text.ts'),
  ]);
  const filter = {
    ...(values.idleOver !== undefined && { idleOverMs: values.idleOver }),
    ...(values.withoutTtl && { withoutTtl: true }),
    ...(values.type && { type: values.type }),
  };
  terminal.note(`Looking for keys that begin with ${prefix} on ${connection.address}`);
  const preview = await previewFlush(connection, prefix, { ...filter, signal });
  if (values.dryRun || preview.keys === 0) {
    terminal.result({ preview, deleted: 0 }, previewText(preview, connection.address));
    return Exit.Ok;
  }
  terminal.note(previewText(preview, connection.address));
  checkAmount(preview, values, MIN_PREFIX_LENGTH);
  await confirm(terminal, {
    action: `delete ${counted(preview.keys, 'key')} on ${connection.address}`,
    expected: prefix,
    yes: values.yes === true,
  });
  const result = await flushPrefix(connection, prefix, {
    ...filter,
    clock,
    signal,
    batchSize: values.batchSize,
    ...(values.rate !== undefined && { ratePerSecond: values.rate }),
    ...(values.maxKeys !== undefined && { maxKeys: values.maxKeys }),
  });
  const audit = await record(connection, values, context, {
    prefix,
    matched: preview.keys,
    deleted: result.deleted,
    outcome: result.complete ? 'complete' : 'stopped',
  });
  terminal.result({ preview, ...result, audit }, flushText(result));
  return signal.aborted ? Exit.Interrupted : Exit.Ok;
}

async function nextGeneration(
  connection: CacheConnection,
  prefix: string,
  values: Values,
  context: CommandContext,
): Promise<ExitCode> {
  const {
    currentGeneration,
    generationPrefix,
    nextGeneration: next,
  } = await import('../src/cache/generation.ts');
  if (values.dryRun) {
    const generation = await currentGeneration(connection, prefix);
    const text = `generation ${generation} is current: keys begin with ${generationPrefix(prefix, generation)}; nothing was changed`;
    context.terminal.result({ prefix, generation }, text);
    return Exit.Ok;
  }
  await confirm(context.terminal, {
    action: `start a new generation of ${prefix} on ${connection.address}`,
    yes: values.yes === true,
  });
  const generation = await next(connection, prefix);
  const audit = await record(connection, values, context, {
    prefix,
    matched: 0,
    deleted: 0,
    outcome: 'generation',
  });
  context.terminal.result(
    { prefix, generation, audit },
    `generation ${generation}: keys now begin with ${generationPrefix(prefix, generation)}, older ones leave by their TTL`,
  );
  return Exit.Ok;
}

function checkAmount({ keys, prefix }: FlushPreview, { expect, maxKeys }: Values, minLength: number): void {
  if (expect !== undefined && expect !== keys)
    throw new PipeError(
      'E_CONFIRM',
      `${formatCount(keys)} keys match, not the ${formatCount(expect)} of --expect`,
      {
        hint: 'look at the preview, then pass the number that is right',
      },
    );
  if (expect === undefined && prefix.length < minLength)
    throw new PipeError(
      'E_CONFIRM',
      `the prefix ${prefix} is so short that it may match other programs' keys`,
      {
        hint: `look at the preview, then pass --expect ${keys}`,
      },
    );
  if (maxKeys !== undefined && keys > maxKeys)
    throw new PipeError(
      'E_CONFIRM',
      `${formatCount(keys)} keys match, more than the ${formatCount(maxKeys)} of --max-keys`,
      {
        hint: 'use a longer prefix or a filter, or raise --max-keys',
      },
    );
}

async function record(
  { address }: CacheConnection,
  { auditFile }: Values,
  { clock, cwd }: CommandContext,
  what: Pick<AuditLine, 'prefix' | 'matched' | 'deleted' | 'outcome'>,
): Promise<AuditLine> {
  const { appendAudit } = await import('../src/cache/audit.ts');
  const at = new Date(clock.epochMicros() / 1000).toISOString();
  const line: AuditLine = { at, user: userInfo().username, command: 'flush', address, ...what };
  await appendAudit(resolve(cwd, auditFile), line);
  return line;
}
