import { expect, it } from 'vitest';
import { partitionForKey } from '../../../src/hashing/partition-for-key.ts';
import type { EventHubsService } from '../../../src/local/event-hubs/index.ts';
import { createFaults } from '../../../src/local/faults/faults.ts';
import { createStageRecorder } from '../../../src/metrics/stage-recorder.ts';
import { type ProduceOptions, produce } from '../../../src/pipeline/produce/produce.ts';
import { Ledger } from '../../../src/pipeline/verify/ledger.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { seededRandom } from '../../../src/util/random.ts';
import { Secret } from '../../../src/util/secret.ts';
import type { WorkloadInput } from '../../../src/workload/spec.ts';
import { eventually } from '../../helpers/eventually.ts';
import { consumer, start, subscribe } from '../../local/event-hubs/clients.ts';

const clock = systemClock;

function run(service: EventHubsService, workload: WorkloadInput, options: Partial<ProduceOptions> = {}) {
  return produce({
    target: {
      connectionString: new Secret(service.connectionString),
      eventHub: 'telemetry',
      consumerGroup: '$Default',
    },
    workload,
    run: 'test-run',
    recorder: createStageRecorder('produce', { clock }),
    clock,
    ...options,
    // Where nothing else is asked for, arrivals are taken up however long this process stood still.
    limits: { maxLatenessMs: 600_000, ...options.limits },
  });
}

/** What is stored, per partition, with envelope. */
async function stored(service: EventHubsService, counts: Readonly<Record<string, number>>) {
  const client = consumer(service);
  const partitions = Object.entries(counts).map(async ([partitionId, count]) => {
    const subscription = subscribe(client, partitionId);
    const events = count === 0 ? [] : await subscription.until(count);
    await subscription.close();
    return events.map(({ body, partitionKey, properties }) => ({
      body: body as Record<string, unknown>,
      partitionId,
      partitionKey,
      properties,
      run: properties?.['cp-run'] as string,
      key: properties?.['cp-key'] as string,
      sequence: properties?.['cp-seq'] as number,
    }));
  });
  return (await Promise.all(partitions)).flat();
}

const sorted = (texts: Iterable<string>): string[] => [...texts].sort((a, b) => (a < b ? -1 : 1));

function expectOrderPerKey(events: readonly { readonly key: string; readonly sequence: number }[]): void {
  const next = new Map<string, number>();
  for (const { key, sequence } of events) {
    expect(sequence).toBe(next.get(key) ?? 0);
    next.set(key, sequence + 1);
  }
}

it('stores every event once, in order per key, in the partition the service would choose', async () => {
  const service = await start();
  const ledger = new Ledger('test-run');
  const recorder = createStageRecorder('produce', { clock });
  const result = await run(service, { events: 5_000, keys: { count: 200 } }, { ledger, recorder });
  expect(result).toMatchObject({ offered: 5_000, sent: 5_000, failed: {}, dropped: 0, trustworthy: true });
  const events = await stored(service, result.partitions);
  expect(events.length).toBe(5_000);
  expectOrderPerKey(events);
  for (const { key, partitionId, partitionKey } of events) {
    expect(partitionKey).toBe(key);
    expect(partitionId).toBe(String(partitionForKey(key, 4)));
  }
  expect(recorder.summary()).toMatchObject({ offered: 5_000, done: 5_000, sizeBytes: result.sizeBytes });
  expect(recorder.summary().latency.count).toBe(5_000);
  expect(ledger.acknowledgedCount).toBe(5_000);
});

it('keeps the order per key through refused batches, and counts them on their own', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  faults.add('event-hubs:server-busy=25%');
  const service = await start({ faults });
  const result = await run(
    service,
    { events: 3_000, keys: { count: 20 }, rate: 6_000 },
    { limits: { batchEvents: 100 } },
  );
  expect(result.sent).toBe(3_000);
  expect(result.throttled).toBeGreaterThan(0);
  expect(result.failed).toEqual({});
  expectOrderPerKey(await stored(service, result.partitions));
});

it('keeps the order per key through links that are taken away, and says what it sent again', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  faults.add('event-hubs:detach=15%');
  const service = await start({ faults });
  const result = await run(
    service,
    { events: 3_000, keys: { count: 20 }, rate: 6_000 },
    { limits: { batchEvents: 100 } },
  );
  expect(result).toMatchObject({ sent: 3_000, failed: {} });
  expect(result.resent).toBeGreaterThan(0);
  faults.clear();
  expectOrderPerKey(await stored(service, result.partitions));
});

it('writes down what was given up without an answer, by key and sequence', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  faults.add('event-hubs:detach=100%');
  const service = await start({ faults });
  const ledger = new Ledger('run-1');
  const result = await run(
    service,
    { events: 40, keys: { count: 4, distribution: 'sequential' }, rate: 6_000 },
    { ledger, limits: { giveUpMs: 200 } },
  );
  expect(result).toMatchObject({ sent: 0, unknown: 40 });
  const given = [...(ledger.misbehaviour.get('unknown')?.values() ?? [])].map((set) => set.toJSON());
  expect(given).toEqual(Array.from({ length: 4 }, () => [0, 9]));
});

it('keeps an open model: the service being slow does not slow arrivals down', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  faults.add('event-hubs:latency=300ms');
  const service = await start({ faults });
  const recorder = createStageRecorder('produce', { clock });
  const result = await run(service, { rate: 1_000, duration: '500ms' }, { recorder });
  expect(result).toMatchObject({ offered: 500, sent: 500, dropped: 0 });
  expect(recorder.summary().latency.p50Ms).toBeGreaterThanOrEqual(300);
});

it('counts what it cannot take up in time and says that the run is not trustworthy', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  faults.add('event-hubs:latency=400ms');
  const service = await start({ faults });
  const result = await run(
    service,
    { rate: 9_000, events: 4_000 },
    { limits: { bufferBytes: 300_000, maxLatenessMs: 100 } },
  );
  expect(result.offered).toBe(4_000);
  expect(result.dropped).toBeGreaterThan(0);
  expect(result.sent + result.dropped).toBe(4_000);
  expect(result.trustworthy).toBe(false);
  expect(result.doubts[0]).toMatch(/arrivals dropped/);
});

it('gives up a batch that is refused for too long', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  const service = await start({ faults });
  const result = await run(
    service,
    { events: 10 },
    { limits: { giveUpMs: 300 }, onStart: () => faults.add('event-hubs:server-busy=100%') },
  );
  expect(result).toMatchObject({ sent: 0, failed: { ServerBusyError: 10 } });
});

it('ends on abort with what was taken up answered', async () => {
  const service = await start();
  const abort = new AbortController();
  const recorder = createStageRecorder('produce', { clock });
  const running = run(service, { rate: 2_000 }, { signal: abort.signal, recorder });
  await eventually(() => recorder.snapshot().done > 200);
  abort.abort();
  const result = await running;
  expect(result.interrupted).toBe(true);
  expect(result.sent).toBe(result.offered);
});

it('records injected faults in the ledger, and an oversized event is refused by the service', async () => {
  const service = await start();
  const ledger = new Ledger('test-run');
  const result = await run(
    service,
    {
      events: 300,
      faults: { duplicates: 0.1, outOfOrder: 0.1, malformed: 0.1, late: 0.1, oversized: 0.05 },
    },
    { ledger },
  );
  expect(sorted(Object.keys(result.injected))).toEqual([
    'duplicate',
    'late',
    'malformed',
    'outOfOrder',
    'oversized',
  ]);
  expect(sorted(ledger.misbehaviour.keys())).toEqual(sorted(Object.keys(result.injected)));
  // Nothing else is refused with it.
  expect(result.failed).toEqual({ oversized: result.injected['oversized'] });
  expect(result.sent).toBe(300 + (result.injected['duplicate'] ?? 0) - (result.injected['oversized'] ?? 0));
});

it('routes to one partition, and round robin without a partition key', async () => {
  const service = await start();
  const one = await run(service, { events: 100 }, { routing: { by: 'partition', partitionId: '2' } });
  expect(one.partitions).toEqual({ '2': 100 });
  const spread = await run(
    service,
    { events: 400, keys: { count: 400, distribution: 'sequential' } },
    { routing: { by: 'roundRobin' } },
  );
  expect(spread.partitions).toEqual({ '0': 100, '1': 100, '2': 100, '3': 100 });
  const events = await stored(service, { '0': 100 });
  expect(events.every(({ partitionKey }) => partitionKey === undefined || partitionKey === null)).toBe(true);
  await expect(
    run(service, { events: 1 }, { routing: { by: 'partition', partitionId: '9' } }),
  ).rejects.toMatchObject({
    code: 'E_USAGE',
    message: 'no partition 9, the event hub has 0 to 3',
  });
});

it('sends idempotently, one batch at a time per partition, in order', async () => {
  const service = await start();
  const result = await run(
    service,
    { events: 2_000, keys: { count: 50 } },
    { idempotent: true, limits: { batchEvents: 50 } },
  );
  expect(result.sent).toBe(2_000);
  expectOrderPerKey(await stored(service, result.partitions));
});

it('makes the whole of its shards, and the same bytes', async () => {
  const startMicros = clock.epochMicros();
  const workload: WorkloadInput = { events: 1_000, rate: 9_000, keys: { count: 40 } };
  const bodies = async (options: readonly Partial<ProduceOptions>[]): Promise<string[]> => {
    const service = await start();
    const all: string[] = [];
    const counts: Record<string, number> = {};
    for (const option of options) {
      const { partitions } = await run(service, workload, { startMicros, ...option });
      for (const [id, count] of Object.entries(partitions)) counts[id] = (counts[id] ?? 0) + count;
    }
    for (const { body } of await stored(service, counts)) all.push(JSON.stringify(body));
    return sorted(all);
  };
  const whole = await bodies([{}]);
  expect(whole.length).toBe(1_000);
  expect(await bodies([0, 1, 2].map((index) => ({ shard: { index, count: 3 } })))).toEqual(whole);
});

it('stores a batch once when its answer was lost, if it is idempotent', async () => {
  const faults = createFaults('event-hubs', { clock, random: seededRandom(1) });
  const service = await start({ faults });
  const fault = faults.add('event-hubs:timeout=100%');
  const recorder = createStageRecorder('produce', { clock });
  const ledger = new Ledger('test-run');
  const running = run(
    service,
    { events: 300, keys: { count: 30 } },
    { idempotent: true, ledger, recorder, limits: { answerMs: 1_500, batchEvents: 100 } },
  );
  // Stored, and nothing of it acknowledged.
  await eventually(() => service.stats().eventsIn > 0);
  fault.remove();
  const result = await running;
  expect(result.resent).toBeGreaterThan(0);
  expect(result).toMatchObject({ sent: 300, failed: {} });
  // Each of them is named to the ledger, because a hub without idempotence would have it twice.
  const named = [...(ledger.misbehaviour.get('resent')?.values() ?? [])];
  expect(named.reduce((sum, set) => sum + set.size, 0)).toBeGreaterThan(0);
  expect(named.reduce((sum, set) => sum + set.size, 0)).toBeLessThanOrEqual(result.resent);
  const events = await stored(service, result.partitions);
  expectOrderPerKey(events);
  expect(service.stats().eventsIn).toBe(300);
});

it.each([{ publicApiOnly: false }, { publicApiOnly: true }])(
  'writes properties that differ from event to event, and partition keys of their own: %j',
  async (options) => {
    const service = await start();
    const result = await run(
      service,
      {
        events: 40,
        keys: { count: 4, prefix: 'd', partitionKey: 'site-$.DeviceId' },
        properties: { plant: 'north', number: 'no. $.Sequence', who: '$.DeviceId' },
      },
      options,
    );
    const events = await stored(service, result.partitions);
    expect(events.length).toBe(40);
    for (const { key, partitionId, partitionKey, properties, sequence } of events) {
      expect(partitionKey).toBe(`site-${key}`);
      expect(partitionId).toBe(String(partitionForKey(`site-${key}`, 4)));
      expect(properties).toMatchObject({ plant: 'north', number: `no. ${sequence}`, who: key });
    }
  },
);

it('refuses to spread over workers what can be read only once', async () => {
  const service = await start();
  async function* open(): AsyncGenerator<string> {
    yield '{}';
  }
  await expect(run(service, {}, { workers: 2, source: { format: 'ndjson', open } })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: 'events from stdin cannot be spread over workers',
  });
});

it('streams records from a slow source without waiting for more', async () => {
  const service = await start();
  const recorder = createStageRecorder('produce', { clock });
  let release: () => void = () => {};
  const more = new Promise<void>((resolve) => {
    release = resolve;
  });
  async function* open(): AsyncGenerator<string> {
    yield '{"deviceId":"a","n":1}\n{"deviceId":"b","n":2}\n';
    await more;
    yield '{"deviceId":"a","n":3}\n';
  }
  const running = run(service, {}, { recorder, source: { format: 'ndjson', keyPath: 'deviceId', open } });
  await eventually(() => recorder.snapshot().done === 2);
  release();
  const result = await running;
  const events = await stored(service, result.partitions);
  expect(sorted(events.map(({ body, key, sequence }) => `${key} ${sequence} ${String(body['n'])}`))).toEqual([
    'a 0 1',
    'a 1 3',
    'b 0 2',
  ]);
});

it('hands over no more batches than it can afford when many partitions are busy', async () => {
  const service = await start({ hubs: [{ name: 'telemetry', partitionCount: 32 }] });
  const { batches, durationMs, sent } = await run(service, { rate: 8_000, events: 4_000 });
  expect(sent).toBe(4_000);
  // One in two milliseconds, a first one for every partition and the last ones at the end.
  expect(batches).toBeLessThanOrEqual(Math.ceil(durationMs / 2) + 2 * 32);
});
