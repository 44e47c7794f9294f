import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type CommandContext, defineCommand } from '../src/cli/command.ts';
import { commandLine } from '../src/cli/command-line.ts';
import type { CosmosTarget } from '../src/config/targets.ts';
import type { FeedChange, FeedPage, FeedStart } from '../src/cosmos/change-feed/types.ts';
import type { CosmosConnection } from '../src/cosmos/client.ts';
import { feedDeadLetter } from '../src/pipeline/feed/dead-letter.ts';
import { projector } from '../src/pipeline/feed/fields.ts';
import { feedDocument, rangeLabel } from '../src/pipeline/feed/format.ts';
import { closeAll, type FeedSink } from '../src/pipeline/feed/sink.ts';
import { type FeedSinkName, openFeedSink } from '../src/pipeline/feed/sinks.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';
import type { TailResult } from '../src/pipeline/feed/tail.ts';
import {
  changeLine,
  counted,
  lagDocument,
  lagText,
  processorLine,
  tailSummary,
} from '../src/pipeline/feed/text.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { openLeases } from './open-leases.ts';
import { options, type Values } from './tail-feed-options.ts';

export const command = defineCommand({
  description: [
    'Follow the change feed of a container: all feed ranges in parallel, in order within each.',
    '',
    '`tail-feed lag` shows how far a --resume file or a --processor is behind, without consuming.',
    'Every change reaches every sink at least once; positions are stored after all of them accepted it.',
  ].join('\n'),
  operands: '[action]',
  examples: [
    'cosmos-pipe tail-feed',
    `cosmos-pipe tail-feed --from beginning --until-idle --json | jq .item.type`,
    `cosmos-pipe tail-feed --from -10m --filter 'type == "TEMP"' -f '%t %k/%i %{value}'`,
    'cosmos-pipe tail-feed --from beginning --resume feed.json --to redis --to event-hub',
    'cosmos-pipe tail-feed --processor mirror --from beginning --to exec --exec ./import.sh',
    'cosmos-pipe tail-feed lag --processor mirror',
  ],
  options,
  run(values, context) {
    const [action] = context.operands;
    if (action === 'lag') return lag(values, context);
    if (action !== undefined) throw usageError(`unknown action "${action}" (known: lag)`);
    return tail(values, context);
  },
});

async function tail(values: Values, context: CommandContext): Promise<ExitCode> {
  check(values, context.terminal.json);
  const { clock, signal, terminal } = context;
  return withCosmos(context, async ({ connection, local, charged }) => {
    const sinks: FeedSink[] = [];
    const startedAt = clock.now();
    const print = printer(terminal);
    try {
      for (const name of sinkNames(values))
        sinks.push(await openSink(name, values, context, connection, print));
      const result = values.processor
        ? await share(values.processor, values, context, connection, local, sinks)
        : await follow(values, context, connection, sinks);
      terminal.note(tailSummary(result, charged(), clock.now() - startedAt));
      if (values.resume && !values.processor) terminal.note(`next     ${commandLine(context.argv)}`);
    } finally {
      await closeAll(sinks);
    }
    return signal.aborted ? ExitCode.Interrupted : ExitCode.Ok;
  });
}

function check(values: Values, json: boolean): void {
  const sinks = sinkNames(values);
  if (values.format !== undefined && (json || !sinks.includes('stdout')))
    throw usageError(
      `--format is for lines on stdout, ${json ? '--json has a format of its own' : `which ${sinks.join(', ')} is not`}`,
      json ? 'leave one of them out' : 'add --to stdout, or leave --format out',
    );
  if (values.ttl !== undefined && !sinks.includes('redis'))
    throw usageError('--ttl is the life of entries in Redis', 'add --to redis, or leave --ttl out');
  if (values.processor && (values.resume || values.num !== undefined || values.untilIdle !== undefined))
    throw usageError(
      '--processor keeps its position in leases and runs until it is stopped: leave out --resume, --num and --until-idle',
    );
  if (values.to.includes('webhook') && !values.webhookUrl)
    throw usageError(
      '--to webhook needs an address',
      'set COSMOS_PIPE_WEBHOOK_URL, or pass --webhook-url-file',
    );
  if (values.to.includes('exec') && !values.exec)
    throw usageError('--to exec needs a command', `pass for example --exec 'cat >> changes.ndjson'`);
}

/** `--exec` alone means `--to exec`. */
function sinkNames({ to, exec }: Values): readonly FeedSinkName[] {
  if (to.length > 0) return [...new Set(to)];
  return exec === undefined ? ['stdout'] : ['exec'];
}

/** Writes to stdout one at a time: pages of many ranges may wait for a slow reader of the pipe. */
function printer(terminal: CommandContext['terminal']): (text: string) => Promise<void> {
  let last = Promise.resolve();
  return (text) => {
    last = last.then(() => terminal.item(text.replace(/\n$/, '')));
    return last;
  };
}

async function openSink(
  name: FeedSinkName,
  values: Values,
  context: CommandContext,
  connection: CosmosConnection,
  print: (text: string) => Promise<void>,
): Promise<FeedSink> {
  const { clock, targets } = context;
  const sink = await openFeedSink(name, {
    format: lineFormat(values, context),
    print,
    exec: values.exec ?? '',
    webhookUrl: values.webhookUrl?.reveal() ?? '',
    keyPrefix: values.keyPrefix,
    ttlMs: values.ttl,
    eventHubs: async () => present((await targets(['eventHubs'])).eventHubs),
    redis: async () => present((await targets(['redis'])).redis),
    async eventGrid() {
      const { readContainer } = await import('../src/cosmos/containers.ts');
      const topic = present((await targets(['eventGrid'])).eventGrid);
      return { topic, cosmos: connection.target, rid: (await readContainer(connection)).rid };
    },
    clock,
  });
  return name === 'stdout' ? sink : announced(sink, context);
}

/** Tells a person what a sink said to each page. */
function announced(sink: FeedSink, { terminal, clock }: CommandContext): FeedSink {
  const arrow = terminal.paint('dim', '    -->');
  return {
    ...sink,
    async deliver(changes, page) {
      const startedAt = clock.now();
      await sink.deliver(changes, page);
      const took = formatDurationMs(clock.now() - startedAt);
      terminal.note(
        `${arrow} ${sink.name.padEnd(10)}  ${counted(changes.length, 'change')} accepted in ${took}`,
      );
    },
  };
}

function lineFormat({ format }: Values, { terminal }: CommandContext) {
  if (terminal.json)
    return (change: FeedChange, page: FeedPage) =>
      JSON.stringify({ ...feedDocument(change, page), received: new Date(page.receivedMs).toISOString() });
  return format ?? changeLine((style, text) => terminal.paint(style, text, terminal.streams.stdout));
}

async function follow(
  values: Values,
  context: CommandContext,
  connection: CosmosConnection,
  sinks: readonly FeedSink[],
): Promise<TailResult> {
  const { cwd, signal, terminal } = context;
  const [{ openChangeFeed }, { tailFeed }, { fromFile, loadPosition, savePosition }] = await Promise.all([
    import('../src/cosmos/change-feed/reader.ts'),
    import('../src/pipeline/feed/tail.ts'),
    import('../src/pipeline/feed/resume.ts'),
  ]);
  const file = values.resume === undefined ? undefined : resolve(cwd, values.resume);
  const stored = file === undefined ? undefined : await loadPosition(file);
  const open = () =>
    openChangeFeed(connection, {
      ...readOptions(values, context),
      start: stored === undefined ? startOf(values, context) : { continuation: stored },
      ...(values.untilIdle === undefined ? {} : { untilIdleMs: values.untilIdle }),
      onRetry: (range, reason, delayMs) =>
        terminal.warn(`range ${rangeLabel(range)}: ${reason}; again in ${formatDurationMs(delayMs)}`),
    });
  const feed = await fromFile(file, open);
  const from = stored === undefined ? values.from : `the position in ${values.resume}`;
  terminal.note(heading(values, connection.target, from, counted(feed.status().length, 'feed range')));
  return tailFeed(feed, {
    ...tailOptions(values, context, sinks),
    poison: poisonPolicy(values, context),
    signal,
    ...(values.num === undefined ? {} : { limit: values.num }),
    ...(file === undefined ? {} : { save: (position) => savePosition(file, position) }),
  });
}

async function share(
  name: string,
  values: Values,
  context: CommandContext,
  connection: CosmosConnection,
  local: boolean,
  sinks: readonly FeedSink[],
): Promise<TailResult> {
  const { signal, terminal } = context;
  const [{ openFeedProcessor }, { tailProcessor }] = await Promise.all([
    import('../src/cosmos/change-feed/processor.ts'),
    import('../src/pipeline/feed/tail.ts'),
  ]);
  const leases = await openLeases(connection, values.leaseContainer, local || values.yes === true);
  const owner = `${hostname()}-${process.pid}-${Date.now().toString(36)}`;
  const processor = await openFeedProcessor(connection, leases, {
    ...readOptions(values, context),
    name,
    owner,
    start: startOf(values, context),
    signal,
    leaseExpiryMs: values.leaseExpiry,
    balanceMs: Math.min(5_000, values.leaseExpiry / 6),
    poison: poisonPolicy(values, context),
    onEvent: (event) => terminal.note(processorLine(event)),
  });
  terminal.note(heading(values, connection.target, values.from, `processor ${name} as ${owner}`));
  return tailProcessor(processor, tailOptions(values, context, sinks));
}

function readOptions({ mode, pageSize, poll, to }: Values, { clock, signal }: CommandContext) {
  return {
    mode: mode === 'all' ? ('allVersions' as const) : ('latestVersion' as const),
    pageSize,
    texts: to.includes('redis'),
    pollMs: poll,
    clock,
    signal,
  };
}

function tailOptions({ filter, fields }: Values, { clock }: CommandContext, sinks: readonly FeedSink[]) {
  return {
    sinks,
    clock,
    ...(filter === undefined ? {} : { filter }),
    ...(fields === undefined ? {} : { project: projector(fields.split(',').map((field) => field.trim())) }),
  };
}

function poisonPolicy({ attempts, deadLetter }: Values, { cwd, terminal }: CommandContext) {
  const policy = { attempts, backoffMs: 200 };
  if (deadLetter === undefined) return policy;
  const putAside = feedDeadLetter(resolve(cwd, deadLetter));
  return {
    ...policy,
    async onPoison(change: FeedChange, error: unknown) {
      await putAside(change, error);
      terminal.warn(`change ${change.id} was put aside in ${deadLetter}: ${(error as Error).message}`);
    },
  };
}

function startOf({ from }: Values, { clock }: CommandContext): FeedStart {
  return parseFeedStart(from, clock.epochMicros() / 1000);
}

async function lag(values: Values, context: CommandContext): Promise<undefined> {
  const { clock, cwd, terminal } = context;
  if (values.processor && values.resume)
    throw usageError('--processor and --resume both say where positions are', 'pass one of them');
  const { estimateLag, estimateLagOfPosition } = await import('../src/cosmos/change-feed/lag.ts');
  const document = await withCosmos(context, async ({ connection }) => {
    if (values.processor) {
      const { leasedPositions, openLeaseStore } = await import('../src/cosmos/change-feed/lease-store.ts');
      const leases = await openLeaseStore(connection, values.leaseContainer, { create: false });
      const positions = await leasedPositions(connection, leases, values.processor);
      if (positions.length === 0) throw usageError(`there are no leases of a processor ${values.processor}`);
      const { mode } = readOptions(values, context);
      const lags = await estimateLag(connection, positions, startOf(values, context), { mode, clock });
      return lagDocument(
        lags.map((range) => ({
          ...range,
          owner: positions.find(({ min, max }) => min <= range.min && range.max <= max)?.owner ?? null,
        })),
      );
    }
    const { fromFile, loadPosition } = await import('../src/pipeline/feed/resume.ts');
    const file = values.resume && resolve(cwd, values.resume);
    const stored = file && (await loadPosition(file));
    if (!stored)
      throw usageError(
        'lag needs a position to measure from',
        'pass --processor <name>, or a --resume <file> that exists',
      );
    return lagDocument(await fromFile(file, () => estimateLagOfPosition(connection, stored, { clock })));
  });
  terminal.result(document, lagText(document));
}

interface OpenCosmos {
  readonly connection: CosmosConnection;
  readonly local: boolean;
  /** Request units used so far. */
  charged(): number;
}

async function withCosmos<T>(
  { targets }: CommandContext,
  use: (cosmos: OpenCosmos) => Promise<T>,
): Promise<T> {
  const { cosmos: target, local } = await targets(['cosmos']);
  const cosmos = present(target);
  const { openCosmos } = await import('../src/cosmos/client.ts');
  let total = 0;
  const ru = {
    charge: (_: string, __: string, requestCharge: number): void => {
      total += requestCharge;
    },
    throttled: (): void => {},
  };
  const connection = await openCosmos(cosmos, { ru });
  try {
    return await use({ connection, local, charged: () => total });
  } finally {
    connection.dispose();
  }
}

function heading({ mode }: Values, { database, container }: CosmosTarget, from: string, how: string): string {
  const versions = mode === 'all' ? 'all versions and deletes' : 'latest version';
  return `Tailing ${database}/${container} from ${from}: ${how}, ${versions}. ^C to stop.`;
}

/** `targets` throws for what it was asked for and cannot find. */
function present<T>(target: T | undefined): T {
  if (target === undefined) throw new PipeError('E_INTERNAL', 'a target that was asked for is missing');
  return target;
}
