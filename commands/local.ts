import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandContext, defineCommand, type OptionValues } from '../src/cli/command.ts';
import { ENVIRONMENT_FORMATS, formatEnvironment } from '../src/cli/environment-text.ts';
import { opt } from '../src/cli/options.ts';
import { runChild } from '../src/cli/run-child.ts';
import {
  type LocalState,
  readFolderState,
  readLocalState,
  removeLocalState,
  STATE_VARIABLE,
  writeCertificate,
  writeLocalState,
  writeStateFile,
} from '../src/config/local-state.ts';
import { askStack } from '../src/local/admin-client.ts';
import { parseFault } from '../src/local/faults/grammar.ts';
import type { HubDefinition, LocalStack } from '../src/local/index.ts';
import { parseRedisChoice } from '../src/local/redis/choice.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { redact } from '../src/util/secret.ts';

const addresses = { group: 'Addresses:' } as const;
const stack = { group: 'Stack:' } as const;

const options = {
  eventHubsPort: opt.port({
    flags: '--event-hubs-port <n>',
    description: 'AMQP port, 0 for a free one',
    fallback: '5672',
    ...addresses,
  }),
  cosmosPort: opt.port({
    flags: '--cosmos-port <n>',
    description: 'Cosmos DB port, 0 for a free one',
    fallback: '8081',
    ...addresses,
  }),
  redisPort: opt.port({
    flags: '--redis-port <n>',
    description: 'Redis port, 0 for a free one',
    fallback: '6379',
    ...addresses,
  }),
  eventGridPort: opt.port({
    flags: '--event-grid-port <n>',
    description: 'Event Grid port, 0 for a free one',
    fallback: '6500',
    ...addresses,
  }),
  adminPort: opt.port({
    flags: '--admin-port <n>',
    description: 'port of /health, /stats and /faults, 0 for a free one',
    fallback: '5300',
    ...addresses,
  }),
  freePorts: opt.flag({ flags: '--free-ports', description: 'take free ports for everything', ...addresses }),
  host: opt.text({
    flags: '--host <address>',
    description: 'address to bind',
    fallback: '127.0.0.1',
    ...addresses,
  }),
  data: opt.text({
    flags: '--data <dir>',
    description: 'keep everything in append-only logs there (default: in memory)',
    ...stack,
  }),
  hub: opt.custom(parseHub, {
    flags: '--hub <name[:partitions]>',
    description: 'event hub to create at start (default: telemetry:4)',
    repeatable: true,
    ...stack,
  }),
  redis: opt.custom(parseRedisChoice, {
    flags: '--redis <server>',
    description: 'embedded, auto (redis-server or valkey-server of the PATH), or the URL of a running server',
    fallback: 'embedded',
    ...stack,
  }),
  throughputUnits: opt.count({
    flags: '--throughput-units <n>',
    description:
      'throttle Event Hubs at 1 MB/s or 1,000 events/s in and 2 MB/s out per unit (default: unlimited)',
    ...stack,
  }),
  eventGridTimeScale: opt.number({
    flags: '--event-grid-time-scale <x>',
    description: 'length of an Event Grid second: 0.001 runs its day of retries in 86s',
    fallback: '1',
    ...stack,
  }),
  fault: opt.text({
    flags: '--fault <spec>',
    description: 'disturb a service, e.g. cosmos:throttle=5%, event-hubs:latency=50ms~20ms@10s+30s',
    repeatable: true,
    ...stack,
  }),
  seed: opt.integer({
    flags: '--seed <n>',
    description: 'seed of everything random in the stack',
    fallback: '1',
    ...stack,
  }),
  state: opt.flag({
    flags: '--no-state',
    description: 'do not tell other commands in this folder about the stack',
    ...stack,
  }),
  format: opt.choice(ENVIRONMENT_FORMATS, {
    flags: '--format <name>',
    description: `how \`local env\` prints: ${ENVIRONMENT_FORMATS.join(', ')}`,
    fallback: 'shell',
  }),
};

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  description: [
    'Run Event Hubs, Cosmos DB, Redis and Event Grid in one process, on their real wire protocols, for unmodified SDKs.',
    '',
    'Actions on a running stack: env, stats, faults [add <spec...> | clear],',
    'split <database/container> <range>. With `-- <command>`: run it against a fresh',
    'stack on free ports and return its exit code.',
  ].join('\n'),
  operands: '[action] [args...]',
  runsProgram: true,
  examples: [
    'cosmos-pipe local',
    'cosmos-pipe local --data ./pipe-data --throughput-units 4',
    'cosmos-pipe local --redis auto',
    'cosmos-pipe local -- npm test',
    'eval "$(cosmos-pipe local env)"',
    'cosmos-pipe local faults add cosmos:throttle=5%',
  ],
  options,
  async run(values, context) {
    const [action, ...args] = context.operands;
    checkArguments(action, args, context.rest);
    if (context.rest.length > 0) return runAgainstStack(values, context);
    switch (action) {
      case undefined:
        return serve(values, context);
      case 'env':
        return context.terminal.result(
          runningStack(context).environment,
          formatEnvironment(runningStack(context).environment, values.format),
        );
      case 'stats':
        return show(context, await askStack(runningStack(context).adminUrl, 'GET', '/stats'));
      case 'faults':
        return show(context, await changeFaults(runningStack(context), args));
      case 'split':
        return show(context, await split(runningStack(context), args));
      default:
        throw usageError(`unknown action "${action}" (known: env, stats, faults, split)`);
    }
  },
});

/** Operands that nobody would look at. */
function checkArguments(action: string | undefined, args: readonly string[], rest: readonly string[]): void {
  if (action !== undefined && rest.length > 0)
    throw usageError(
      `\`local ${action}\` asks a running stack, \`local -- ${rest[0]}\` starts one`,
      'leave one of them out',
    );
  if ((action === 'env' || action === 'stats') && args.length > 0)
    throw usageError(`\`local ${action}\` takes nothing more, got "${args.join(' ')}"`);
}

/** `telemetry` or `telemetry:8`. */
function parseHub(text: string): HubDefinition {
  const match = /^([\w.-]+)(?::(\d+))?$/.exec(text);
  const partitionCount = Number(match?.[2] ?? 4);
  if (match?.[1] === undefined || partitionCount < 1 || partitionCount > 1024)
    throw new RangeError(`invalid hub "${text}", expected for example telemetry:8 (1 to 1024 partitions)`);
  return { name: match[1], partitionCount };
}

async function start(values: Values, free: boolean): Promise<LocalStack> {
  const port = (fixed: number): number => (free || values.freePorts ? 0 : fixed);
  const { startLocal } = await import('../src/local/index.ts');
  try {
    return await startLocal({
      host: values.host,
      ports: {
        eventHubs: port(values.eventHubsPort),
        cosmos: port(values.cosmosPort),
        redis: port(values.redisPort),
        eventGrid: port(values.eventGridPort),
        admin: port(values.adminPort),
      },
      seed: values.seed,
      redis: values.redis,
      faults: values.fault,
      eventGridTimeScale: values.eventGridTimeScale,
      ...(values.data !== undefined && { dataDir: values.data }),
      ...(values.hub.length > 0 && { hubs: values.hub }),
      ...(values.throughputUnits !== undefined && { throughputUnits: values.throughputUnits }),
    });
  } catch (error) {
    throw error instanceof RangeError ? usageError(error.message) : error;
  }
}

/** Serves until Ctrl-C, SIGTERM, or the end of the process that started this one as its stack. */
async function serve(values: Values, context: CommandContext): Promise<ExitCode> {
  const { terminal, clock, cwd, env, signal, parent } = context;
  const startedAt = clock.now();
  const announced = values.state !== false;
  if (announced) await refuseSecond(cwd);
  const running = await start(values, false);
  try {
    const state = stateOf(running, values, {
      ...running.environment,
      ...(announced && {
        NODE_EXTRA_CA_CERTS: writeCertificate(
          join(cwd, '.cosmos-pipe'),
          running.certificate,
          env['NODE_EXTRA_CA_CERTS'],
        ),
      }),
    });
    if (announced) writeLocalState(cwd, state);
    terminal.result(state, welcome(state, context.version, clock.now() - startedAt, announced));
    parent?.send(state);
    await new Promise<void>((resolve) => {
      parent?.onDisconnect(resolve);
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve());
    });
    terminal.note('stopping');
  } finally {
    await running.stop();
    if (announced) removeLocalState(cwd, process.pid);
  }
  return ExitCode.Ok;
}

function stateOf(
  { adminUrl, certificate }: LocalStack,
  { data, redis }: Values,
  environment: LocalState['environment'],
): LocalState {
  return {
    version: 1,
    pid: process.pid,
    startedAt: new Date().toISOString(),
    environment,
    adminUrl,
    certificate,
    embeddedRedis: redis === 'embedded',
    ...(data !== undefined && { dataDir: data }),
  };
}

/** Two stacks in one folder would take turns in being found by the other commands. */
async function refuseSecond(cwd: string): Promise<void> {
  const first = readFolderState(cwd);
  if (first === undefined) return;
  try {
    await askStack(first.adminUrl, 'GET', '/health');
  } catch {
    // What is left of a stack that was killed; another process has its id now.
    return;
  }
  throw new PipeError('E_CONFIG', `a local stack runs in this folder already (process ${first.pid})`, {
    hint: 'stop it, use another folder, or pass --no-state so that no other command finds this one',
  });
}

async function runAgainstStack(
  values: Values,
  { rest, env, cwd, signal }: CommandContext,
): Promise<ExitCode> {
  const running = await start(values, true);
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-pipe-'));
  try {
    const environment = {
      ...running.environment,
      NODE_EXTRA_CA_CERTS: writeCertificate(folder, running.certificate, env['NODE_EXTRA_CA_CERTS']),
    };
    const file = join(folder, 'local.json');
    writeStateFile(file, stateOf(running, values, environment));
    const childEnv = { ...env, ...environment, [STATE_VARIABLE]: file };
    return (await runChild(rest, childEnv, cwd, signal)) as ExitCode;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await running.stop();
  }
}

function runningStack({ cwd, env }: CommandContext): LocalState {
  const state = readLocalState(cwd, env);
  if (state !== undefined) return state;
  if (env[STATE_VARIABLE])
    throw new PipeError('E_UNREACHABLE', `the local stack that ${STATE_VARIABLE} names has ended`, {
      hint: `unset ${STATE_VARIABLE} to find the stack of this folder`,
    });
  throw new PipeError('E_UNREACHABLE', 'no local stack runs in this folder', {
    hint: 'start it with `cosmos-pipe local`, in this folder',
  });
}

async function changeFaults({ adminUrl }: LocalState, [verb, ...specs]: readonly string[]): Promise<unknown> {
  if (verb === undefined) return askStack(adminUrl, 'GET', '/faults');
  if (verb === 'clear' && specs.length === 0) return askStack(adminUrl, 'DELETE', '/faults');
  if (verb !== 'add' || specs.length === 0)
    throw usageError('expected `local faults`, `local faults add <spec...>` or `local faults clear`');
  // All of them or none.
  try {
    for (const spec of specs) parseFault(spec);
  } catch (error) {
    throw usageError((error as Error).message);
  }
  let faults: unknown;
  for (const spec of specs) faults = await askStack(adminUrl, 'POST', '/faults', { spec });
  return faults;
}

async function split({ adminUrl }: LocalState, args: readonly string[]): Promise<unknown> {
  const [path = '', rangeId] = args;
  const [database, container] = path.split('/');
  if (!database || !container || rangeId === undefined || args.length > 2)
    throw usageError('expected `local split <database/container> <partition key range id>`');
  return askStack(adminUrl, 'POST', '/split', { database, container, rangeId });
}

function show({ terminal }: CommandContext, document: unknown): void {
  terminal.result(document, JSON.stringify(document, null, 2));
}

function welcome(
  { environment, adminUrl, dataDir }: LocalState,
  version: string,
  startMs: number,
  announced: boolean,
): string {
  const hubs = /Endpoint=sb:\/\/([^;/]+)/.exec(environment['EVENTHUB_CONNECTION_STRING'] ?? '')?.[1];
  const kept = dataDir === undefined ? 'in memory (gone on exit; --data keeps it)' : `kept in ${dataDir}`;
  return [
    `cosmos-pipe ${version}: embedded stack, ${kept}`,
    '',
    `  Event Hubs   amqp://${hubs}`,
    `  Cosmos DB    ${environment['COSMOS_ENDPOINT']}`,
    `  Redis        ${redact(environment['REDIS_URL'] ?? '')}`,
    `  Event Grid   ${environment['EVENTGRID_TOPIC_ENDPOINT']}`,
    `  Admin        ${adminUrl}  /health /stats /faults`,
    '',
    ...(announced
      ? [
          `Ready in ${Math.round(startMs)}ms. In another terminal, in this folder:`,
          '',
          '  eval "$(cosmos-pipe local env)"       # point any Azure SDK program here',
          '  cosmos-pipe produce --rate 500/s',
        ]
      : [`Ready in ${Math.round(startMs)}ms; no other command finds it (--no-state).`]),
  ].join('\n');
}
