import { EventHubConsumerClient, earliestEventPosition } from '@azure/event-hubs';
import { expect, it, onTestFinished } from 'vitest';
import { memoryCheckpointStore } from '../../src/eventhubs/checkpoint-memory.ts';
import { eventHubsConnection } from '../../src/eventhubs/connection.ts';
import { type Processor, type ProcessorOptions, startProcessor } from '../../src/eventhubs/processor.ts';
import { type EventHubsService, startEventHubs } from '../../src/local/event-hubs/index.ts';
import { Secret } from '../../src/util/secret.ts';
import { eventually } from '../helpers/eventually.ts';
import { createSteadyClock } from '../helpers/steady-clock.ts';
import { sendTelemetry } from '../helpers/telemetry.ts';

const PARTITIONS = ['0', '1', '2', '3'];
/** Well below what the SDK takes to notice (a minute), far above what we take. */
const SOON_MS = 30_000;
/** Shared by all processes of a test, and by their store: claims and delays are compared. */
const clock = createSteadyClock();

async function hub(port = 0): Promise<EventHubsService> {
  const service = await startEventHubs({ port });
  onTestFinished(() => service.stop());
  return service;
}

const send = (service: EventHubsService, count: number, first = 0) =>
  sendTelemetry({ connectionString: service.connectionString, eventHub: 'telemetry', count, first });

/** A processor that notes what it is told. Events are noted as `partition/sequence number`. */
async function processor(
  service: EventHubsService,
  changes: Partial<ProcessorOptions> & { readonly hold?: Promise<void> } = {},
) {
  const events: string[] = [];
  const log: string[] = [];
  const problems: string[] = [];
  const { hold, ...options } = changes;
  const target = {
    connectionString: new Secret(service.connectionString),
    eventHub: 'telemetry',
    consumerGroup: '$Default',
  };
  const running: Processor = startProcessor({
    connection: await eventHubsConnection(target),
    consumerGroup: '$Default',
    ownerId: 'me',
    checkpoints: memoryCheckpointStore(clock),
    positions: Object.fromEntries(PARTITIONS.map((id) => [id, { offset: '-1' }])),
    clock,
    rebalanceMs: 200,
    handler: {
      opened: (id) => void log.push(`opened ${id}`),
      async page(id, page) {
        events.push(...page.map(({ sequenceNumber }) => `${id}/${sequenceNumber}`));
        await hold;
      },
      async closed(id, reason, fence) {
        log.push(`closed ${id} ${reason}`);
        // Something is always on its way: it ends when it has to.
        if (reason === 'lost' && !fence.aborted)
          await new Promise((resolve) => fence.addEventListener('abort', resolve));
        log.push(`gone ${id}`);
      },
      failed: (id, error) => void problems.push(`${id ?? '-'}: ${error.message}`),
    },
    ...options,
  });
  onTestFinished(() => running.stop());
  const reading = () => PARTITIONS.filter((id) => running.status(id) === 'reading');
  return { running, events, log, problems, reading };
}

it.each(['reset', 'detach'])(
  'reads on within seconds after a %s of every link, and repeats nothing',
  async (kind) => {
    const service = await hub();
    await send(service, 40);
    const { events, log, reading } = await processor(service);
    await eventually(() => events.length === 40 && reading().length === 4);
    service.faults.add(`event-hubs:${kind}@1ms`);
    await eventually(() => service.faults.list()[0]?.state === 'spent');
    await send(service, 40, 40);
    await eventually(() => events.length >= 80, SOON_MS);
    expect(new Set(events).size).toBe(80);
    expect(events).toHaveLength(80);
    expect(log).toHaveLength(4);
  },
);

it('gives half of its partitions to another process, which reads them only when nothing of the first is on its way', async () => {
  const service = await hub();
  const checkpoints = memoryCheckpointStore(clock);
  const old = await processor(service, { checkpoints, ownerId: 'old' });
  await eventually(() => old.reading().length === 4);
  const goneAtOpening: number[] = [];
  const next = await processor(service, {
    checkpoints,
    ownerId: 'next',
    handler: {
      opened: () => void goneAtOpening.push(old.log.filter((line) => line.startsWith('gone')).length),
      page: async () => {},
      closed: async () => {},
      failed: () => {},
    },
  });
  await eventually(() => next.reading().length === 2 && old.reading().length === 2);
  expect(goneAtOpening).toEqual([2, 2]);
  expect(PARTITIONS.filter((id) => next.running.status(id) === 'elsewhere')).toEqual(old.reading());
});

it('claims a partition that is added meanwhile, and starts it where its hub does, not at the checkpoint of another hub', async () => {
  const service = await hub();
  await send(service, 40);
  const checkpoints = memoryCheckpointStore(clock);
  for (const [partitionId, hubCreatedMs] of [
    ['0', 7],
    ['1', 8],
  ] as const)
    await checkpoints.updateCheckpoint({
      fullyQualifiedNamespace: `localhost:${service.port}`,
      eventHubName: 'telemetry',
      consumerGroup: '$Default',
      partitionId,
      sequenceNumber: 4,
      offset: '0',
      hubCreatedMs,
    });
  const positions: Record<string, { offset: string }> = { 0: { offset: '-1' } };
  const { events } = await processor(service, { checkpoints, positions, hubCreatedMs: 8 });
  await eventually(() => events.length === 10);
  positions['1'] = { offset: '-1' };
  await eventually(() => events.length === 19);
  expect(events.find((event) => event.startsWith('1/'))).toBe('1/1');
});

it('notices while a page is being taken that its partition was taken at the service, and does not take it back', async () => {
  const service = await hub();
  await send(service, 40);
  let release = () => {};
  const hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { events, log, running } = await processor(service, {
    hold,
    // The store is not asked, and the claims last: only the service can tell.
    rebalanceMs: 3_600_000,
    ownershipExpiryMs: 7_200_000,
  });
  await eventually(() => PARTITIONS.every((id) => events.some((event) => event.startsWith(`${id}/`))));
  const thief = new EventHubConsumerClient('$Default', service.connectionString, 'telemetry');
  const stolen: unknown[] = [];
  const errors: Error[] = [];
  thief.subscribe(
    '2',
    {
      processEvents: async (page) => void stolen.push(...page),
      processError: async (error) => void errors.push(error),
    },
    { ownerLevel: 1, startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
  );
  await eventually(() => log.includes('gone 2'));
  release();
  await eventually(() => stolen.length === 10);
  expect(log.filter((line) => line.startsWith('closed'))).toEqual(['closed 2 lost']);
  expect(running.status('2')).toBe('free');
  expect(errors).toEqual([]);
  await thief.close();
});

it('stops writing in time when ownership cannot be renewed, and goes on when it can', async () => {
  const service = await hub();
  const store = memoryCheckpointStore(clock);
  let answers = Promise.resolve();
  let answer = () => {};
  const { log, problems, reading } = await processor(service, {
    checkpoints: {
      ...store,
      listOwnership: async (...scope) => {
        await answers;
        return store.listOwnership(...scope);
      },
    },
    ownershipExpiryMs: 1_200,
    rebalanceMs: 100,
  });
  await eventually(() => reading().length === 4);
  answers = new Promise((resolve) => {
    answer = resolve;
  });
  await eventually(() => log.filter((line) => line.startsWith('gone')).length === 4);
  expect(problems).toContain('0: given up: its ownership was not renewed for 800ms');
  expect(reading()).toEqual([]);
  answer();
  await eventually(() => reading().length === 4);
});

it('reads on over a new connection when it is told to, and repeats nothing', async () => {
  const service = await hub();
  await send(service, 4);
  const { running, events, reading } = await processor(service);
  await eventually(() => reading().length === 4);
  running.reconnect();
  await send(service, 4, 4);
  await eventually(() => events.length === 8, SOON_MS);
  expect(new Set(events).size).toBe(8);
});

it('renews the claims of many partitions a part at a time, all of them while they last, without a warning', async () => {
  const service = await startEventHubs({ hubs: [{ name: 'telemetry', partitionCount: 32 }] });
  onTestFinished(() => service.stop());
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  const store = memoryCheckpointStore(clock);
  const renewals: string[][] = [];
  const { log, problems } = await processor(service, {
    checkpoints: {
      ...store,
      claimOwnership: (claims) => {
        if (claims.every(({ etag }) => etag !== undefined))
          renewals.push(claims.map(({ partitionId }) => partitionId));
        return store.claimOwnership(claims);
      },
    },
    positions: Object.fromEntries(Array.from({ length: 32 }, (_, id) => [String(id), { offset: '-1' }])),
    rebalanceMs: 50,
    ownershipExpiryMs: 30_000,
  });
  // 32 claims, each every 10 s, over rounds every 50 ms: one in each round.
  await eventually(() => new Set(renewals.flat()).size === 32);
  expect(Math.max(...renewals.slice(0, 32).map((round) => round.length))).toBe(1);
  expect(log.filter((line) => line.startsWith('closed'))).toEqual([]);
  expect(problems).toEqual([]);
  expect(warnings).toEqual([]);
});
