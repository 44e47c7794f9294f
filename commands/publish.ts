import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type CommandContext, defineCommand } from '../src/cli/command.ts';
import { commandLine } from '../src/cli/command-line.ts';
import { startLiveView } from '../src/cli/live.ts';
import { flagOf } from '../src/cli/resolve-options.ts';
import type { EventSchema, GridEvent } from '../src/eventgrid/event.ts';
import type { EventPublisher, PublisherTotals } from '../src/eventgrid/publisher.ts';
import { projector } from '../src/pipeline/feed/fields.ts';
import { parseFeedStart } from '../src/pipeline/feed/start.ts';
import { formatCount } from '../src/report/format.ts';
import { formatBytes } from '../src/util/bytes.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { seededRandom } from '../src/util/random.ts';
import { options, type Values } from './publish-options.ts';

export const command = defineCommand({
  description: [
    'Publish events to an Event Grid topic: changes of a container, lines of JSON, or generated ones.',
    '',
    'Sources: `feed`, `generate`, or files of NDJSON (- for stdin). Lines that are events already go as they are; any',
    'other line becomes the data of one. Ids are the same whenever the same thing is published again, so that',
    '`receive` stores it once.',
  ].join('\n'),
  operands: '[source...]',
  examples: [
    'cosmos-pipe publish feed --from beginning --resume published.json',
    `cosmos-pipe publish feed --payload full --fields deviceId,value --filter 'type == "TEMP"'`,
    'cosmos-pipe publish orders.ndjson --type Order.Created --subject /orders/{data.id}',
    'cosmos-pipe publish generate -n 100000 --ledger run.ledger.ndjson',
    `tail -f app.log | cosmos-pipe publish - --type App.Log`,
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const [source, ...more] = context.operands;
    if (source === undefined)
      throw usageError('nothing to publish', 'name a source: feed, generate, a file, or - for stdin');
    if ((source === 'feed' || source === 'generate') && more.length > 0)
      throw usageError(
        `${source} is a source of its own`,
        `to publish a file of that name write ./${source}`,
      );
    checkSource(source, values);
    const { clock, signal, terminal } = context;
    const { eventGrid } = await context.targets(source === 'feed' ? ['eventGrid', 'cosmos'] : ['eventGrid']);
    if (eventGrid === undefined) throw new PipeError('E_INTERNAL', 'targets() returns what is needed');
    const { openPublisher } = await import('../src/eventgrid/publisher.ts');
    const publisher = await openPublisher(eventGrid, {
      schema: schemaOf(values),
      eventsPerSecond: values.rate,
      bytesPerSecond: values.bandwidth,
      concurrency: values.concurrency,
      giveUpMs: values.giveUp,
      clock,
      random: seededRandom(clock.epochMicros()),
      signal,
    });
    terminal.note(
      `Publishing ${source === '-' ? 'stdin' : context.operands.join(', ')} to ${eventGrid.endpoint} as ${values.schema}, at most ${values.rate === 0 ? 'any number of' : formatCount(values.rate)} events/s. ^C to stop.`,
    );
    const startedAt = clock.now();
    const progress = (): string =>
      `${formatCount(publisher.totals().published)} events published, ${formatCount(publisher.totals().retried)} requests repeated`;
    const live = startLiveView(terminal, { frame: () => [` ${progress()}`], heartbeat: progress, clock });
    const extra = await publishFrom(source, values, context, publisher).finally(() => live.stop());
    const durationMs = clock.now() - startedAt;
    const totals = publisher.totals();
    const result = { source, ...totals, ...extra, durationMs: Math.round(durationMs) };
    terminal.result(result, resultText(totals, extra, durationMs));
    if (values.resume !== undefined) terminal.note(`next       ${commandLine(context.argv)}`);
    return signal.aborted ? ExitCode.Interrupted : ExitCode.Ok;
  },
});

const OF_FEED = ['filter', 'fields', 'resume', 'untilIdle', 'allowLoops'] as const;
const OF_GENERATED = ['size', 'ledger', 'run'] as const;

/** Refuses flags of another source. */
function checkSource(source: string, values: Values): void {
  const given = (names: readonly (keyof Values)[]) => names.find((name) => values[name] !== undefined);
  const stray = [source !== 'feed' && given(OF_FEED), source !== 'generate' && given(OF_GENERATED)].find(
    Boolean,
  );
  if (stray)
    throw usageError(
      `${flagOf(stray)} has no meaning for ${source === 'feed' || source === 'generate' ? source : 'lines'}`,
      `it belongs to \`publish ${OF_FEED.includes(stray as never) ? 'feed' : 'generate'}\``,
    );
}

/** Counts beside the publisher's own, by their name in JSON. */
type Extra = Readonly<Record<string, number | string>>;

function publishFrom(
  source: string,
  values: Values,
  context: CommandContext,
  publisher: EventPublisher,
): Promise<Extra> {
  if (source === 'feed') return publishFeed(values, context, publisher);
  if (source === 'generate') return publishGenerated(values, context, publisher);
  return publishLines(values, context, publisher);
}

function schemaOf({ schema }: Values): EventSchema {
  return schema === 'cloudevents' ? 'cloudEvents' : 'eventGrid';
}

async function publishFeed(
  values: Values,
  context: CommandContext,
  publisher: EventPublisher,
): Promise<Extra> {
  const { clock, cwd, signal } = context;
  const { cosmos } = await context.targets(['cosmos']);
  if (cosmos === undefined) throw new PipeError('E_INTERNAL', 'targets() returns what is needed');
  const [
    { openCosmos },
    { readContainer },
    { openChangeFeed },
    feedSink,
    { changeType },
    resume,
    { tailFeed },
  ] = await Promise.all([
    import('../src/cosmos/client.ts'),
    import('../src/cosmos/containers.ts'),
    import('../src/cosmos/change-feed/reader.ts'),
    import('../src/pipeline/feed/event-grid-sink.ts'),
    import('../src/pipeline/feed/publish-change.ts'),
    import('../src/pipeline/feed/resume.ts'),
    import('../src/pipeline/feed/tail.ts'),
  ]);
  const connection = await openCosmos(cosmos);
  try {
    const { rid } = await readContainer(connection);
    const file = values.resume === undefined ? undefined : resolve(cwd, values.resume);
    const stored = file === undefined ? undefined : await resume.loadPosition(file);
    const open = () =>
      openChangeFeed(connection, {
        start:
          stored === undefined
            ? parseFeedStart(values.from, clock.epochMicros() / 1000)
            : { continuation: stored },
        mode: values.mode === 'all' ? 'allVersions' : 'latestVersion',
        pollMs: values.poll,
        clock,
        signal,
        ...(values.untilIdle !== undefined && { untilIdleMs: values.untilIdle }),
      });
    const feed = await resume.fromFile(file, open);
    const types = new Set(values.includeType);
    const sink = feedSink.eventGridSink({
      publisher,
      origin: { endpoint: cosmos.endpoint, database: cosmos.database, container: cosmos.container, rid },
      schema: schemaOf(values),
      payload: values.fields === undefined ? values.payload : 'full',
      maxEventBytes: values.maxEvent,
      loops: values.allowLoops === true,
      ...(types.size > 0 && { include: (change) => types.has(changeType(change)) }),
    });
    const { read } = await tailFeed(feed, {
      sinks: [sink],
      clock,
      signal,
      // The publisher has its own patience; what it gave up is no fault of one change.
      poison: { attempts: 1, backoffMs: 0 },
      ...(values.filter && { filter: values.filter }),
      // The mark of `receive` is what the loop guard goes by.
      ...(values.fields !== undefined && { project: projector([...values.fields.split(','), 'eg']) }),
      ...(values.num !== undefined && { limit: values.num }),
      ...(file !== undefined && { save: (position: string) => resume.savePosition(file, position) }),
    });
    return { read, ...sink.counts };
  } finally {
    connection.dispose();
  }
}

async function publishLines(
  values: Values,
  context: CommandContext,
  publisher: EventPublisher,
): Promise<Extra> {
  const [{ eventsOfLines }, { publishStream }] = await Promise.all([
    import('../src/pipeline/event-grid/publish-lines.ts'),
    import('../src/pipeline/event-grid/publish.ts'),
  ]);
  const { clock, cwd, operands, signal, terminal } = context;
  for (const path of operands)
    if (path !== '-')
      await readable(resolve(cwd, path)).catch((cause: unknown) => {
        throw new PipeError('E_CONFIG', `cannot read ${path} (${(cause as NodeJS.ErrnoException).code})`, {
          hint: 'sources are feed, generate, files of NDJSON, and - for stdin',
          cause,
        });
      });
  async function* events(): AsyncGenerator<GridEvent> {
    for (const path of operands) {
      const input = path === '-' ? terminal.streams.stdin : createReadStream(resolve(cwd, path));
      // Closed by the signal: an idle pipe must not hold the end back.
      const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal });
      yield* eventsOfLines(lines, {
        schema: schemaOf(values),
        type: values.type,
        source: values.source,
        subject: values.subject,
        name: path === '-' ? 'stdin' : path,
        now: () => new Date(clock.epochMicros() / 1000).toISOString(),
      });
    }
  }
  const { read, skipped } = await publishStream(limited(events(), values.num), {
    publisher,
    clock,
    signal,
    eventOf: included(values),
  });
  return { read, skipped };
}

/** Throws what reading would throw, a folder included. */
async function readable(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.read(Buffer.alloc(1), 0, 1);
  } finally {
    await file.close();
  }
}

async function publishGenerated(
  values: Values,
  context: CommandContext,
  publisher: EventPublisher,
): Promise<Extra> {
  const { clock, cwd, signal } = context;
  if (values.num === undefined)
    throw usageError('generate needs a number of events', 'pass for example -n 1000');
  if (values.ledger !== undefined && values.schema !== 'cloudevents')
    throw usageError(
      '--ledger needs --schema cloudevents',
      'events of the Event Grid schema have no place for the run they belong to',
    );
  const [{ generateEvents }, { publishStream }, { openLedgerFile }] = await Promise.all([
    import('../src/pipeline/event-grid/publish-generate.ts'),
    import('../src/pipeline/event-grid/publish.ts'),
    import('../src/pipeline/verify/ledger-file.ts'),
  ]);
  const run = values.run ?? `publish-${randomBytes(4).toString('hex')}`;
  const ledger =
    values.ledger === undefined ? undefined : await openLedgerFile(resolve(cwd, values.ledger), run, clock);
  try {
    const generated = generateEvents({
      workload: {
        events: values.num,
        keys: { count: Math.max(1, values.keys) },
        seed: values.seed,
        ...(values.size !== undefined && { size: values.size }),
      },
      run,
      schema: schemaOf(values),
      source: values.source,
      type: values.type,
      clock,
      signal,
    });
    const include = included(values);
    const { read, skipped } = await publishStream(generated, {
      publisher,
      clock,
      signal,
      eventOf: ({ event }) => include(event),
      accepted(batch) {
        for (const { envelope } of batch)
          ledger?.acknowledged(envelope.key, envelope.sequence, envelope.sequence);
      },
    });
    return { run, read, skipped };
  } finally {
    await ledger?.close();
  }
}

function included({ includeType }: Values): (event: GridEvent) => GridEvent | undefined {
  const types = new Set(includeType);
  return (event) => (types.size === 0 || types.has(event.type) ? event : undefined);
}

async function* limited<T>(source: AsyncIterable<T>, most = Number.POSITIVE_INFINITY): AsyncGenerator<T> {
  let taken = 0;
  if (most === 0) return;
  for await (const element of source) {
    yield element;
    taken += 1;
    if (taken === most) return;
  }
}

function resultText(
  { published, requests, retried, sizeBytes, throttled }: PublisherTotals,
  extra: Extra,
  durationMs: number,
): string {
  const perSecond = durationMs === 0 ? 0 : (published / durationMs) * 1000;
  const { looped = 0, reduced = 0, skipped = 0 } = extra;
  const noted = [
    ...(skipped ? [`${skipped} of other types left out`] : []),
    ...(looped ? [`${looped} that came from Event Grid left out`] : []),
    ...(reduced ? [`${reduced} too large for the item, published with their keys`] : []),
  ];
  return [
    `published  ${formatCount(published)} events in ${formatCount(requests)} requests, ${formatBytes(sizeBytes)}`,
    `rate       ${formatCount(Math.round(perSecond))} events/s over ${formatDurationMs(durationMs)}`,
    `problems   ${formatCount(retried)} requests repeated   ${formatCount(throttled)} throttled`,
    ...(noted.length > 0 ? [`notes      ${noted.join('   ')}`] : []),
  ].join('\n');
}
