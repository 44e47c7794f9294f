import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CosmosService, startCosmos } from '../../src/local/cosmos/index.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';
import { spawnCli } from '../helpers/cli.ts';
import { freePort } from '../helpers/ports.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

let hubs: EventHubsService;
let cosmos: CosmosService;
let collector: Server;
/** Not a port of the system's: a client of another test might still be looking there for its server. */
const port = await freePort();
/** Bodies that the collector was sent, by path. */
const exported: { readonly path: string; readonly text: string }[] = [];

beforeAll(async () => {
  hubs = await startEventHubs({ port: 0 });
  cosmos = await startCosmos({ port: 0 });
  await sendTelemetry({
    connectionString: hubs.environment['EVENTHUB_CONNECTION_STRING'] ?? '',
    eventHub: 'observed',
    count: 200,
  });
  collector = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    exported.push({ path: request.url ?? '', text: Buffer.concat(chunks).toString() });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => collector.listen(port, '127.0.0.1', resolve));
});
afterAll(async () => {
  collector.close();
  await hubs.stop();
  await cosmos.stop();
});

async function ingest(container: string, env: NodeJS.ProcessEnv, extra: readonly string[] = []) {
  const child = spawnCli(
    ['ingest', '--event-hub', 'observed', '--container', container, '--create', '--until-drained', ...extra],
    {
      cwd: await mkdtemp(join(tmpdir(), 'ingest-telemetry-')),
      env: { ...process.env, ...hubs.environment, ...cosmos.environment, COSMOS_DATABASE: 'otel', ...env },
    },
  );
  return child.done;
}

it('exports spans of pages and metrics of the run when OTEL_* asks for it', async () => {
  const { code } = await ingest('traced', {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  });
  expect(code).toBe(0);
  const texts = (path: string) =>
    exported
      .filter((entry) => entry.path === path)
      .map(({ text }) => text)
      .join('\n');
  expect(texts('/v1/traces')).toContain('"process observed"');
  expect(texts('/v1/traces')).toContain('"messaging.destination.partition.id"');
  // A run that takes its time exports on the way as well.
  const stored = texts('/v1/metrics').matchAll(
    /"cosmos_pipe\.ingest\.stored".*?"as(?:Double|Int)":"?(\d+)/gs,
  );
  expect(Number([...stored].at(-1)?.[1])).toBe(200);
  expect(texts('/v1/metrics')).toContain('"cosmos-pipe"');
});

it('writes one JSON object per line to stderr with --log-format json', async () => {
  const before = exported.length;
  const { code, stderr, stdout } = await ingest('logged', {}, ['--log-format', 'json', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ stored: 200 });
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines[0]).toMatchObject({ level: 'info', message: 'starting', eventHub: 'observed' });
  expect(lines.at(-1)).toMatchObject({ level: 'info', message: 'ended', ended: 'drained', stored: 200 });
  expect(lines.every(({ time }) => !Number.isNaN(Date.parse(String(time))))).toBe(true);
  expect(exported).toHaveLength(before);
});
