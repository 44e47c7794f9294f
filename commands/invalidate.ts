import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { formatCount } from '../src/cache/text.ts';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { startLiveView } from '../src/cli/live.ts';
import { checked, cosmosOptions, opt, redisOptions, untilIdleOption, yesOption } from '../src/cli/options.ts';
import type { CosmosConnection } from '../src/cosmos/client.ts';
import { createStageRecorder, type RecordingStage } from '../src/metrics/stage-recorder.ts';
import type { Invalidator } from '../src/pipeline/cache/invalidate.ts';
import type { FeedSink } from '../src/pipeline/feed/sink.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode as Exit, type ExitCode, usageError } from '../src/util/errors.ts';
import { openLeases } from './open-leases.ts';

const cache = { group: 'Cache:' } as const;
const reading = { group: 'Reading:' } as const;

const options = {
  mode: opt.choice(['delete', 'refresh', 'refresh-if-present', 'tombstone'], {
    flags: '--mode <name>',
    description: 'what a change does to its entry: delete, refresh, refresh-if-present, tombstone',
    fallback: 'delete',
    ...cache,
  }),
  prefix: opt.prefix({
    flags: '--prefix <text>',
    description: 'keys are <prefix><partitionKey>:<id>',
    fallback: 'cp:',
    ...cache,
  }),
  ttl: opt.positiveDurationMs({
    flags: '--ttl <duration>',
    description: 'life of refreshed entries, and of tombstones in tombstone mode',
    fallback: '1h',
    ...cache,
  }),
  guard: opt.durationMs({
    flags: '--guard <duration>',
    description: 'how long a deleted entry refuses older items: longer than any reader takes to fill it',
    fallback: '60s',
    ...cache,
  }),
  publish: opt.text({
    flags: '--publish <channel>',
    description: 'tell each changed key to this channel, for caches inside other processes',
    ...cache,
  }),
  softDelete: opt.text({
    flags: '--soft-delete <field>',
    description: 'a true value in this field of an item means deleted',
    ...cache,
  }),
  from: opt.custom(
    checked((text) => parseFeedStart(text, 0)),
    {
      flags: '--from <start>',
      description: 'beginning, now, -10m, or a time',
      fallback: 'now',
      ...reading,
    },
  ),
  allVersions: opt.flag({
    flags: '--all-versions',
    description: 'see deletes too (needs a change feed policy on the container)',
    ...reading,
  }),
  untilIdle: untilIdleOption(reading.group, '0s'),
  poll: opt.durationMs({
    flags: '--poll <duration>',
    description: 'longest wait between requests of an idle range',
    fallback: '200ms',
    ...reading,
  }),
  resume: opt.text({
    flags: '--resume <file>',
    description: 'go on from the position in this file, and keep it there',
    ...reading,
  }),
  processor: opt.text({
    flags: '--processor <name>',
    description: 'share the ranges with every process of this name; positions are kept in leases',
    ...reading,
  }),
  leaseContainer: opt.resourceId({
    flags: '--lease-container <id>',
    description: 'container of the leases, in the same database',
    fallback: 'leases',
    ...reading,
  }),
  yes: { ...yesOption, description: 'create a missing lease container without asking', ...reading },
  ...cosmosOptions,
  ...redisOptions,
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Keep a Redis cache true to a container: every change of the feed deletes or refreshes its entry.',
    '',
    'Entries carry a version, so that a slow reader or writer never puts an older item back. The latest-version feed shows',
    'no deletes: pass --all-versions where the container keeps them, or --soft-delete.',
  ].join('\n'),
  examples: [
    'cosmos-pipe invalidate --mode refresh-if-present --processor cache',
    'cosmos-pipe invalidate --resume invalidate.json --publish cp:invalidated',
    'cosmos-pipe invalidate --all-versions --mode delete',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const { clock, signal, terminal } = context;
    if (values.processor !== undefined && (values.resume !== undefined || values.untilIdle !== undefined))
      throw usageError(
        '--processor keeps its position in leases and runs until it is stopped: leave out --resume and --until-idle',
      );
    const start = parseFeedStart(values.from, clock.epochMicros() / 1000);
    const { cosmos: cosmosTarget, redis, local } = await context.targets(['cosmos', 'redis']);
    const [{ openCosmos }, { openCache }, { createInvalidator }] = await Promise.all([
      import('../src/cosmos/client.ts'),
      import('../src/cache/connection.ts'),
      import('../src/pipeline/cache/invalidate.ts'),
    ]);
    const cosmos = await openCosmos(cosmosTarget as NonNullable<typeof cosmosTarget>);
    const connection = await openCache(redis as NonNullable<typeof redis>).catch((error: unknown) => {
      cosmos.dispose();
      throw error;
    });
    const recorder = createStageRecorder('invalidate', { clock });
    const invalidator = createInvalidator({
      cache: connection,
      mode: values.mode === 'refresh-if-present' ? 'refreshIfPresent' : values.mode,
      keyPrefix: values.prefix,
      ttlMs: values.ttl,
      guardMs: values.guard,
      recorder,
      clock,
      ...(values.publish !== undefined && { publish: values.publish }),
      ...(values.softDelete !== undefined && { softDeleteField: values.softDelete }),
    });
    const { database, container } = cosmos.target;
    terminal.note(
      `Invalidating ${connection.address} (${values.prefix}, ${values.mode}) from ${database}/${container}, ${values.from}. ^C to stop.`,
    );
    if (!values.allVersions && values.softDelete === undefined)
      terminal.warn('deletes do not show in this feed: see --all-versions and --soft-delete');
    const view = startLiveView(terminal, {
      frame: () => [` ${progressLine(invalidator, recorder)}`],
      heartbeat: () => progressLine(invalidator, recorder),
      clock,
    });
    try {
      const sink: FeedSink = {
        name: 'redis',
        deliver: (changes) => invalidator.apply({ changes }),
        close: async () => undefined,
      };
      await run(sink, start, values, context, cosmos, local);
    } finally {
      view.stop();
      connection.dispose();
      cosmos.dispose();
    }
    const { latency } = recorder.summary();
    const totals = invalidator.totals();
    terminal.result({ ...totals, lag: latency }, resultText(totals, latency));
    return signal.aborted ? Exit.Interrupted : Exit.Ok;
  },
});

async function run(
  sink: FeedSink,
  start: ReturnType<typeof parseFeedStart>,
  values: Values,
  { clock, cwd, signal }: CommandContext,
  cosmos: CosmosConnection,
  local: boolean,
): Promise<void> {
  const mode = values.allVersions ? ('allVersions' as const) : ('latestVersion' as const);
  const poison = { attempts: 10, backoffMs: 200 };
  const [{ tailFeed, tailProcessor }, { fromFile, loadPosition, savePosition }] = await Promise.all([
    import('../src/pipeline/feed/tail.ts'),
    import('../src/pipeline/feed/resume.ts'),
  ]);
  if (values.processor !== undefined) {
    const { openFeedProcessor } = await import('../src/cosmos/change-feed/processor.ts');
    const leases = await openLeases(cosmos, values.leaseContainer, local || values.yes === true);
    const processor = await openFeedProcessor(cosmos, leases, {
      name: values.processor,
      owner: `${hostname()}-${process.pid}`,
      start,
      mode,
      pollMs: values.poll,
      clock,
      signal,
      poison,
    });
    await tailProcessor(processor, { sinks: [sink], clock });
    return;
  }
  const { openChangeFeed } = await import('../src/cosmos/change-feed/reader.ts');
  const file = values.resume === undefined ? undefined : resolve(cwd, values.resume);
  const stored = file === undefined ? undefined : await loadPosition(file);
  const open = () =>
    openChangeFeed(cosmos, {
      start: stored === undefined ? start : { continuation: stored },
      mode,
      pollMs: values.poll,
      clock,
      signal,
      ...(values.untilIdle !== undefined && { untilIdleMs: values.untilIdle }),
    });
  const feed = await fromFile(file, open);
  await tailFeed(feed, {
    sinks: [sink],
    clock,
    signal,
    poison,
    ...(file !== undefined && { save: (position: string) => savePosition(file, position) }),
  });
}

function progressLine(invalidator: Invalidator, recorder: RecordingStage): string {
  const { changes, applied, deletes } = invalidator.totals();
  const { latencyP99Ms } = recorder.snapshot();
  return `${formatCount(changes)} changes   ${formatCount(applied)} entries   ${formatCount(deletes)} deletes   lag p99 ${formatDurationMs(latencyP99Ms)}`;
}

function resultText(
  { changes, applied, unaffected, coalesced, deletes }: ReturnType<Invalidator['totals']>,
  lag: ReturnType<RecordingStage['summary']>['latency'],
): string {
  return [
    `changes  ${formatCount(changes)}   ${formatCount(deletes)} deletes   ${formatCount(coalesced)} coalesced`,
    `entries  ${formatCount(applied)} changed   ${formatCount(unaffected)} not held or newer`,
    `lag      p50 ${formatDurationMs(lag.p50Ms)}   p99 ${formatDurationMs(lag.p99Ms)}   max ${formatDurationMs(lag.maxMs)}   (stored times have a resolution of 1s)`,
  ].join('\n');
}
