import { resolve } from 'node:path';
import { type CommandContext, defineCommand } from '../src/cli/command.ts';
import { startLiveView } from '../src/cli/live.ts';
import type { CosmosTarget, EventGridTarget } from '../src/config/targets.ts';
import type { NamespaceTarget } from '../src/eventgrid/namespace.ts';
import { type LocalEventGrid, localEventGrid } from '../src/local/event-grid-client.ts';
import type { HistogramSummary } from '../src/metrics/histogram.ts';
import { createRuRecorder, type RecordingRu } from '../src/metrics/ru-recorder.ts';
import { createStageRecorder, type RecordingStage } from '../src/metrics/stage-recorder.ts';
import { openPoisonFile } from '../src/pipeline/event-grid/receive-dead-letter.ts';
import {
  explainKeys,
  explainText,
  type KeyDistribution,
} from '../src/pipeline/event-grid/receive-explain.ts';
import { type EventSink, openEventSink } from '../src/pipeline/event-grid/receive-sink.ts';
import type { ReceiveOptions, ReceiveResult } from '../src/pipeline/event-grid/receive-types.ts';
import { formatCount } from '../src/report/format.ts';
import { formatDurationMs } from '../src/util/duration.ts';
import { ExitCode, PipeError, usageError } from '../src/util/errors.ts';
import { options, type Values } from './receive-options.ts';

/** Event Grid waits 30 s for the answer to a delivery; the store gives up before our own answer is due. */
const GIVE_UP_MS = 20_000;

export const command = defineCommand({
  description: [
    'Store the events of Event Grid in Cosmos DB, each once: as a webhook, or with --pull from a namespace.',
    '',
    'The webhook answers both validation handshakes, 200 when a delivery is durable, 503 when it has to come again, and',
    'never a status that makes Event Grid drop an event. On a local stack it subscribes itself to the topic.',
  ].join('\n'),
  examples: [
    'cosmos-pipe receive',
    'cosmos-pipe receive --secret-file code.txt --host 0.0.0.0 --no-subscribe',
    `cosmos-pipe receive --partition-key-from {data.tenant} --explain-pk 1000`,
    'cosmos-pipe receive --pull orders/store',
  ],
  options,
  async run(values, context): Promise<ExitCode> {
    const { clock, cwd, signal, terminal } = context;
    const { cosmos, local } = await context.targets(['cosmos']);
    if (cosmos === undefined) throw new PipeError('E_INTERNAL', 'targets() returns what is needed');
    const recorder = createStageRecorder('receive', { clock });
    const ru = createRuRecorder({ clock });
    let distribution: KeyDistribution | undefined;
    const explained = explainKeys(values.explainPk ?? 0, (told) => {
      distribution = told;
      terminal.note(explainText(told));
    });
    const sink = await openSink(values, context, cosmos, local, ru, (key) => {
      if (values.explainPk !== undefined) explained.seen(key);
    });
    const deadLetter = await openPoisonFile(resolve(cwd, values.deadLetter), () =>
      new Date(clock.epochMicros() / 1000).toISOString(),
    );
    const common: ReceiveOptions = {
      sink,
      deadLetter,
      recorder,
      clock,
      signal,
      onProblem: (message) => terminal.warn(message),
      ...(values.num !== undefined && { limit: values.num }),
      ...(values.untilIdle !== undefined && { untilIdleMs: values.untilIdle }),
    };
    const line = (): string => progressText(recorder, ru);
    const live = startLiveView(terminal, { frame: () => [` ${line()}`], heartbeat: line, clock });
    let result: ReceiveResult;
    try {
      result = values.pull
        ? await pull(values.pull, values, context, cosmos, common)
        : await push(values, context, cosmos, local, common);
    } finally {
      live.stop();
      await sink.close();
      await deadLetter.close();
    }
    explained.finish();
    const { service, latency } = latencyOf(recorder);
    const requestCharge = ru.snapshot().requestCharge;
    const document = {
      ...result,
      durationMs: Math.round(result.durationMs),
      requestCharge,
      storedLatencyMs: latency,
      storeTimeMs: service,
      ...(distribution && { partitionKeys: distribution }),
    };
    terminal.result(document, resultText(document, values));
    return result.ended === 'signal' ? ExitCode.Interrupted : ExitCode.Ok;
  },
});

function openSink(
  values: Values,
  { clock }: CommandContext,
  cosmos: CosmosTarget,
  local: boolean,
  ru: RecordingRu,
  onKey: (key: string) => void,
): Promise<EventSink> {
  const create = local || values.create === true;
  return openEventSink({
    cosmos,
    ru,
    clock,
    giveUpMs: GIVE_UP_MS,
    id: values.id,
    write: values.write,
    partitionKeyFrom: values.partitionKeyFrom,
    onKey,
    ...(create && {
      create: {
        partitionKeyPath: values.partitionKey,
        throughput: values.throughput,
        ...(values.ttl !== undefined && { defaultTtlSeconds: -1 }),
      },
    }),
    ...(values.ttl !== undefined && { ttlSeconds: Math.max(1, Math.round(values.ttl / 1000)) }),
    ...(values.maxRu !== undefined && { ruBudget: values.maxRu }),
  });
}

async function push(
  values: Values,
  context: CommandContext,
  { container, database }: CosmosTarget,
  local: boolean,
  common: ReceiveOptions,
): Promise<ReceiveResult> {
  const { terminal } = context;
  if (!values.path.startsWith('/')) throw usageError(`--path must begin with a slash, not "${values.path}"`);
  const grid = local && values.subscribe !== false ? await localGridOf(context) : undefined;
  const { receiveWebhook } = await import('../src/pipeline/event-grid/receive.ts');
  return receiveWebhook({
    ...common,
    webhook: {
      host: values.host,
      port: values.port,
      path: values.path,
      ...(values.secret && { secret: values.secret }),
      ...(values.allowOrigin.length > 0 && { allowedOrigins: values.allowOrigin }),
    },
    async onListening(url) {
      terminal.note(`Storing deliveries to ${url} in ${database}/${container}. ^C to stop.`);
      if (grid !== undefined) {
        await subscribe(grid, values, url);
        terminal.note(`subscribed  ${grid.topic}/${values.subscription}`);
      } else
        terminal.note(
          `subscribe  az eventgrid event-subscription create --endpoint <public address of ${url}> ...`,
        );
    },
    onHandshake: (subscription) => terminal.note(`validated  ${subscription}`),
  });
}

/** The Event Grid of a local stack; a topic in Azure is subscribed to by its owner. */
async function localGridOf(context: CommandContext): Promise<LocalEventGrid | undefined> {
  const { eventGrid } = await context.targets(['eventGrid']);
  return eventGrid && localEventGrid(eventGrid.endpoint);
}

async function subscribe(
  { ask, topic }: LocalEventGrid,
  { maxEventsPerBatch, secret, subscription }: Values,
  url: string,
): Promise<void> {
  const endpointUrl = secret === undefined ? url : `${url}?code=${encodeURIComponent(secret.reveal())}`;
  const reply = (await ask('PUT', `/topics/${topic}/eventSubscriptions/${subscription}`, {
    properties: {
      destination: {
        endpointType: 'WebHook',
        properties: { endpointUrl, maxEventsPerBatch, preferredBatchSizeInKilobytes: 256 },
      },
      deadLetterDestination: { endpointType: 'StorageBlob' },
    },
  })) as { readonly properties?: { readonly provisioningState?: string } };
  const state = reply.properties?.provisioningState;
  if (state !== 'Succeeded')
    throw new PipeError(
      'E_CONFIG',
      `the handshake of subscription ${topic}/${subscription} ended as ${state}`,
      {
        hint: 'does --allow-origin leave out eventgrid.azure.net?',
      },
    );
}

async function pull(
  name: string,
  values: Values,
  context: CommandContext,
  { container, database }: CosmosTarget,
  common: ReceiveOptions,
): Promise<ReceiveResult> {
  const [topic, subscription, ...more] = name.split('/');
  if (!topic || !subscription || more.length > 0)
    throw usageError(
      `--pull takes a topic and a subscription, not "${name}"`,
      'for example --pull orders/store',
    );
  const { batchSize, wait } = values;
  if (batchSize < 1 || batchSize > 100) throw usageError(`--batch-size must be 1 to 100, not ${batchSize}`);
  if (wait < 10_000 || wait > 120_000) throw usageError('--wait must be 10s to 120s');
  const target = await namespaceOf(values, context, topic, subscription);
  const [{ openNamespaceSubscription }, { receivePull }] = await Promise.all([
    import('../src/eventgrid/namespace.ts'),
    import('../src/pipeline/event-grid/receive-pull.ts'),
  ]);
  context.terminal.note(
    `Storing events of ${target.endpoint} ${topic}/${subscription} in ${database}/${container}. ^C to stop.`,
  );
  return receivePull({
    ...common,
    subscription: openNamespaceSubscription(target),
    subscriptionName: subscription,
    maxEvents: batchSize,
    waitSeconds: Math.round(wait / 1000),
    concurrency: Math.max(1, values.concurrency),
    lockMs: values.lockDuration,
  });
}

/** The namespace named by flag or environment, else the one of the local stack, where topic and subscription are made. */
async function namespaceOf(
  { namespaceEndpoint, namespaceKey }: Values,
  context: CommandContext,
  topic: string,
  subscription: string,
): Promise<NamespaceTarget> {
  let target: EventGridTarget | undefined;
  if (namespaceEndpoint !== undefined)
    target = { endpoint: namespaceEndpoint, ...(namespaceKey && { key: namespaceKey }) };
  else target = (await context.targets(['eventGrid'])).eventGrid;
  const { endpoint = '', key } = target ?? {};
  const grid = localEventGrid(endpoint);
  if (grid === undefined && namespaceEndpoint === undefined)
    throw new PipeError('E_CONFIG', 'no Event Grid namespace is configured', {
      hint: 'set EVENTGRID_NAMESPACE_ENDPOINT and EVENTGRID_NAMESPACE_KEY, or run `cosmos-pipe local`',
    });
  if (grid !== undefined) {
    const path = `/namespace/topics/${topic}`;
    await ensure(grid, path);
    await ensure(grid, `${path}/eventSubscriptions/${subscription}`);
  }
  return { endpoint: grid?.baseUrl ?? endpoint, ...(key && { key }), topic, subscription };
}

async function ensure(grid: LocalEventGrid, path: string): Promise<void> {
  try {
    await grid.ask('GET', path);
  } catch (error) {
    if (!(error instanceof PipeError) || error.code !== 'E_NOT_FOUND') throw error;
    await grid.ask('PUT', path, {
      properties: { deadLetterDestination: { endpointType: 'StorageBlob' } },
    });
  }
}

/** Percentiles without the mergeable histograms, which are for reports. */
function latencyOf(recorder: RecordingStage) {
  const figures = ({ p50Ms, p99Ms, maxMs }: HistogramSummary) => ({ p50: p50Ms, p99: p99Ms, max: maxMs });
  const { latency, serviceTime } = recorder.summary();
  return { latency: figures(latency), service: figures(serviceTime) };
}

function progressText(recorder: RecordingStage, ru: RecordingRu): string {
  const { done, offered } = recorder.snapshot();
  return `${formatCount(offered)} received, ${formatCount(done)} stored, ${formatCount(Math.round(ru.snapshot().requestCharge))} RU`;
}

interface Received extends ReceiveResult {
  readonly requestCharge: number;
  readonly storedLatencyMs: { readonly p50: number; readonly p99: number };
}

function resultText(result: Received, values: Values): string {
  const { deadLettered, duplicates, durationMs, lostLocks, received, requestCharge, retried, stored } =
    result;
  const { p50, p99 } = result.storedLatencyMs;
  const charge = requestCharge.toLocaleString('en-US', { maximumFractionDigits: 1 });
  return [
    `received   ${formatCount(received)} events in ${formatDurationMs(durationMs)}`,
    `stored     ${formatCount(stored)} once   ${formatCount(duplicates)} duplicates   ${charge} RU`,
    `latency    time of the event to stored: p50 ${formatDurationMs(p50)}   p99 ${formatDurationMs(p99)}`,
    `problems   ${formatCount(retried)} to come again   ${formatCount(deadLettered)} dead-lettered${values.pull ? `   ${formatCount(lostLocks)} locks lost` : ''}`,
    ...(deadLettered > 0 ? [`see        ${values.deadLetter}`] : []),
  ].join('\n');
}
