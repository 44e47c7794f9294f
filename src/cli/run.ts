import { Command as Commander, Option } from 'commander';
import { isRecord, loadPipelineFile, type PipelineFile } from '../config/pipeline-file.ts';
import type { Clock } from '../util/clock.ts';
import { ExitCode, PipeError, usageError } from '../util/errors.ts';
import type { Command, OptionSpec, OptionSpecs, ParentChannel } from './command.ts';
import { createContext } from './context.ts';
import { printConfig } from './print-config.ts';
import { reportError } from './report-error.ts';
import { environmentName, resolveOptions } from './resolve-options.ts';
import { type Streams, Terminal } from './terminal.ts';

export interface ManifestEntry {
  readonly summary: string;
  readonly group: string;
  load(): Promise<{ readonly command: Command }>;
}

export type Manifest = Readonly<Record<string, ManifestEntry>>;

export interface RunOptions {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly streams: Streams;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly version: string;
  /** Program and arguments that start this CLI again. */
  readonly self: readonly string[];
  readonly parent?: ParentChannel;
}

interface GlobalOptions {
  readonly config?: string;
  readonly target?: string;
  readonly local?: boolean;
  readonly printConfig?: boolean;
}

/** Runs one command line and returns the exit code. Never calls process.exit, so tests can call it in-process. */
export async function run(manifest: Manifest, options: RunOptions): Promise<number> {
  const [ours, rest] = splitArguments(options.argv);
  const terminal = terminalOf(options);
  let exitCode: number = ExitCode.Ok;
  const execute = async (stub: Commander, name: string, command: Command): Promise<void> => {
    exitCode = await runCommand(stub, name, command, { ...options, argv: ours }, terminal, rest);
  };
  try {
    await buildProgram(manifest, options, execute).parseAsync(helpAsFlag(ours), { from: 'user' });
    return exitCode;
  } catch (error) {
    const { aborted, reason } = options.signal;
    // `signal.throwIfAborted()` throws the reason, which is the name of the signal.
    const isInterruption = aborted && error === reason;
    return reportError(isInterruption ? interrupted() : error, terminal, ours.includes('--debug'));
  }
}

/** What follows `--` is for the child. */
function splitArguments(
  argv: readonly string[],
): readonly [ours: readonly string[], rest: readonly string[]] {
  const dashes = argv.indexOf('--');
  return dashes === -1 ? [argv, []] : [argv.slice(0, dashes), argv.slice(dashes + 1)];
}

/** The terminal as the command line wants it, known before the command line is parsed: a bad one is reported on it too. */
export function terminalOf({ argv, env, streams }: Pick<RunOptions, 'argv' | 'env' | 'streams'>): Terminal {
  const [ours] = splitArguments(argv);
  const has = (...flags: string[]): boolean => flags.some((flag) => ours.includes(flag));
  return new Terminal({
    streams,
    env,
    json: has('--json'),
    quiet: has('--quiet', '-q'),
    color: !has('--no-color'),
    progress: !has('--no-progress'),
  });
}

function interrupted(): PipeError {
  return new PipeError('E_INTERRUPTED', 'interrupted before it could finish');
}

/** `cosmos-pipe` and `cosmos-pipe help x` mean `--help`: commander's own help command would skip lazy loading. */
function helpAsFlag(argv: readonly string[]): string[] {
  if (argv.length === 0) return ['--help'];
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
}

/** Registers every command by name and summary; loads and configures only the one being run. */
function buildProgram(
  manifest: Manifest,
  { streams, version }: RunOptions,
  execute: (stub: Commander, name: string, command: Command) => Promise<void>,
): Commander {
  const program = new Commander('cosmos-pipe')
    .description(
      'Run, load-test, size and prove an Event Hubs -> Cosmos DB -> change feed -> Redis / Event Grid pipeline.',
    )
    .version(version)
    .option('--local', 'start an embedded stack for the life of this command')
    .option('--target <name>', 'target of the pipeline file, or `local`, or `env`')
    .option('--config <file>', 'pipeline file (default: pipeline.yaml, here or above)')
    .option('--print-config', 'show every effective value and where it comes from, then stop')
    .option('--json', 'print the result as JSON on stdout')
    .option('-q, --quiet', 'print results and errors only')
    .option('--no-color', 'never colour output (also: NO_COLOR=1)')
    .option('--no-progress', 'never redraw lines')
    .option('--debug', 'print stack traces')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => streams.stdout.columns || 120,
    })
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .hook('preSubcommand', async (_, stub) => {
      const entry = manifest[stub.name()];
      if (entry === undefined) throw new Error(`no manifest entry for ${stub.name()}`);
      const { command } = await entry.load();
      configure(stub, command);
      stub.action(() => execute(stub, stub.name(), command));
    });
  for (const [name, { group, summary }] of Object.entries(manifest)) {
    program.commandsGroup(group).command(name).summary(summary);
  }
  return program;
}

/** Teaches commander the flags and help of a command. Values are resolved later, so the texts stay raw here. */
function configure(stub: Commander, command: Command): void {
  stub.description(command.description);
  if (command.operands) stub.arguments(command.operands);
  for (const [key, spec] of Object.entries(command.options)) {
    const flag = new Option(spec.flags, `${spec.description} [${spec.env?.[0] ?? environmentName(key)}]`);
    if (spec.group) flag.helpGroup(spec.group);
    if (spec.repeatable)
      flag.argParser((value: string, previous: unknown) => [
        ...(Array.isArray(previous) ? (previous as string[]) : []),
        value,
      ]);
    if (spec.fallback) flag.default(spec.fallback, spec.fallback);
    stub.addOption(flag);
  }
  stub.addHelpText('after', `\nExamples:\n${command.examples.map((example) => `  $ ${example}`).join('\n')}`);
}

async function runCommand(
  stub: Commander,
  name: string,
  command: Command,
  options: RunOptions,
  terminal: Terminal,
  rest: readonly string[],
): Promise<number> {
  if (rest.length > 0 && command.runsProgram !== true)
    throw usageError(`${name} runs no program, so nothing may follow --, got "${rest.join(' ')}"`);
  const global = stub.optsWithGlobals<GlobalOptions>();
  const file = await loadPipelineFile(options.cwd, global.config);
  const target = global.target ?? defaultTarget(file);
  checkSection(file, name, command.options);
  const resolved = resolveOptions(command.options, {
    flags: givenFlags(stub, command.options),
    env: options.env,
    file: sectionsFor(file, name, target),
    cwd: options.cwd,
  });
  if (global.printConfig) {
    printConfig(terminal, resolved, file?.path, target);
    return ExitCode.Ok;
  }
  const { context, dispose } = createContext({
    ...options,
    terminal,
    rest,
    operands: stub.args,
    resolved,
    file,
    target,
    local: global.local === true,
  });
  try {
    const values = Object.fromEntries(Object.entries(resolved).map(([key, { value }]) => [key, value]));
    const code = await command.run(values, context);
    return code ?? (options.signal.aborted ? ExitCode.Interrupted : ExitCode.Ok);
  } finally {
    await dispose();
  }
}

/** Texts of the flags on the command line; commander's defaults are help texts only and do not count. */
function givenFlags(
  stub: Commander,
  specs: OptionSpecs,
): Record<string, string | boolean | readonly string[] | undefined> {
  return Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => {
      const attribute = attributeOf(spec);
      const given = stub.getOptionValueSource(attribute) === 'cli';
      return [
        key,
        given ? (stub.getOptionValue(attribute) as string | boolean | readonly string[]) : undefined,
      ];
    }),
  );
}

function attributeOf(spec: OptionSpec<unknown>): string {
  return new Option(spec.flags).attributeName();
}

function defaultTarget(file: PipelineFile | undefined): string | undefined {
  const target = file?.sections['target'];
  return typeof target === 'string' ? target : undefined;
}

/** Refuses what the command's own section says in vain: a typing error would send the default load. */
function checkSection(file: PipelineFile | undefined, name: string, specs: OptionSpecs): void {
  const section = file?.sections[name] ?? {};
  const unknown = isRecord(section) ? Object.keys(section).find((key) => !Object.hasOwn(specs, key)) : '';
  if (file === undefined || unknown === undefined) return;
  const problem = isRecord(section)
    ? `unknown entry ${unknown}`
    : `expected a mapping, got ${JSON.stringify(section)}`;
  throw new PipeError('E_CONFIG', `${file.path}: ${name}: ${problem}`, {
    hint: `entries of ${name}: ${Object.keys(specs).join(', ')}`,
  });
}

/** The command's own section is stronger than the chosen target's. */
function sectionsFor(
  file: PipelineFile | undefined,
  name: string,
  target: string | undefined,
): { name: string; values: Record<string, unknown> }[] {
  if (file === undefined) return [];
  const targets = file.sections['targets'];
  const found = [
    { name: `${file.path}: ${name}`, values: file.sections[name] },
    {
      name: `${file.path}: targets.${target}`,
      values: isRecord(targets) && target ? targets[target] : undefined,
    },
  ];
  return found.flatMap(({ name, values }) => (isRecord(values) ? [{ name, values }] : []));
}
