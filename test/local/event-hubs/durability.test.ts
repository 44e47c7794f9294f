import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventHubProducerClient } from '@azure/event-hubs';
import { expect, it, onTestFinished } from 'vitest';
import { startEventHubs } from '../../../src/local/event-hubs/index.ts';
import { DIST } from '../../helpers/build.ts';
import { eventually } from '../../helpers/eventually.ts';
import { bodies, consumer, producer, sendNumbers, start, subscribe } from './clients.ts';

const SERVE = fileURLToPath(new URL('serve.mjs', import.meta.url));

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'eh-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function serve(dataDir: string): Promise<{ child: ChildProcess; connectionString: string }> {
  const child = fork(SERVE, [DIST, dataDir]);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [connectionString] = (await once(child, 'message')) as [string];
  return { child, connectionString };
}

it('keeps every acknowledged event through SIGKILL, in order', async () => {
  const dataDir = folder();
  const { child, connectionString } = await serve(dataDir);
  const client = new EventHubProducerClient(connectionString, 'telemetry', {
    retryOptions: { maxRetries: 0, timeoutInMs: 60_000 },
  });
  onTestFinished(() => client.close());
  let acknowledged = 0;
  const sending = (async () => {
    while (child.signalCode === null) {
      await sendNumbers(client, '3', 100, acknowledged);
      acknowledged += 100;
    }
  })().catch(() => {});
  await eventually(() => acknowledged >= 2_000);
  // The send in flight is left without an answer, and fails long after the test.
  const ended = Promise.race([sending, once(child, 'exit')]);
  child.kill('SIGKILL');
  await ended;
  const service = await start({ dataDir });
  const events = await subscribe(consumer(service), '3').until(acknowledged);
  // The batch in flight may be there too, but nothing else.
  expect(events.length - acknowledged).toBeLessThanOrEqual(100);
  expect(bodies(events)).toEqual(events.map((_, i) => i));
});

it('continues after a restart: hubs, groups, sequence numbers, offsets, times, checkpointed positions', async () => {
  const dataDir = folder();
  const first = await startEventHubs({ dataDir, autoCreate: false });
  first.createHub({ name: 'orders', partitionCount: 2, consumerGroups: ['audit'] });
  const sender = producer(first, { hub: 'orders' });
  await sendNumbers(sender, '1', 5);
  const reader = consumer(first, { hub: 'orders', group: 'audit' });
  const received = subscribe(reader, '1');
  const before = await received.until(5);
  await received.close();
  await Promise.all([sender.close(), reader.close()]);
  await first.stop();

  const second = await start({ dataDir, autoCreate: false });
  await sendNumbers(producer(second, { hub: 'orders' }), '1', 2, 5);
  const again = await subscribe(consumer(second, { hub: 'orders', group: 'audit' }), '1').until(7);
  const stamps = (events: typeof before) =>
    events.map(({ enqueuedTimeUtc, offset, sequenceNumber }) => [
      sequenceNumber,
      offset,
      Number(enqueuedTimeUtc),
    ]);
  expect(stamps(again).slice(0, 5)).toEqual(stamps(before));
  expect(bodies(again)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const startPosition = { offset: before[2]!.offset };
  const resumed = subscribe(consumer(second, { hub: 'orders' }), '1', { startPosition });
  expect(bodies(await resumed.until(4))).toEqual([3, 4, 5, 6]);
});

it.each([
  ['garbage behind the last commit', (path: string) => appendFileSync(path, Buffer.alloc(5_000, 0xa5)), 10],
  ['a commit cut short', (path: string) => truncateSync(path, statSync(path).size - 3), 5],
])('cuts a torn tail: %s', async (_, tear, kept) => {
  const dataDir = folder();
  const first = await startEventHubs({ dataDir });
  const sender = producer(first);
  await sendNumbers(sender, '0', 5);
  await sendNumbers(sender, '0', 5, 5);
  await sender.close();
  await first.stop();
  const partition = join(dataDir, 'telemetry', '0');
  tear(join(partition, readdirSync(partition)[0]!));

  const second = await start({ dataDir });
  await sendNumbers(producer(second), '0', 1, 100);
  const expected = [...Array.from({ length: kept }, (__, i) => i), 100];
  const events = await subscribe(consumer(second), '0').until(expected.length);
  expect(bodies(events)).toEqual(expected);
  expect(events.at(-1)?.sequenceNumber).toBe(kept);
});

it('keeps partitions that were added to a hub, and spreads keys over them', async () => {
  const dataDir = folder();
  const first = await startEventHubs({ dataDir, hubs: [{ name: 'telemetry', partitionCount: 1 }] });
  first.growHub('telemetry', 3);
  const sender = producer(first);
  expect(await sender.getPartitionIds()).toEqual(['0', '1', '2']);
  for (let i = 0; i < 20; i += 1) await sender.sendBatch([{ body: i }], { partitionKey: `key-${i}` });
  await sender.close();
  expect(() => first.growHub('telemetry', 2)).toThrow('has 3 partitions and cannot have 2');
  expect(() => first.growHub('absent', 2)).toThrow('there is no event hub absent');
  await first.stop();
  const second = await start({ dataDir, hubs: [] });
  const lasts = second.stats().hubs[0]?.partitions.map(({ lastSequenceNumber }) => lastSequenceNumber) ?? [];
  expect(lasts.reduce((sum, last) => sum + last + 1, 0)).toBe(20);
  expect(lasts.filter((last) => last >= 0)).toHaveLength(3);
});

it('says so when the data folder holds a hub with another partition count', async () => {
  const dataDir = folder();
  await (await startEventHubs({ dataDir })).stop();
  const other = startEventHubs({ dataDir, hubs: [{ name: 'telemetry', partitionCount: 8 }] });
  await expect(other).rejects.toMatchObject({ code: 'E_CONFIG' });
});
