import type { ServiceName } from '../config/resolve-targets.ts';
import type { Targets } from '../config/targets.ts';
import type { Clock } from '../util/clock.ts';
import type { ExitCode } from '../util/errors.ts';
import type { Terminal } from './terminal.ts';

export interface OptionSpec<T> {
  /** As commander writes it: `-r, --rate <n/unit>`, `--yes`, `--no-ledger`. */
  readonly flags: string;
  readonly description: string;
  /** Environment variables that may give the value, first set one wins; `COSMOS_PIPE_<FLAG>` is always tried. */
  readonly env?: readonly string[];
  /** Used when nothing else gives a value; written as the user would type it, so help can show it. */
  readonly fallback?: string;
  /** Heading in --help, e.g. `Load:`. */
  readonly group?: string;
  /** The flag may be given several times; the value is then an array. */
  readonly repeatable?: boolean;
  /** Value of a flag whose value is optional (`--until-idle [duration]`) when it stands alone; as the user would type it. */
  readonly bare?: string;
  /** The flag names a file (- for stdin) that holds the value; the environment holds the value itself. */
  readonly secret?: boolean;
  /** Throws an Error whose message shows the expected form. */
  parse(value: string): T;
}

// biome-ignore lint/suspicious/noExplicitAny: a record of options of different value types
export type OptionSpecs = Readonly<Record<string, OptionSpec<any>>>;

/** Option values by key: `T`, or `T | undefined` without a fallback, or `T[]` when repeatable. */
export type OptionValues<O extends OptionSpecs> = {
  readonly [K in keyof O]: O[K] extends OptionSpec<infer T>
    ? O[K] extends { readonly repeatable: true }
      ? readonly T[]
      : O[K] extends { readonly fallback: unknown }
        ? T
        : T | undefined
    : never;
};

export type { ServiceName };

export interface TargetOptions {
  readonly localByDefault?: boolean;
  /** Further arguments of `cosmos-pipe local` for a stack that is started here, e.g. `--fault`. */
  readonly localArguments?: readonly string[];
}

/** The channel to a parent process that started this one as its local stack. */
export interface ParentChannel {
  send(message: unknown): void;
  onDisconnect(listener: () => void): void;
}

export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted on the first SIGINT/SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly cwd: string;
  /** Positional arguments, as declared by `operands`. */
  readonly operands: readonly string[];
  /** The command line before a `--`, as it was typed. */
  readonly argv: readonly string[];
  /** What follows `--`. */
  readonly rest: readonly string[];
  /** Program and arguments that start this CLI again as a child process. */
  readonly self: readonly string[];
  readonly parent?: ParentChannel;
  readonly version: string;
  /**
   * Where the services of this command are: flags > environment > config file > running local stack. With `--local` a
   * stack is started in a process of its own and stopped when the command ends; `localByDefault` does so unless a flag,
   * the file or `--target` names something else. Throws E_CONFIG with a hint otherwise.
   */
  targets(need: readonly ServiceName[], options?: TargetOptions): Promise<Targets>;
  /** The pipeline file in use, `undefined` without one. */
  readonly configPath: string | undefined;
  /** A raw top-level section of the pipeline file, `undefined` without one. */
  section(name: string): unknown;
  /** Whether the value of an option is that of the pipeline file: no flag and no variable gave another. */
  fromFile(option: string): boolean;
}

interface CommandShape<O extends OptionSpecs, V> {
  readonly description: string;
  readonly examples: readonly string[];
  /** Positional arguments as commander writes them: `[action] [file...]`. */
  readonly operands?: string;
  /** What follows `--` is a program to run. Anything there is refused otherwise. */
  readonly runsProgram?: boolean;
  readonly options: O;
  /** Resolves to the exit code when it is not 0 although there is a result (verification failed, thresholds crossed). */
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands just end
  run(options: V, context: CommandContext): Promise<ExitCode | void>;
}

export type CommandSpec<O extends OptionSpecs> = CommandShape<O, OptionValues<O>>;

/** A command with its option types erased: what the runner and the manifest handle. */
export type Command = CommandShape<OptionSpecs, Readonly<Record<string, unknown>>>;

export function defineCommand<const O extends OptionSpecs>(spec: CommandSpec<O>): Command {
  return spec as unknown as Command;
}
