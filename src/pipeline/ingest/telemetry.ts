import type { api, NodeSDK } from '@opentelemetry/sdk-node';
import type { ReceivedEvent } from '../../eventhubs/received-event.ts';
import type { IngestProgress } from './types.ts';

/** What `ingest` tells OpenTelemetry. */
export interface Telemetry {
  /** The state that the next export of metrics reads. */
  update(progress: IngestProgress): void;
  /** A page was received; the result is called when everything up to its end is durable, and ends its span. */
  page(partitionId: string, events: readonly ReceivedEvent[]): () => void;
  /** Exports what is left. Never rejects: telemetry does not fail a run. */
  close(): Promise<void>;
}

/** Environment variables of the OpenTelemetry specification that ask for an export. */
const ASKS = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_METRICS_EXPORTER',
];

/** Whether this environment asks for OpenTelemetry. */
function asksForTelemetry(env: NodeJS.ProcessEnv): boolean {
  return env['OTEL_SDK_DISABLED']?.toLowerCase() !== 'true' && ASKS.some((name) => Boolean(env[name]));
}

/**
 * Starts the OpenTelemetry SDK as the `OTEL_*` variables of the process say, which also configure exporters, headers, intervals and
 * sampling. `undefined` when nobody asked, or when the optional package is not installed (`onProblem` is told). An SDK
 * that was registered before the process started (`node --import`) stays in charge.
 */
export async function startTelemetry(
  env: NodeJS.ProcessEnv,
  eventHub: string,
  onProblem: (message: string) => void,
): Promise<Telemetry | undefined> {
  if (!asksForTelemetry(env)) return undefined;
  const loaded = await import('@opentelemetry/sdk-node').catch(() => undefined);
  if (loaded === undefined) {
    onProblem('OTEL_* is set, but @opentelemetry/sdk-node is not installed: nothing is exported');
    return undefined;
  }
  const sdk = new loaded.NodeSDK({
    ...(env['OTEL_SERVICE_NAME'] ? {} : { serviceName: 'cosmos-pipe' }),
    instrumentations: [],
  });
  sdk.start();
  return telemetryThrough(loaded.api, sdk, eventHub);
}

function telemetryThrough(
  { metrics, trace, SpanKind }: typeof api,
  sdk: NodeSDK,
  eventHub: string,
): Telemetry {
  let latest: IngestProgress | undefined;
  observe(metrics.getMeter('cosmos-pipe'), () => latest);
  const tracer = trace.getTracer('cosmos-pipe');
  return {
    update(progress) {
      latest = progress;
    },
    page(partitionId, events) {
      const span = tracer.startSpan(`process ${eventHub}`, {
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system': 'eventhubs',
          'messaging.operation.type': 'process',
          'messaging.destination.name': eventHub,
          'messaging.destination.partition.id': partitionId,
          'messaging.batch.message_count': events.length,
          'cosmos_pipe.sequence_number.first': events[0]?.sequenceNumber ?? -1,
          'cosmos_pipe.sequence_number.last': events.at(-1)?.sequenceNumber ?? -1,
        },
      });
      return () => span.end();
    },
    close: () => sdk.shutdown().catch(() => {}),
  };
}

/** Every instrument reads the latest progress when metrics are collected, so that an event costs nothing. */
function observe(meter: api.Meter, latest: () => IngestProgress | undefined): void {
  const total = (name: string, unit: string, read: (progress: IngestProgress) => number) =>
    meter.createObservableCounter(`cosmos_pipe.ingest.${name}`, { unit }).addCallback((result) => {
      const progress = latest();
      if (progress !== undefined) result.observe(read(progress));
    });
  const gauge = (name: string, unit: string, read: (progress: IngestProgress) => number) =>
    meter.createObservableGauge(`cosmos_pipe.ingest.${name}`, { unit }).addCallback((result) => {
      const progress = latest();
      if (progress !== undefined) result.observe(read(progress));
    });
  total('received', '{event}', ({ totals }) => totals.received);
  total('stored', '{event}', ({ totals }) => totals.stored);
  total('already_stored', '{event}', ({ totals }) => totals.alreadyStored);
  total('skipped', '{event}', ({ totals }) => totals.skipped);
  total('dead_lettered', '{event}', ({ totals }) => totals.deadLettered);
  total('missing', '{event}', ({ totals }) => totals.missing);
  total('stored_size', 'By', ({ totals }) => totals.storedBytes);
  total('request_charge', '{RU}', ({ totals }) => totals.requestCharge);
  gauge('in_flight', '{event}', ({ writer }) => writer.inFlight);
  gauge('buffered', '{event}', ({ writer }) => writer.buffered);
  for (const [name, unit, field] of [
    ['lag', '{event}', 'lagEvents'],
    ['lag_time', 'ms', 'lagMs'],
  ] as const)
    meter.createObservableGauge(`cosmos_pipe.ingest.${name}`, { unit }).addCallback((result) => {
      for (const partition of latest()?.partitions ?? []) {
        const value = partition[field];
        if (value !== undefined)
          result.observe(value, { 'messaging.destination.partition.id': partition.partitionId });
      }
    });
}
