import { type CommandContext, defineCommand, type ServiceName } from '../src/cli/command.ts';
import { cosmosOptions, eventGridOptions, eventHubsOptions, opt, redisOptions } from '../src/cli/options.ts';
import { readLocalState } from '../src/config/local-state.ts';
import { NotConfiguredError } from '../src/config/resolve-targets.ts';
import type { Targets } from '../src/config/targets.ts';
import { askStack } from '../src/local/admin-client.ts';
import {
  type Check,
  type ExamineOptions,
  examineClock,
  examineCosmos,
  examineEventGrid,
  examineEventHubs,
  examineRedis,
} from '../src/pipeline/doctor/doctor.ts';
import { examineMachine, readMachine } from '../src/pipeline/doctor/machine.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, PipeError } from '../src/util/errors.ts';

const options = {
  ...eventHubsOptions,
  ...cosmosOptions,
  ...redisOptions,
  ...eventGridOptions,
  timeout: opt.positiveDurationMs({
    flags: '--timeout <duration>',
    description: 'how long to wait for an answer before a service counts as unreachable',
    fallback: '5s',
  }),
};

export const command = defineCommand({
  description: [
    'Check everything that the other commands depend on: Node, the pipeline file, the local stack, each configured',
    'service (address, sign-in, partitions, throughput), the clock and the limits of this machine. Changes nothing.',
    'Exits with 3 when there is a problem.',
  ].join('\n'),
  examples: [
    'cosmos-pipe doctor',
    'cosmos-pipe doctor --target staging --json',
    'cosmos-pipe doctor --local --timeout 2s',
  ],
  options,
  async run({ timeout }, context) {
    const examining = { clock: context.clock, timeoutMs: timeout };
    const checks = [
      ...examineMachine(readMachine()),
      configFile(context),
      await localStack(context),
      ...(await services(context, examining)),
    ];
    const tally = (status: Check['status']): number =>
      checks.filter((check) => check.status === status).length;
    const counts = {
      problems: tally('problem'),
      warnings: tally('warning'),
      skipped: tally('skipped'),
    };
    context.terminal.result(
      { ok: counts.problems === 0, ...counts, checks },
      [...checks.flatMap((check) => lines(check, context)), '', summary(counts)].join('\n'),
    );
    return counts.problems === 0 ? ExitCode.Ok : ExitCode.Connection;
  },
});

function configFile({ configPath }: CommandContext): Check {
  return configPath === undefined
    ? { name: 'config', status: 'skipped', text: 'no pipeline.yaml here or above' }
    : { name: 'config', status: 'ok', text: configPath };
}

async function localStack({ cwd, clock, env }: CommandContext): Promise<Check> {
  const name = 'local stack';
  const state = readLocalState(cwd, env);
  if (state === undefined) return { name, status: 'skipped', text: 'none runs in this folder' };
  try {
    await askStack(state.adminUrl, 'GET', '/health');
    const age = formatDurationMs(clock.epochMicros() / 1000 - Date.parse(state.startedAt));
    return { name, status: 'ok', text: `process ${state.pid}, up for ${age}, ${state.adminUrl}` };
  } catch (error) {
    return {
      name,
      status: 'problem',
      text: `process ${state.pid} does not answer (${(error as Error).message})`,
      hint: 'stop it and start `cosmos-pipe local` again',
    };
  }
}

/** All at once: a service that cannot be reached costs its own time-out only. */
async function services(context: CommandContext, examining: ExamineOptions): Promise<Check[]> {
  const { eventHubs, cosmos, redis, eventGrid, missing } = await configured(context);
  const found = await Promise.all([
    eventHubs && examineEventHubs(eventHubs, examining),
    cosmos && examineCosmos(cosmos, examining),
    redis && examineRedis(redis, examining),
    eventGrid && examineEventGrid(eventGrid, examining),
  ]);
  const clockSource = cosmos?.endpoint ?? eventGrid?.endpoint;
  // Asked alone, so that the answer is not late by the work of the others.
  const clock = clockSource === undefined ? [] : await examineClock(clockSource, examining);
  return [...found.flatMap((checks) => checks ?? []), ...missing, ...clock];
}

async function configured(
  context: CommandContext,
): Promise<Partial<Targets> & { readonly missing: readonly Check[] }> {
  const titles = { eventHubs: 'event hubs', cosmos: 'cosmos db', redis: 'redis', eventGrid: 'event grid' };
  const found: Partial<Targets> = {};
  const missing: Check[] = [];
  for (const service of Object.keys(titles) as ServiceName[]) {
    try {
      Object.assign(found, await context.targets([service]));
    } catch (error) {
      if (!(error instanceof PipeError) || error.code !== 'E_CONFIG') throw error;
      missing.push({
        name: titles[service],
        status: error instanceof NotConfiguredError ? 'skipped' : 'problem',
        text: error.message,
        ...(error.hint !== undefined && { hint: error.hint }),
      });
    }
  }
  return { ...found, missing };
}

function lines({ name, status, text, hint, durationMs }: Check, { terminal }: CommandContext): string[] {
  const { stdout } = terminal.streams;
  const mark = {
    ok: terminal.paint('green', '✓', stdout),
    warning: terminal.paint('yellow', '!', stdout),
    problem: terminal.paint('red', '✗', stdout),
    skipped: '-',
  }[status];
  const took = status === 'ok' && durationMs !== undefined ? `, ${formatDurationMs(durationMs)}` : '';
  const skipped = status === 'skipped' ? 'skipped: ' : '';
  return [
    ` ${mark} ${name.padEnd(12)} ${skipped}${text}${took}`,
    ...(hint === undefined ? [] : [`${' '.repeat(16)}${terminal.paint('dim', hint, stdout)}`]),
  ];
}

function summary({
  problems,
  warnings,
  skipped,
}: Readonly<Record<'problems' | 'warnings' | 'skipped', number>>): string {
  const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return `${count(problems, 'problem')}, ${count(warnings, 'warning')}, ${skipped} skipped`;
}
