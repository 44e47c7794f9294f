import { type CommandContext, defineCommand } from '../src/cli/command.ts';
import { eventGridOptions, opt } from '../src/cli/options.ts';
import { type LocalEventGrid, localEventGrid } from '../src/local/event-grid-client.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';

const options = {
  limit: opt.integer({
    flags: '--limit <n>',
    description: 'most dead letters to list',
    fallback: '100',
  }),
  all: opt.flag({ flags: '--all', description: 'replay every dead letter there is' }),
  ...eventGridOptions,
};

export const command = defineCommand({
  description: [
    'Look into a local Event Grid: what became of an event, and what could not be delivered.',
    '',
    'Actions: trace <event id>, dead-letter list, dead-letter replay <path...> (or --all).',
  ].join('\n'),
  operands: '<action> [args...]',
  examples: [
    'cosmos-pipe events trace 4e1c2c5a-7f6d',
    'cosmos-pipe events dead-letter list',
    'cosmos-pipe events dead-letter replay --all',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const [action, ...args] = context.operands;
    if (action === 'trace') return trace(args, context);
    if (action !== 'dead-letter')
      throw usageError(`unknown action "${action}" (known: trace, dead-letter list, dead-letter replay)`);
    const [verb, ...paths] = args;
    if (verb === 'list') return list(values.limit, context);
    if (verb === 'replay') return replay(paths, values.all === true, context);
    throw usageError('expected `events dead-letter list` or `events dead-letter replay <path...>`');
  },
});

async function gridOf({ targets }: CommandContext): Promise<LocalEventGrid> {
  const { eventGrid } = await targets(['eventGrid']);
  const grid = eventGrid && localEventGrid(eventGrid.endpoint);
  if (grid !== undefined) return grid;
  throw new PipeError('E_CONFIG', `${eventGrid?.endpoint} is not a local Event Grid`, {
    hint: 'events looks into the stack of `cosmos-pipe local`; Azure keeps no trace of single events',
  });
}

interface TraceEntry {
  readonly at: string;
  readonly subscription?: string;
  readonly step: string;
  readonly detail?: string;
}

async function trace([id, ...more]: readonly string[], context: CommandContext): Promise<ExitCode> {
  if (id === undefined || more.length > 0) throw usageError('expected `events trace <event id>`');
  const grid = await gridOf(context);
  const document = (await grid.ask('GET', `/trace/${encodeURIComponent(id)}`)) as {
    readonly entries: readonly TraceEntry[];
  };
  const width = Math.max(...document.entries.map(({ subscription = '' }) => subscription.length));
  const lines = document.entries.map(({ at, detail = '', step, subscription = '' }) =>
    `${at.slice(11, 23)}  ${subscription.padEnd(width)}  ${step.padEnd(12)}  ${detail}`.trimEnd(),
  );
  context.terminal.result(document, lines.join('\n'));
  return ExitCode.Ok;
}

interface DeadLetters {
  readonly total: number;
  readonly letters: readonly {
    readonly id: string;
    readonly topic: string;
    readonly subscription: string;
    readonly events: readonly Readonly<Record<string, unknown>>[];
  }[];
}

async function deadLetters(context: CommandContext, limit: number): Promise<DeadLetters> {
  const grid = await gridOf(context);
  return (await grid.ask('GET', `/deadletters?limit=${limit}`)) as DeadLetters;
}

async function list(limit: number, context: CommandContext): Promise<ExitCode> {
  const found = await deadLetters(context, limit);
  const lines = found.letters.flatMap(({ events, id }) => [
    id,
    ...events.map((event) => {
      const reason = event['deadLetterReason'] ?? event['deadletterreason'];
      const outcome = event['lastDeliveryOutcome'] ?? event['lastdeliveryoutcome'];
      const attempts = event['deliveryAttempts'] ?? event['deliveryattempts'];
      return `  ${String(event['id'])}  ${String(reason)} after ${String(attempts)} attempts, the last one ${String(outcome)}`;
    }),
  ]);
  const rest = found.total - found.letters.length;
  if (rest > 0) lines.push(`... and ${rest} more; pass --limit ${found.total}`);
  context.terminal.result(found, lines.length === 0 ? 'no dead letters' : lines.join('\n'));
  return ExitCode.Ok;
}

/** Those that are there now: what fails again becomes a dead letter again. */
async function everyDeadLetter(context: CommandContext): Promise<readonly string[]> {
  const { total } = await deadLetters(context, 1);
  const { letters } = await deadLetters(context, Math.max(1, total));
  return letters.map(({ id }) => id);
}

async function replay(paths: readonly string[], all: boolean, context: CommandContext): Promise<ExitCode> {
  if (all === paths.length > 0)
    throw usageError(
      all
        ? '--all replays every dead letter, named or not'
        : 'name the dead letters to replay, or pass --all',
      all ? 'leave out --all, or the names' : '`cosmos-pipe events dead-letter list` shows them',
    );
  const ids = all ? await everyDeadLetter(context) : paths;
  const grid = await gridOf(context);
  const replayed: string[] = [];
  for (const id of ids) {
    const answer = (await grid.ask('POST', `/deadletters/${encodeURIComponent(id)}/replay`)) as {
      readonly replayed: readonly string[];
    };
    replayed.push(...answer.replayed);
  }
  context.terminal.result({ replayed }, `replayed   ${replayed.length} events`);
  return ExitCode.Ok;
}
