import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PipeError } from '../../util/errors.ts';
import type { IngestProgress } from './types.ts';

export interface HealthServer {
  readonly port: number;
  /** The state that the next request is answered with. */
  update(progress: IngestProgress): void;
  close(): Promise<void>;
}

/** No progress for this long, three times the usual gap between two updates, and the process counts as stuck. */
const STALE_MS = 15_000;

/**
 * Serves `GET /health` (200 while events can flow, 503 before the first progress, while draining, or when stuck: the answers
 * that Kubernetes probes expect) and `GET /metrics` in the Prometheus text format. Throws E_PORT_IN_USE.
 */
export async function startHealthServer(options: {
  readonly host: string;
  readonly port: number;
  readonly now: () => number;
}): Promise<HealthServer> {
  let progress: IngestProgress | undefined;
  let updatedAt = 0;
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(progress === undefined ? '' : prometheusText(progress));
    } else if (path === '/health') {
      const status = healthOf(progress, options.now() - updatedAt);
      response.writeHead(status === 'ok' ? 200 : 503, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify({ status })}\n`);
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /health or /metrics\n');
    }
  });
  // Longer than a scraper keeps an idle connection: one that is closed under a request fails it.
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new PipeError('E_PORT_IN_USE', `port ${options.port} is already in use`, {
              hint: 'pass --health-port 0 for a free one',
              cause: error,
            })
          : error,
      ),
    );
    server.listen(options.port, options.host, resolve);
  });
  // A scraper that keeps its connection open must not keep the process alive.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    update(next) {
      progress = next;
      updatedAt = options.now();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function healthOf(
  progress: IngestProgress | undefined,
  ageMs: number,
): 'ok' | 'starting' | 'draining' | 'stuck' {
  if (progress === undefined) return 'starting';
  if (progress.phase === 'draining') return 'draining';
  return ageMs > STALE_MS ? 'stuck' : 'ok';
}

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly {
    readonly labels?: Readonly<Record<string, string>>;
    readonly value: number | undefined;
  }[];
}

/** Renders progress in the Prometheus text exposition format, version 0.0.4. */
export function prometheusText({ partitions, totals, writer }: IngestProgress): string {
  const one = (name: string, type: Metric['type'], help: string, value: number): Metric => ({
    name,
    type,
    help,
    samples: [{ value }],
  });
  const perPartition = (
    name: string,
    help: string,
    value: (partition: (typeof partitions)[number]) => number | undefined,
  ): Metric => ({
    name,
    type: 'gauge',
    help,
    samples: partitions
      .filter((partition) => partition.owner !== undefined)
      .map((partition) => ({ labels: { partition: partition.partitionId }, value: value(partition) })),
  });
  const metrics: Metric[] = [
    one('cosmos_pipe_ingest_received_total', 'counter', 'Events received.', totals.received),
    one('cosmos_pipe_ingest_stored_total', 'counter', 'Events stored in Cosmos DB.', totals.stored),
    one('cosmos_pipe_ingest_stored_bytes_total', 'counter', 'Bytes of stored items.', totals.storedBytes),
    one(
      'cosmos_pipe_ingest_already_stored_total',
      'counter',
      'Events whose item was there.',
      totals.alreadyStored,
    ),
    one('cosmos_pipe_ingest_dead_lettered_total', 'counter', 'Events put aside.', totals.deadLettered),
    one('cosmos_pipe_ingest_missing_total', 'counter', 'Events that expired unread.', totals.missing),
    one('cosmos_pipe_ingest_request_units_total', 'counter', 'Request units charged.', totals.requestCharge),
    one('cosmos_pipe_ingest_in_flight', 'gauge', 'Writes on the wire.', writer.inFlight),
    one('cosmos_pipe_ingest_buffered_bytes', 'gauge', 'Bytes accepted and not stored.', writer.bufferedBytes),
    perPartition('cosmos_pipe_ingest_sequence_number', 'Last durable event.', (p) => p.sequenceNumber),
    perPartition('cosmos_pipe_ingest_lag_events', 'Events after the last durable one.', (p) => p.lagEvents),
    perPartition('cosmos_pipe_ingest_lag_seconds', 'Age of the last durable event while behind.', (p) =>
      p.lagMs === undefined ? undefined : p.lagMs / 1000,
    ),
    perPartition(
      'cosmos_pipe_ingest_checkpoint_age_seconds',
      'Time since the checkpoint.',
      (p) => p.checkpointAgeMs / 1000,
    ),
    {
      name: 'cosmos_pipe_ingest_throttled_total',
      type: 'counter',
      help: 'Writes answered with 429, by partition key range.',
      samples: writer.perRange.map((range) => ({ labels: { range: range.rangeId }, value: range.throttled })),
    },
  ];
  return metrics.map(metricText).join('');
}

function metricText({ name, type, help, samples }: Metric): string {
  const lines = samples.flatMap(({ labels = {}, value }) => {
    if (value === undefined) return [];
    const text = Object.entries(labels).map(([label, of]) => `${label}="${of.replaceAll(/["\\\n]/g, '_')}"`);
    return [`${name}${text.length > 0 ? `{${text.join(',')}}` : ''} ${value}\n`];
  });
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
