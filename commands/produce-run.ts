import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CommandContext, OptionValues } from '../src/cli/command.ts';
import { confirm } from '../src/cli/confirm.ts';
import { startLiveView } from '../src/cli/live.ts';
import { flagOf } from '../src/cli/resolve-options.ts';
import { isRecord } from '../src/config/pipeline-file.ts';
import { createStageRecorder } from '../src/metrics/stage-recorder.ts';
import { produce, type RecordSource, type Routing } from '../src/pipeline/produce/produce.ts';
import { openLedgerFile } from '../src/pipeline/verify/ledger-file.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { estimateWorkload, sampleRates, type WorkloadEstimate } from '../src/workload/estimate.ts';
import { previewEvents } from '../src/workload/preview.ts';
import { readRecords } from '../src/workload/records.ts';
import { importSimulatorConfig } from '../src/workload/simulator-config.ts';
import { meanSize } from '../src/workload/size.ts';
import { parseWorkload, type Workload, type WorkloadInput } from '../src/workload/spec.ts';
import { openStream, shapeOf } from '../src/workload/stream.ts';
import { checkFaults, checkFlags, checkReadable, checkStart } from './produce-checks.ts';
import type { produceOptions } from './produce-options.ts';
import {
  CURVE_COLUMNS,
  costText,
  curveText,
  heartbeatText,
  planText,
  previewText,
  progressLines,
  summaryText,
} from './produce-view.ts';

type Values = OptionValues<typeof produceOptions>;

const DEFAULT_RATE = 1_000;
const TIME_FIELD = 'createdAt';
const PREVIEWED_EVENTS = 3;
/** Part of an endless schedule that --dry-run draws. */
const DRAWN_MS = 60_000;

/** Everything of `produce` but its flags. */
export async function run(values: Values, context: CommandContext): Promise<ExitCode | undefined> {
  checkFlags(values);
  const input = await workloadInput(values, context);
  checkFaults(values, input);
  const workload = checkedWorkload(input, values);
  const source = sourceOf(values, context);
  if (source?.path !== undefined) await checkReadable(source.path);
  if (values.dryRun) return dryRun(values, context, workload, source);

  const { clock, signal, terminal } = context;
  const scheduled = Boolean(shapeOf(workload) || workload.keys.intervals || source?.replaySpeed);
  if (scheduled) checkStart(values, clock.epochMicros());
  const run = values.runId ?? `run-${clock.epochMicros().toString(36)}`;
  const estimate = await estimateOf(workload, source);
  const targets = await context.targets(['eventHubs']);
  const eventHubs = targets.eventHubs;
  if (!eventHubs) throw new PipeError('E_CONFIG', 'no event hub is configured', { hint: 'pass --local' });
  const plan = planText(workload, estimate, values);
  terminal.note(
    `Producing to ${eventHubs.eventHub}${targets.local ? ' on the local stack' : ''}: ${plan}, run ${run}. ^C to stop.`,
  );
  if (!targets.local) {
    terminal.note(`This ${costText(estimate)}.`);
    await confirm(terminal, {
      action: `send this to ${eventHubs.fullyQualifiedNamespace ?? 'the configured namespace'}/${eventHubs.eventHub}`,
      yes: values.yes ?? false,
    });
  }

  const recorder = createStageRecorder('produce', { clock });
  const ledgerPath = values.ledger === undefined ? undefined : resolve(context.cwd, values.ledger);
  const ledger = ledgerPath === undefined ? undefined : await openLedgerFile(ledgerPath, run, clock);
  let startedMs = clock.now();
  let last = { atMs: startedMs, done: 0, perSecond: 0 };
  const progress = () => {
    const snapshot = recorder.snapshot();
    const nowMs = clock.now();
    if (nowMs - last.atMs >= 1_000) {
      last = {
        atMs: nowMs,
        done: snapshot.done,
        perSecond: ((snapshot.done - last.done) * 1000) / (nowMs - last.atMs),
      };
    }
    return { elapsedMs: nowMs - startedMs, perSecond: last.perSecond, snapshot };
  };
  const view = startLiveView(terminal, {
    clock,
    frame: () => progressLines(progress(), estimate),
    heartbeat: () => heartbeatText(progress()),
  });
  const draining = (): void =>
    terminal.note('stopping: waiting for the events in flight (^C again to force)');
  signal.addEventListener('abort', draining, { once: true });
  try {
    const result = await produce({
      target: eventHubs,
      workload: input,
      run,
      recorder,
      clock,
      signal,
      ...(ledger ? { ledger } : {}),
      routing: routingOf(values),
      limits: {
        batchBytes: values.batchBytes,
        batchEvents: Math.max(1, values.batchSize),
        ...(values.linger === undefined ? {} : { lingerMs: values.linger }),
        bufferBytes: values.buffer,
        maxLatenessMs: values.maxLateness,
        giveUpMs: values.giveUp,
        ...(values.concurrency ? { concurrency: values.concurrency } : {}),
      },
      ...(source ? { source } : {}),
      ...(values.startAt === undefined ? {} : { startMicros: values.startAt }),
      ...(values.shard ? { shard: values.shard } : {}),
      workers: Math.max(1, values.workers),
      idempotent: values.idempotent ?? false,
      onStart: ({ startMicros }) => {
        startedMs = clock.now() + (startMicros - clock.epochMicros()) / 1000;
      },
    });
    view.stop();
    const stage = recorder.summary();
    terminal.result({ run, ...result, stage }, summaryText(result, stage, values.ledger, scheduled));
    if (result.interrupted) return ExitCode.Interrupted;
    const { oversized = 0, ...failed } = result.failed;
    const unwanted = oversized > (result.injected['oversized'] ?? 0) || Object.keys(failed).length > 0;
    return unwanted ? ExitCode.Failure : undefined;
  } finally {
    view.stop();
    signal.removeEventListener('abort', draining);
    await ledger?.close();
  }
}

/** Flags over the file's section `workload` over the imported simulator configuration. */
async function workloadInput(values: Values, context: CommandContext): Promise<WorkloadInput> {
  const imported = values.simulator === undefined ? {} : await simulatorInput(values.simulator, context);
  const section = (context.section('workload') ?? {}) as WorkloadInput;
  const base: WorkloadInput = { ...imported, ...section };
  const given = <T>(entries: Record<string, T | undefined>): Record<string, T> =>
    Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as Record<
      string,
      T
    >;
  const ms = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : `${value}ms`;
  const keys = given<unknown>({
    count: values.keys,
    distribution: values.keyDistribution,
    prefix: values.keyPrefix,
    intervals: values.keyIntervals,
  });
  const faults = given<unknown>({
    duplicates: values.duplicates,
    late: values.late,
    lateBy: ms(values.lateBy),
    outOfOrder: values.outOfOrder,
    malformed: values.malformed,
    oversized: values.oversized,
    skewedKeys: values.skewedKeys,
    clockSkew: ms(values.clockSkew),
  });
  const schedule = given<unknown>({ rate: values.rate, stages: values.stages, shape: values.shape });
  // A schedule on the command line replaces the file's, it does not mix with it.
  const { rate, stages, shape, ...unscheduled } = base;
  const scheduled = Object.keys(schedule).length > 0 ? schedule : given({ rate, stages, shape });
  const merged = {
    ...unscheduled,
    ...scheduled,
    ...given<unknown>({
      duration: ms(values.duration),
      events: values.events,
      spacing: values.spacing,
      size: values.size,
      seed: values.seed,
      contentType: values.contentType,
      types:
        values.template === undefined
          ? undefined
          : [{ template: await readJson(resolve(context.cwd, values.template)) }],
    }),
    keys: over(base.keys, keys),
    faults: over(base.faults, faults),
    properties: over(base.properties, Object.fromEntries(values.property)),
  } as WorkloadInput;
  const hasSchedule = Object.keys(scheduled).length > 0 || merged.keys?.intervals || values.replay;
  return hasSchedule || values.concurrency ? merged : { ...merged, rate: DEFAULT_RATE };
}

/** Entries of flags over those of the file; what is no mapping there is left for the schema to refuse. */
function over(base: unknown, flags: Readonly<Record<string, unknown>>): unknown {
  return base === undefined || isRecord(base) ? { ...base, ...flags } : base;
}

function checkedWorkload(input: WorkloadInput, values: Values): Workload {
  try {
    return parseWorkload(input);
  } catch (error) {
    // Whoever wrote a flag did not write the file's member of the same name.
    const message = (error as Error).message.replace(
      /^workload\.(keys\.prefix|\w+)/,
      (member, entry: string) => {
        const name = entry === 'keys.prefix' ? 'keyPrefix' : entry;
        return Object.hasOwn(values, name) && values[name as keyof Values] !== undefined
          ? flagOf(name)
          : member;
      },
    );
    throw usageError(message);
  }
}

async function simulatorInput(where: string, context: CommandContext): Promise<WorkloadInput> {
  try {
    const config = where === 'env' ? context.env : await readJson(resolve(context.cwd, where));
    return importSimulatorConfig(config as Record<string, unknown>);
  } catch (error) {
    if (error instanceof RangeError) throw usageError(error.message);
    throw error;
  }
}

async function readJson(path: string): Promise<unknown> {
  await checkReadable(path);
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw usageError(`${path} is not JSON (${(error as Error).message})`);
  }
}

function sourceOf(values: Values, context: CommandContext): RecordSource | undefined {
  const name = values.replay ?? values.file;
  if (name === undefined) return undefined;
  const { stdin } = context.terminal.streams;
  const path = name === '-' ? undefined : resolve(context.cwd, name);
  return {
    format: name.endsWith('.csv') ? 'csv' : 'ndjson',
    open: () => (path === undefined ? stdin : createReadStream(path)),
    ...(path === undefined ? {} : { path }),
    ...(values.partitionKey === undefined ? {} : { keyPath: values.partitionKey }),
    ...(values.replay === undefined
      ? {}
      : { timePath: values.timeField ?? TIME_FIELD, replaySpeed: values.speed ?? 1 }),
    loop: values.loop ?? false,
  };
}

function routingOf({ partition, roundRobin }: Values): Routing {
  if (partition !== undefined) return { by: 'partition', partitionId: partition };
  return { by: roundRobin ? 'roundRobin' : 'key' };
}

/** The estimate with the size of a real event of this workload. */
async function estimateOf(workload: Workload, source: RecordSource | undefined): Promise<WorkloadEstimate> {
  if (source) return { ...estimateWorkload(workload), events: workload.events, costUsd: undefined };
  const sample = await sampleEvents(workload, 20);
  const bytes = sample.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / Math.max(1, sample.length);
  // A size below that of an event without padding cannot be had.
  const smallest = Math.min(...sample.map(({ sizeBytes }) => sizeBytes));
  const reachable = workload.size !== undefined && meanSize(workload.size) >= smallest;
  return estimateWorkload(workload, reachable ? undefined : bytes);
}

async function sampleEvents(workload: Workload, count: number, startEpochMs = 0) {
  try {
    return await previewEvents(await openStream(workload, { startEpochMs }), count);
  } catch (error) {
    if (error instanceof RangeError) throw usageError(error.message);
    throw error;
  }
}

async function dryRun(
  values: Values,
  context: CommandContext,
  workload: Workload,
  source: RecordSource | undefined,
): Promise<undefined> {
  const { clock, terminal } = context;
  const estimate = await estimateOf(workload, source);
  const startMicros = values.startAt ?? clock.epochMicros();
  const shape = shapeOf(workload);
  const drawnMs = estimate.durationMs ?? DRAWN_MS;
  const rates = shape ? sampleRates(shape(), drawnMs, CURVE_COLUMNS) : [];
  const stream = await openStream(workload, {
    startEpochMs: startMicros / 1000,
    ...(values.runId === undefined ? {} : { run: values.runId }),
    ...(source
      ? { records: () => readRecords(source.open(), source), recordsHaveKeys: source.keyPath !== undefined }
      : {}),
    ...(source?.replaySpeed === undefined ? {} : { replaySpeed: source.replaySpeed }),
  });
  const events = await previewEvents(stream, PREVIEWED_EVENTS);
  const text = [
    `Would produce ${planText(workload, estimate, values)}.`,
    '',
    ...(rates.length > 0 ? [...curveText(rates, drawnMs), ''] : []),
    costText(estimate),
    '',
    'first events',
    ...previewText(events),
  ].join('\n');
  terminal.result({ estimate, curve: { durationMs: drawnMs, ratesPerSecond: rates }, events }, text);
  return undefined;
}
