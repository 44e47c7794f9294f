import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient } from '@azure/cosmos';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createBulkWriter } from '../../../src/cosmos/bulk-writer.ts';
import { type CosmosService, startCosmos } from '../../../src/local/cosmos/index.ts';
import { type EventHubsService, startEventHubs } from '../../../src/local/event-hubs/index.ts';
import { createRuRecorder } from '../../../src/metrics/ru-recorder.ts';
import { createStageRecorder } from '../../../src/metrics/stage-recorder.ts';
import { openDeadLetterFile } from '../../../src/pipeline/dead-letter/file.ts';
import { openDeadLetter, openDeadLetterArchive } from '../../../src/pipeline/dead-letter/open.ts';
import { ingest } from '../../../src/pipeline/ingest/ingest.ts';
import { openIngestStore } from '../../../src/pipeline/ingest/store.ts';
import type { IngestOptions, IngestProgress } from '../../../src/pipeline/ingest/types.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { eventually } from '../../helpers/eventually.ts';
import { freePort } from '../../helpers/ports.ts';
import { sendTelemetry } from '../../helpers/telemetry.ts';

let hubs: EventHubsService;
let cosmos: CosmosService;
let client: CosmosClient;
let names = 0;

beforeAll(async () => {
  hubs = await startEventHubs({ port: 0 });
  cosmos = await startCosmos({ port: 0 });
  client = new CosmosClient(cosmos.environment['COSMOS_CONNECTION_STRING'] ?? '');
});
afterAll(async () => {
  client.dispose();
  await hubs.stop();
  await cosmos.stop();
});

const connectionString = () => hubs.environment['EVENTHUB_CONNECTION_STRING'] ?? '';

/** A hub and a container of its own for each test, and the options that join them. */
function pipe(changes: Partial<IngestOptions> = {}) {
  names += 1;
  const eventHub = `hub-${names}`;
  const options: IngestOptions = {
    eventHubs: { connectionString: new Secret(connectionString()), eventHub, consumerGroup: '$Default' },
    cosmos: {
      endpoint: cosmos.environment['COSMOS_ENDPOINT'] ?? '',
      key: new Secret(cosmos.environment['COSMOS_KEY'] ?? ''),
      database: 'test',
      container: `items-${names}`,
    },
    create: { partitionKeyPath: '/deviceId', throughput: 100_000 },
    checkpoints: { kind: 'memory' },
    recorder: createStageRecorder('ingest', { clock: systemClock }),
    ru: createRuRecorder({ clock: systemClock }),
    clock: systemClock,
    signal: new AbortController().signal,
    ownerId: `owner-${names}`,
    until: 'drained',
    onProblem: (message) => problems.push(message),
    ...changes,
    // A process that stands still for seconds keeps its partitions, and so reads nothing twice.
    limits: { rebalanceMs: 200, checkpointIntervalMs: 200, ownershipExpiryMs: 60_000, ...changes.limits },
  };
  const problems: string[] = [];
  const send = (count: number, more: object = {}) =>
    sendTelemetry({ connectionString: connectionString(), eventHub, count, ...more });
  const items = async (query = 'SELECT * FROM c') =>
    (await client.database('test').container(options.cosmos.container).items.query(query).fetchAll())
      .resources;
  return { options, send, items, problems };
}

async function fileCheckpoints() {
  return { kind: 'file', folder: await mkdtemp(join(tmpdir(), 'ingest-')) } as const;
}

describe('ingest', () => {
  it('stores every event that the hub held at the start, and says so', async () => {
    const { options, send, items } = pipe();
    await send(2_000);
    const result = await ingest(options);
    expect(result).toMatchObject({
      ended: 'drained',
      received: 2_000,
      stored: 2_000,
      deadLettered: 0,
      missing: 0,
    });
    expect(result.partitions.map((partition) => partition.sequenceNumber)).toEqual([499, 499, 499, 499]);
    const stored = await items();
    expect(new Set(stored.map((item) => item.id)).size).toBe(2_000);
    expect(stored.find((item) => item.id === 'e-7')).toMatchObject({
      deviceId: 'device-7',
      pipe: { run: 'test', key: 'device-7', sequence: 0, partition: '3', sequenceNumber: 1 },
    });
    const stage = (options.recorder as ReturnType<typeof createStageRecorder>).summary();
    expect(stage).toMatchObject({ offered: 2_000, done: 2_000, failed: 0 });
    expect(stage.latency.count).toBe(2_000);
    expect(result.requestCharge).toBeGreaterThan(2_000);
  });

  it('resumes after the last durable event and reads nothing twice', async () => {
    const { options, send } = pipe({ checkpoints: await fileCheckpoints() });
    await send(400);
    const { partitions, received } = await ingest(options);
    expect(received).toBe(400);
    expect(partitions.map(({ partitionId }) => partitionId)).toEqual(['0', '1', '2', '3']);
    // Ends as soon as it knows that nothing is left, whichever partitions are its own by then.
    expect((await ingest(options)).received).toBe(0);
    await send(100, { first: 400 });
    expect((await ingest({ ...options, ownerId: 'other' })).received).toBe(100);
    expect((await ingest({ ...options, restart: true })).received).toBe(500);
  });

  it('keeps checkpoints and owners in a container for several hosts', async () => {
    const { options, send, problems } = pipe({ checkpoints: { kind: 'cosmos', container: 'checkpoints' } });
    await send(80);
    expect((await ingest(options)).received).toBe(80);
    await send(8, { first: 80 });
    expect((await ingest({ ...options, ownerId: 'second-host' })).received).toBe(8);
    expect(problems).toEqual([]);
  });

  it('puts poison into a container or another hub, from where it can be ingested again', async () => {
    const { options, send } = pipe();
    await send(8, {
      body: (i: number) => (i === 5 ? Buffer.from('{"eventId":"e-5","sensor":"d"}') : undefined),
    });
    const container = await openDeadLetter({ kind: 'cosmos', container: 'dead' }, options);
    const eventHub = `${options.eventHubs.eventHub}-dead`;
    const hub = await openDeadLetter({ kind: 'hub', eventHub }, options);
    for (const deadLetter of [container, hub])
      expect(await ingest({ ...options, deadLetter })).toMatchObject({ stored: 7, deadLettered: 1 });
    const archive = await openDeadLetterArchive(
      { kind: 'cosmos', container: 'dead' },
      async () => options.cosmos,
    );
    for await (const record of archive.records())
      expect(record).toMatchObject({ reason: 'missing-partition-key', partition: '1', sequenceNumber: 1 });
    expect(await archive.remove(() => true)).toBe(1);
    const { container: notDead } = options.cosmos;
    const items = await openDeadLetterArchive(
      { kind: 'cosmos', container: notDead },
      async () => options.cosmos,
    );
    await expect(items.records()[Symbol.asyncIterator]().next()).rejects.toThrow(
      `test/${notDead} holds items that are no dead letters`,
    );
    await items.close();
    const missing = { kind: 'cosmos', container: 'never-made' } as const;
    await expect(openDeadLetterArchive(missing, async () => options.cosmos)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('no container test/never-made'),
    });
    const again = {
      ...options,
      eventHubs: { ...options.eventHubs, eventHub },
      mapping: { rename: { sensor: 'deviceId' } },
    };
    expect(await ingest(again)).toMatchObject({ stored: 1, deadLettered: 0 });
    await Promise.all([container.close(), hub.close(), archive.close()]);
  });

  it('drains and saves the checkpoint when it is told to stop', async () => {
    const stop = new AbortController();
    const checkpoints = await fileCheckpoints();
    const seen: IngestProgress[] = [];
    const { options, send, items } = pipe({
      checkpoints,
      signal: stop.signal,
      limits: { checkpointIntervalMs: 60_000, checkpointEvents: 1_000_000 },
      onProgress: (progress) => seen.push(progress),
    });
    const { until, ...endless } = options;
    await send(1_000);
    const running = ingest(endless);
    await eventually(() => seen.some((progress) => progress.totals.stored > 0));
    stop.abort();
    const result = await running;
    expect(result.ended).toBe('signal');
    expect(result.stored).toBe(result.received);
    expect((await items()).length).toBe(result.stored);
    expect(seen.at(-1)?.phase).toBe('draining');
    const rest = await ingest({ ...options, signal: new AbortController().signal });
    expect(rest.received).toBe(1_000 - result.received);
  });

  it('ends when nothing comes any more', async () => {
    const { options, send } = pipe({ until: 'idle', limits: { idleMs: 300 } });
    await send(40);
    expect(await ingest(options)).toMatchObject({ ended: 'idle', stored: 40 });
  });

  it('does not take an outage of the hub for quiet, and does not say that the lag is 0', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'hub-'));
    const first = await startEventHubs({ port: await freePort(), dataDir });
    const connectionOf = (service: EventHubsService) =>
      service.environment['EVENTHUB_CONNECTION_STRING'] ?? '';
    const seen: IngestProgress[] = [];
    let skippedMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + skippedMs };
    const { options } = pipe({
      until: 'idle',
      limits: { idleMs: 3_000 },
      clock,
      onProgress: (progress) => seen.push(progress),
    });
    const { eventHub } = options.eventHubs;
    await sendTelemetry({ connectionString: connectionOf(first), eventHub, count: 40 });
    const connectionString = new Secret(connectionOf(first));
    let hasEnded = false;
    const running = ingest({ ...options, eventHubs: { ...options.eventHubs, connectionString } });
    void running.then(() => {
      hasEnded = true;
    });
    await eventually(
      () => (options.recorder as ReturnType<typeof createStageRecorder>).snapshot().done === 40,
    );
    await first.stop();
    // Longer than the wait for quiet, by its own clock, and two reports in which it could end.
    skippedMs = 4_000;
    const skippedAt = seen.length;
    await eventually(() => seen.length >= skippedAt + 2);
    await eventually(() =>
      expect(seen.at(-1)?.partitions.map(({ lagEvents }) => lagEvents)).toEqual(Array(4).fill(undefined)),
    );
    expect(hasEnded).toBe(false);
    const second = await startEventHubs({ port: first.port, dataDir });
    onTestFinished(() => second.stop());
    expect(await running).toMatchObject({ ended: 'idle', stored: 40 });
  });

  it('drains what the hub holds when its producer is done', async () => {
    const { options, send } = pipe();
    const produced = send(40).then(() => send(60, { first: 40 }));
    await send(4, { first: 100 });
    expect(await ingest({ ...options, drainAfter: produced })).toMatchObject({
      ended: 'drained',
      stored: 104,
    });
  });

  it('starts at the latest event for good, even when the process that decided so is gone', async () => {
    const checkpoints = await fileCheckpoints();
    const { options, send } = pipe({ checkpoints, from: { kind: 'latest' } });
    await send(80);
    expect((await ingest(options)).received).toBe(0);
    await send(8, { first: 80 });
    expect((await ingest({ ...options, from: { kind: 'earliest' } })).received).toBe(8);
  });

  it('puts poison aside with its bytes and stores the rest', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'dead-')), 'dead.ndjson');
    const deadLetter = await openDeadLetterFile(path);
    const { options, send, items, problems } = pipe({ deadLetter, mapping: { ttlSeconds: 3_600 } });
    await send(200, {
      body: (i: number) => {
        if (i === 50) return Buffer.from('{ broken');
        if (i === 60) return { eventId: 'a/b', deviceId: 'x' };
        return i === 70 ? { eventId: 'e-70' } : undefined;
      },
    });
    expect(await ingest(options)).toMatchObject({ stored: 197, deadLettered: 3 });
    expect(problems).toEqual([expect.stringMatching(/^items will not expire: .*no default time to live/)]);
    await deadLetter.close();
    const lines = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.reason).sort()).toEqual([
      'invalid-id',
      'malformed',
      'missing-partition-key',
    ]);
    const broken = lines.find((line) => line.reason === 'malformed');
    expect(Buffer.from(broken.body, 'base64').toString()).toBe('{ broken');
    expect(broken).toMatchObject({
      eventHub: options.eventHubs.eventHub,
      partition: '2',
      sequenceNumber: 12,
    });
    expect(await items()).toHaveLength(197);
  });

  it('keeps the newest version of each device in replace-if-newer, and counts the older ones', async () => {
    const { options, send, items } = pipe({ mapping: { id: 'deviceId', write: 'replace-if-newer' } });
    await send(400);
    expect(await ingest(options)).toMatchObject({ deadLettered: 0 });
    const stored = await items();
    expect(stored).toHaveLength(40);
    for (const item of stored) expect(item.deviceSequenceNumber).toBe(360 + Number(item.id.split('-')[1]));
  });

  it('names the command that helps when the container is missing', async () => {
    const { options } = pipe();
    const { create, ...without } = options;
    await expect(ingest(without)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('starts over when the hub was deleted and made again', async () => {
    const { options, problems } = pipe({ checkpoints: await fileCheckpoints() });
    const { eventHub } = options.eventHubs;
    const onHub = async (port: number, count: number) => {
      const service = await startEventHubs({ port });
      try {
        const text = service.environment['EVENTHUB_CONNECTION_STRING'] ?? '';
        await sendTelemetry({ connectionString: text, eventHub, count });
        const eventHubs = { ...options.eventHubs, connectionString: new Secret(text) };
        return await ingest({ ...options, eventHubs });
      } finally {
        await service.stop();
      }
    };
    const port = await freePort();
    await onHub(port, 8);
    expect(await onHub(port, 80)).toMatchObject({ received: 80 });
    expect(problems).toEqual([expect.stringContaining('4 checkpoints are of an earlier event hub')]);
  });

  it('goes on at the first event of a hub that is made anew while it runs, and makes its container anew', async () => {
    const stop = new AbortController();
    const checkpoints = await fileCheckpoints();
    const { options, send, items, problems } = pipe({ checkpoints, signal: stop.signal });
    const { until: _, ...endless } = options;
    const { eventHub } = options.eventHubs;
    await send(200);
    const running = ingest(endless);
    await eventually(async () => expect(await items()).toHaveLength(200));
    await client.database('test').container(options.cosmos.container).delete();
    hubs.deleteHub(eventHub);
    hubs.createHub({ name: eventHub, partitionCount: 4 });
    // Fewer events than the old hub had: a reader at the old position would wait for as many again.
    await send(40, { first: 1_000 });
    await eventually(async () => expect(await items()).toHaveLength(40));
    stop.abort();
    expect((await running).stored).toBe(240);
    expect(problems.filter((line) => line.includes('made anew'))).toHaveLength(1);
    const resumed = await ingest({ ...options, signal: new AbortController().signal });
    expect(resumed.received).toBe(0);
  });

  it('reads partitions that are added while it runs, from their first event', async () => {
    const stop = new AbortController();
    const seen: IngestProgress[] = [];
    const { options, send, items } = pipe({
      signal: stop.signal,
      from: { kind: 'latest' },
      onProgress: (progress) => seen.push(progress),
    });
    const { until: _, ...endless } = options;
    const { eventHub } = options.eventHubs;
    await send(40);
    const running = ingest(endless);
    await eventually(() =>
      expect(seen.at(-1)?.partitions.map(({ owner }) => owner)).not.toContain(undefined),
    );
    hubs.growHub(eventHub, 6);
    await send(60, { first: 1_000, partitions: 6 });
    await eventually(async () => expect(await items()).toHaveLength(60));
    await eventually(() =>
      expect(seen.at(-1)?.partitions.map(({ lagEvents }) => lagEvents)).toEqual([0, 0, 0, 0, 0, 0]),
    );
    stop.abort();
    expect((await running).partitions).toHaveLength(6);
  });

  it('goes on at the checkpoints after an outage that the writer gave up on', async () => {
    const stop = new AbortController();
    const { options, send, items, problems } = pipe({ signal: stop.signal });
    const impatient: typeof openIngestStore = async (...args) => {
      const store = await openIngestStore(...args);
      return {
        ...store,
        openWriter: async ({ recorder, ...hooks }) =>
          createBulkWriter({ ...hooks, connection: await store.connection(), giveUpMs: 200 }),
      };
    };
    const { until, ...endless } = options;
    await send(400);
    const running = ingest(endless, impatient);
    await eventually(async () => expect(await items()).toHaveLength(400));
    cosmos.faults.add('cosmos:unavailable=100%');
    try {
      await send(400, { first: 400 });
      await eventually(() => problems.some((line) => line.includes('continuing from the checkpoints')));
    } finally {
      cosmos.faults.clear();
    }
    await eventually(async () => expect(await items()).toHaveLength(800));
    stop.abort();
    const result = await running;
    expect(result.ended).toBe('signal');
    expect(result.received).toBeGreaterThan(800);
    expect(result.partitions.reduce((sum, { sequenceNumber = -1 }) => sum + sequenceNumber + 1, 0)).toBe(800);
  });

  it('shares the partitions between two processes and hands them over when one leaves', async () => {
    const checkpoints = await fileCheckpoints();
    const seen = { a: [] as IngestProgress[], b: [] as IngestProgress[] };
    const stopB = new AbortController();
    const stopA = new AbortController();
    const { options, send, items } = pipe({ checkpoints });
    const { until, ...endless } = options;
    const owned = (list: readonly IngestProgress[]) =>
      (list.at(-1)?.partitions ?? []).filter((partition) => partition.owner !== undefined).length;
    await send(400);
    const a = ingest({ ...endless, ownerId: 'a', signal: stopA.signal, onProgress: (p) => seen.a.push(p) });
    await eventually(() => owned(seen.a) === 4);
    const b = ingest({ ...endless, ownerId: 'b', signal: stopB.signal, onProgress: (p) => seen.b.push(p) });
    await eventually(() => owned(seen.a) === 2 && owned(seen.b) === 2);
    await send(400, { first: 400 });
    await eventually(async () => (await items('SELECT VALUE COUNT(1) FROM c'))[0] === 800);
    stopB.abort();
    const left = await b;
    expect(left.stored).toBeGreaterThanOrEqual(200);
    await send(400, { first: 800 });
    await eventually(async () => (await items('SELECT VALUE COUNT(1) FROM c'))[0] === 1_200);
    stopA.abort();
    await a;
    expect(new Set((await items()).map((item) => item.id)).size).toBe(1_200);
  });
});
