import { readLocalState } from '../config/local-state.ts';
import { isRecord, type PipelineFile } from '../config/pipeline-file.ts';
import { namesAService, resolveTargets, type ServiceName } from '../config/resolve-targets.ts';
import type { Targets } from '../config/targets.ts';
import { PipeError } from '../util/errors.ts';
import type { CommandContext, TargetOptions } from './command.ts';
import { type LocalChild, startLocalChild } from './local-child.ts';
import type { ResolvedOption } from './resolve-options.ts';
import { withSpinner } from './spinner.ts';

interface ContextInput extends Omit<CommandContext, 'targets' | 'section' | 'configPath' | 'fromFile'> {
  readonly resolved: Readonly<Record<string, ResolvedOption>>;
  readonly file: PipelineFile | undefined;
  /** `--target` or the file's `target`. */
  readonly target: string | undefined;
  /** `--local`. */
  readonly local: boolean;
}

/** What a command is given, and how to take down what it started. */
export function createContext(input: ContextInput): { context: CommandContext; dispose(): Promise<void> } {
  const { resolved, file, target, local, ...given } = input;
  checkTarget(file, target);
  let child: LocalChild | undefined;
  const targets = async (need: readonly ServiceName[], options: TargetOptions = {}): Promise<Targets> => {
    const embedded = local || (options.localByDefault === true && !named(resolved, target));
    if (embedded) {
      child ??= await withSpinner(given.terminal, 'starting the embedded stack', () =>
        startLocalChild(given.self, options.localArguments ?? [], given.cwd),
      );
      return resolveTargets(need, withoutAddresses(values(resolved)), child.state);
    }
    if (target === 'local')
      return resolveTargets(need, withoutAddresses(values(resolved)), readLocalState(given.cwd, given.env));
    return resolveTargets(need, values(resolved), readLocalState(given.cwd, given.env), target);
  };
  const context: CommandContext = {
    ...given,
    targets,
    configPath: file?.path,
    section: (name) => file?.sections[name],
    fromFile: (option) => resolved[option]?.origin === 'file',
  };
  return { context, dispose: async () => child?.stop() };
}

function checkTarget(file: PipelineFile | undefined, target: string | undefined): void {
  if (target === undefined || target === 'local' || target === 'env') return;
  const targets = file?.sections['targets'];
  if (isRecord(targets) && target in targets) return;
  const known = isRecord(targets) ? Object.keys(targets) : [];
  throw new PipeError(
    'E_CONFIG',
    `unknown target "${target}" (known: ${['local', 'env', ...known].join(', ')})`,
    {
      hint: 'add it under targets: in pipeline.yaml',
    },
  );
}

function values(resolved: Readonly<Record<string, ResolvedOption>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(resolved).map(([key, { value }]) => [key, value]));
}

/** A target or a connection named on purpose: by flag or file. The environment alone counts only with `--target env`. */
function named(resolved: Readonly<Record<string, ResolvedOption>>, target: string | undefined): boolean {
  if (target !== undefined) return true;
  const onPurpose = Object.entries(resolved).filter(
    ([, { origin }]) => origin === 'flag' || origin === 'file',
  );
  return namesAService(Object.fromEntries(onPurpose.map(([key, { value }]) => [key, value])));
}

const ADDRESSES = [
  'eventHubsConnectionString',
  'eventHubsNamespace',
  'cosmosEndpoint',
  'cosmosKey',
  'cosmosConnectionString',
  'redisUrl',
  'redisCluster',
  'eventGridEndpoint',
  'eventGridKey',
];

function withoutAddresses(all: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => !ADDRESSES.includes(key)));
}
