import { availableParallelism } from 'node:os';
import { type CommandContext, defineCommand } from '../src/cli/command.ts';
import { confirm } from '../src/cli/confirm.ts';
import type { Targets } from '../src/config/targets.ts';
import { formatCount } from '../src/report/format.ts';
import { joinRepeats, repeatLines } from '../src/report/repeat.ts';
import type { RunReport } from '../src/report/run-report.ts';
import { searchLines } from '../src/report/search.ts';
import { type Paint, renderText } from '../src/report/text.ts';
import { ExitCode, usageError } from '../src/util/errors.ts';
import { parseKeyDistribution } from '../src/workload/keys.ts';
import { benchEvents } from './bench-events.ts';
import { type BenchValues, benchOptions } from './bench-options.ts';
import { type BenchPlan, containerOf, planOf } from './bench-plan.ts';
import { type BenchSetting, runLoad } from './bench-run.ts';
import { besideScenario, scenarioOf } from './bench-scenario.ts';
import { searchMax } from './bench-search.ts';
import { sheetOf } from './prices-option.ts';
import { checkOutputs, publishReport } from './report-output.ts';

export const command = defineCommand({
  description: [
    'Put a load through Event Hubs -> ingest -> Cosmos DB -> change feed -> Redis, all at once, and verify the result.',
    '',
    'Without a named target it runs against an embedded stack in a process of its own. Every acknowledged event is',
    'looked for in the container, the feed and the cache. Exit codes: 4 for loss, duplication, reordering or',
    'corruption, 99 for a crossed threshold.',
  ].join('\n'),
  examples: [
    'cosmos-pipe bench',
    'cosmos-pipe bench --rate 2000/s --duration 30s -o bench.json',
    'cosmos-pipe bench --scenario throttle',
    "cosmos-pipe bench -t 'e2e_latency:p(99)<250ms' --abort-on-fail",
    "cosmos-pipe bench --find-max -t 'e2e_latency:p(99)<1s'",
    'cosmos-pipe bench --fault cosmos:throttle=5%@10s+5s --repeat 3',
    "cosmos-pipe bench --throughput 10000 --key-distribution 'zipf(1.1)'",
  ],
  options: benchOptions,
  run: bench,
});

const STOPPING = '  stopping: what was sent is carried through and verified (^C again to force)';

async function bench(given: BenchValues, context: CommandContext): Promise<ExitCode> {
  const { terminal, clock, signal } = context;
  const scenario = await scenarioOf(given.scenario, context);
  const values = scenario === undefined ? given : besideScenario(given, scenario, context.fromFile);
  if (values.scenario === 'cache') return benchCache(values, context);
  if (values.scenario === 'events') {
    refuseReport(values);
    return benchEvents(values, context);
  }
  checkRuns(values, context);
  const withCache = values.cache ?? scenario?.cache ?? true;
  await checkOutputs(values.output, context.cwd);
  const prices = await sheetOf(values.prices, context.cwd);
  const plan = await planOf(values, scenario);
  if (values.abortOnFail === true && plan.thresholds.length === 0)
    throw usageError('--abort-on-fail has no threshold to abort on', "add one: -t 'e2e_latency:p(99)<250ms'");
  const targets = await context.targets(
    withCache ? ['eventHubs', 'cosmos', 'redis'] : ['eventHubs', 'cosmos'],
    { localByDefault: true },
  );
  const { eventHubs, cosmos, redis } = targets;
  if (eventHubs === undefined || cosmos === undefined) throw new Error('targets() returns what is needed');
  if (!targets.local)
    await confirm(terminal, {
      action: `send ${plan.title} through ${eventHubs.eventHub} and ${cosmos.database}/${cosmos.container}, which costs money`,
      yes: values.yes === true,
    });
  const run = `bench-${new Date(clock.epochMicros() / 1000).toISOString().replaceAll(/[-:.]/g, '')}`;
  terminal.note(header(plan, targets, run));
  const container = containerOf(values, scenario, targets.local);
  const setting = {
    context,
    targets,
    values,
    ...(container && { container }),
    prices,
    services: { eventHubs, cosmos, ...(withCache && redis && { redis }) },
  };
  const onStop = (): void => terminal.note(STOPPING);
  signal.addEventListener('abort', onStop, { once: true });
  const report =
    values.findMax === true ? await searchMax(setting, plan, run) : await repeated(setting, plan, run);
  signal.removeEventListener('abort', onStop);
  const code = await publishReport(report, values.output, context, renderFound);
  if (signal.aborted && code !== ExitCode.Verification) return ExitCode.Interrupted;
  if (report.search?.ratePerSecond === 0) return ExitCode.ThresholdsCrossed;
  // Nothing that could have been lost is no proof of anything.
  return code === ExitCode.Ok && report.load?.sent === 0 ? ExitCode.Failure : code;
}

/** The report, and what the search or the repeats found: first of all, unless there is a doubt, which comes first. */
function renderFound(report: RunReport, paint?: Paint): string {
  const found = (report.search ? searchLines(report.search) : repeatLines(report)).join('\n');
  const text = renderText(report, paint);
  return (report.valid ? [found, text] : [text, found]).filter((part) => part !== '').join('\n\n');
}

/** The run, or the median of several. One that was cut short is no repeat, unless it is the only one or found a defect. */
async function repeated(setting: BenchSetting, plan: BenchPlan, run: string): Promise<RunReport> {
  const { context, values } = setting;
  const { signal, terminal } = context;
  const times = values.repeat;
  const reports: RunReport[] = [];
  do {
    const name = times === 1 ? run : `${run}-${reports.length + 1}`;
    if (times > 1) terminal.note(`run ${reports.length + 1} of ${times}`);
    reports.push(await runLoad(setting, plan, name));
    // What --abort-on-fail has stopped once has failed, however often it is tried.
    if (values.abortOnFail === true && reports.at(-1)?.thresholds.some(({ ok }) => !ok)) break;
  } while (reports.length < times && !signal.aborted);
  const isCut = signal.aborted && reports.length > 1 && reports.at(-1)?.verdict?.ok === true;
  const joined = joinRepeats(isCut ? reports.slice(0, -1) : reports);
  return isCut
    ? {
        ...joined,
        valid: false,
        doubts: [...joined.doubts, `run ${reports.length} of ${times} was interrupted`],
      }
    : joined;
}

/** Throws E_USAGE for flags that --find-max would have to ignore: it has a schedule and repeats of its own. */
function checkRuns(values: BenchValues, { fromFile }: CommandContext): void {
  if (values.findMax !== true) return;
  const hints = {
    duration: 'say with --trial how long each rate is carried',
    events: 'say with --trial how long each rate is carried',
    stages: 'it starts at --rate and finds the others by itself',
  } as const;
  for (const [flag, hint] of Object.entries(hints))
    if (values[flag as keyof typeof hints] !== undefined && !fromFile(flag))
      throw usageError(`--find-max and --${flag} exclude each other`, hint);
  if (values.repeat > 1 && !fromFile('repeat'))
    throw usageError(
      '--find-max and --repeat exclude each other',
      'it repeats the rate that it finds by itself',
    );
}

/** The reads of a cache are another load with figures of its own: `cache bench` knows how. */
async function benchCache(values: BenchValues, context: CommandContext): Promise<ExitCode> {
  refuseReport(values);
  const { events, keyDistribution, keys, rate, seed } = values;
  const { command: cache } = await import('./cache.ts');
  const defaults = Object.entries(cache.options).map(([key, { fallback, parse }]) => [
    key,
    fallback === undefined ? undefined : parse(fallback),
  ]);
  const code = await cache.run(
    {
      ...Object.fromEntries(defaults),
      rate,
      ...(seed !== undefined && { seed }),
      ...(events !== undefined && { requests: events }),
      ...(keys !== undefined && { items: keys }),
      ...(keyDistribution !== undefined && { keys: parseKeyDistribution(keyDistribution) }),
    },
    { ...context, operands: ['bench'] },
  );
  return code ?? ExitCode.Ok;
}

/** Throws E_USAGE for what only loads of the whole pipeline have. */
function refuseReport({ output, scenario, threshold }: BenchValues): void {
  if (output.length + threshold.length > 0)
    throw usageError(
      `the scenario "${scenario}" has no run report, so neither --output nor --threshold`,
      'its exit code tells, and --json prints its figures',
    );
}

function header(plan: BenchPlan, targets: Targets, run: string): string {
  const where = targets.local ? 'embedded stack, same machine' : (targets.cosmos?.endpoint ?? '');
  const stages = ['produce', 'ingest', 'change feed', ...(plan.withCache ? ['redis'] : [])];
  const { keys, size, seed } = plan.workload;
  const keyText = `${formatCount(keys?.count ?? 1_000)} keys, ${keys?.distribution ?? 'uniform'}`;
  return [
    `    target  ${where}`,
    `  pipeline  ${stages.join(' -> ')}`,
    `      load  open model, ${plan.title}`,
    `      data  ${size ?? 'about 1 KB'} JSON, ${keyText}, seed ${seed ?? 1}`,
    ...plan.faults.map((fault, index) => `${index === 0 ? '    faults' : '          '}  ${fault}`),
    `       run  ${run}, ${availableParallelism()} cores`,
    '',
  ].join('\n');
}
