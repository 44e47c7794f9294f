import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CacheConnection } from '../src/cache/connection.ts';
import type { CacheInterval } from '../src/cache/stats.ts';
import { hotText, intervalLine, intervalText, prefixText } from '../src/cache/stats-text.ts';
import { formatShare } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { checked, opt, redisOptions } from '../src/cli/options.ts';
import type { Terminal } from '../src/cli/terminal.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode as Exit, type ExitCode, usageError } from '../src/util/errors.ts';
import { parseShare } from '../src/util/share.ts';

const watching = { group: 'Watching:' } as const;
const hot = { group: 'Hot keys:' } as const;

const options = {
  interval: opt.positiveDurationMs({
    flags: '--interval <duration>',
    description: 'length of an interval',
    fallback: '5s',
    ...watching,
  }),
  num: opt.integer({
    flags: '-n, --num <count>',
    description: 'stop after this many intervals, 0 to go on',
    fallback: '1',
    ...watching,
  }),
  sample: opt.integer({
    flags: '--sample <n>',
    description: 'keys to look at for the share of each prefix, 0 for none',
    fallback: '1000',
    ...watching,
  }),
  minHitRate: opt.custom((text) => parseShare(text), {
    flags: '--min-hit-rate <share>',
    description: 'exit with 99 when the hit rate over all intervals is below this: 80% or 0.8',
    ...watching,
  }),
  serve: opt.custom(checked(checkUrl), {
    flags: '--serve <url>',
    description: 'a running `cosmos-pipe serve` to ask for the keys that are asked for most',
    ...hot,
  }),
  hotFile: opt.text({
    flags: '--hot-file <path>',
    description: 'write these keys there, for `warm --keys-file`',
    ...hot,
  }),
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'prefix of the keys written to --hot-file',
    fallback: 'cp:',
    ...hot,
  }),
  ...redisOptions,
};

function checkUrl(text: string): void {
  if (!/^https?:/i.test(text) || !URL.canParse(text))
    throw new RangeError(`expected for example http://127.0.0.1:8080, got "${text}"`);
}

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Show what a Redis cache does: hit rate in the interval (not since its start), operations, evictions, memory, prefixes.',
    '',
    'Uses INFO, SCAN, PTTL and MEMORY USAGE only, which Azure allows; no MONITOR, no CONFIG.',
  ].join('\n'),
  examples: [
    'cosmos-pipe stats',
    'cosmos-pipe stats --interval 10s -n 0',
    'cosmos-pipe stats --interval 30s --min-hit-rate 0.8',
    'cosmos-pipe stats --serve http://127.0.0.1:8080 --hot-file hot.ndjson',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    if (values.hotFile !== undefined && values.serve === undefined)
      throw usageError('--hot-file needs --serve', 'pass the address of a running `cosmos-pipe serve`');
    const { redis } = await context.targets(['redis']);
    const { openCache } = await import('../src/cache/connection.ts');
    const connection = await openCache(redis as NonNullable<typeof redis>);
    try {
      return await watch(connection, values, context);
    } finally {
      connection.dispose();
    }
  },
});

async function watch(
  connection: CacheConnection,
  values: Values,
  { clock, cwd, signal, terminal }: CommandContext,
): Promise<ExitCode> {
  const [{ watchCache }, { samplePrefixes }, { hotFileText, readHotKeys }] = await Promise.all([
    import('../src/cache/stats.ts'),
    import('../src/cache/prefix-sample.ts'),
    import('../src/cache/hot-report.ts'),
  ]);
  const { num, sample, serve } = values;
  terminal.note(
    `Watching ${connection.address} for ${formatDurationMs(values.interval)}${num === 1 ? '' : ' at a time'}`,
  );
  let last: CacheInterval | undefined;
  let [count, hits, reads] = [0, 0, 0];
  for await (const interval of watchCache(connection, values.interval, signal, clock)) {
    last = interval;
    hits += interval.hits;
    reads += interval.hits + interval.misses;
    if (num !== 1) await terminal.item(terminal.json ? JSON.stringify(interval) : intervalLine(interval));
    if (++count === num) break;
  }
  if (num === 1 && last !== undefined) {
    const prefixes = sample === 0 ? [] : await samplePrefixes(connection, { budget: sample });
    const hotKeys = serve === undefined ? undefined : await readHotKeys(connection, serve);
    if (values.hotFile !== undefined && hotKeys !== undefined)
      await writeFile(resolve(cwd, values.hotFile), hotFileText(hotKeys, values.prefix));
    const text = [
      intervalText(last),
      ...(prefixes.length > 0 ? [prefixText(prefixes)] : []),
      ...(hotKeys ? [hotText(hotKeys)] : []),
    ];
    terminal.result({ ...last, prefixes, ...(hotKeys && { hot: hotKeys }) }, text.join('\n'));
  }
  const code = verdict(hits, reads, values, terminal);
  return code === Exit.Ok && signal.aborted ? Exit.Interrupted : code;
}

/** A cache that nobody read has no hit rate, and does not meet one either. */
function verdict(hits: number, reads: number, { minHitRate }: Values, terminal: Terminal): ExitCode {
  if (minHitRate === undefined || (reads > 0 && hits / reads >= minHitRate)) return Exit.Ok;
  const seen = reads === 0 ? 'nothing was read' : `hit rate ${formatShare(hits, reads)}`;
  terminal.warn(`${seen}, wanted at least ${formatShare(minHitRate, 1)}`);
  return Exit.ThresholdsCrossed;
}
