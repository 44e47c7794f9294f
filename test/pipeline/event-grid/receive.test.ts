import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { CosmosConnection } from '../../../src/cosmos/client.ts';
import { openNamespaceSubscription } from '../../../src/eventgrid/namespace.ts';
import { createRuRecorder } from '../../../src/metrics/ru-recorder.ts';
import { createStageRecorder } from '../../../src/metrics/stage-recorder.ts';
import { receiveWebhook } from '../../../src/pipeline/event-grid/receive.ts';
import { openPoisonFile } from '../../../src/pipeline/event-grid/receive-dead-letter.ts';
import { receivePull } from '../../../src/pipeline/event-grid/receive-pull.ts';
import { openEventSink } from '../../../src/pipeline/event-grid/receive-sink.ts';
import type { ReceiveOptions } from '../../../src/pipeline/event-grid/receive-types.ts';
import { systemClock as clock } from '../../../src/util/clock.ts';
import { Secret } from '../../../src/util/secret.ts';
import { type LocalAccount, startAccount } from '../../cosmos/local-account.ts';
import { eventually } from '../../helpers/eventually.ts';
import { order, startGrid } from '../../local/event-grid/grid.ts';

let account: LocalAccount;
let connection: CosmosConnection;
let folder: string;

beforeAll(async () => {
  account = await startAccount();
});
afterAll(() => account.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'receive-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  account.service.faults.clear();
  connection = await account.container({ partitionKeyPath: '/pk' });
});

async function options(
  giveUpMs = 20_000,
): Promise<{ common: ReceiveOptions; stop: AbortController; deadLetters: () => Promise<unknown[]> }> {
  const stop = new AbortController();
  const ru = createRuRecorder({ clock });
  const sink = await openEventSink({
    cosmos: connection.target,
    ru,
    clock,
    giveUpMs,
    id: 'event',
    partitionKeyFrom: [],
    write: 'create',
  });
  const path = join(folder, 'dead.ndjson');
  const deadLetter = await openPoisonFile(path, () => 'now');
  onTestFinished(async () => {
    await sink.close();
    await deadLetter.close();
  });
  return {
    common: {
      sink,
      deadLetter,
      recorder: createStageRecorder('receive', { clock }),
      clock,
      signal: stop.signal,
    },
    stop,
    deadLetters: async () =>
      (await readFile(path, 'utf8'))
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as unknown),
  };
}

const stored = async (): Promise<string[]> =>
  (await connection.container.items.query<string>('SELECT VALUE c.id FROM c').fetchAll()).resources;

async function webhook(giveUpMs?: number) {
  const { common, stop, deadLetters } = await options(giveUpMs);
  const problems: string[] = [];
  let url = '';
  const running = receiveWebhook({
    ...common,
    webhook: { host: '127.0.0.1', port: 0, path: '/events' },
    onListening: (given) => {
      url = given;
    },
    onProblem: (message) => problems.push(message),
  });
  await eventually(() => url !== '');
  return {
    url,
    problems,
    deadLetters,
    async end() {
      stop.abort();
      return running;
    },
  };
}

describe('the webhook', () => {
  it('stores each event once, however often it comes', async () => {
    const receiver = await webhook();
    const grid = await startGrid({ timeScale: 0.001 });
    await grid.topic('orders');
    await grid.subscribe('orders', 'store', receiver.url, {}, { maxEventsPerBatch: 10 });
    const publisher = grid.publisher('orders', 'EventGrid');
    const events = Array.from({ length: 50 }, (_, n) => order(n));
    await publisher.send(events);
    await publisher.send(events.slice(0, 20));
    await eventually(() => grid.metrics()['DeliverySuccessCount'] === 70);
    const result = await receiver.end();
    expect(result).toMatchObject({
      received: 70,
      stored: 50,
      duplicates: 20,
      deadLettered: 0,
      ended: 'signal',
    });
    expect(new Set(await stored())).toEqual(new Set(events.map(({ id }) => id)));
  });

  it('asks for a delivery again while the container cannot be used, and loses nothing', async () => {
    const receiver = await webhook(200);
    const grid = await startGrid({ timeScale: 0.002 });
    await grid.topic('orders');
    await grid.subscribe('orders', 'store', receiver.url, {}, { maxEventsPerBatch: 5 });
    account.service.faults.add('cosmos:unavailable=100%');
    await grid.publisher('orders', 'EventGrid').send(Array.from({ length: 10 }, (_, n) => order(n)));
    await eventually(() =>
      expect(grid.metrics()['DeliveryAttemptFailCount{error="Busy"}']).toBeGreaterThan(0),
    );
    account.service.faults.clear();
    await eventually(() => expect(grid.metrics()['DeliverySuccessCount']).toBe(10));
    expect(await receiver.end()).toMatchObject({ stored: 10, deadLettered: 0 });
    expect(receiver.problems.length).toBeGreaterThan(0);
    expect(await stored()).toHaveLength(10);
  });

  it('puts aside what can never be stored, and takes the rest', async () => {
    const receiver = await webhook();
    const grid = await startGrid();
    await grid.topic('orders');
    await grid.subscribe('orders', 'store', receiver.url, {}, { maxEventsPerBatch: 10 });
    await grid.publisher('orders', 'EventGrid').send([order(1), order(2, { id: 'a/b' }), order(3)]);
    await eventually(() => grid.metrics()['DeliverySuccessCount'] === 3);
    expect(await receiver.end()).toMatchObject({ stored: 2, deadLettered: 1 });
    expect(await receiver.deadLetters()).toMatchObject([
      {
        reason: expect.stringContaining('not a legal item id') as string,
        event: { id: 'a/b' },
        subscription: 'STORE',
      },
    ]);
  });
});

describe('pull', () => {
  async function pulling(
    more: Partial<ReceiveOptions> & {
      readonly giveUpMs?: number;
      readonly published?: readonly string[];
    } = {},
  ) {
    const { giveUpMs, published, ...given } = more;
    const grid = await startGrid({ timeScale: 0.1 });
    await grid.ask('PUT', '/namespace/topics/orders', {});
    // Half a minute at this scale: a busy machine may take its time to store.
    const lockSeconds = 300;
    await grid.ask('PUT', '/namespace/topics/orders/eventSubscriptions/store', {
      properties: {
        deliveryConfiguration: {
          deliveryMode: 'Queue',
          queue: { receiveLockDurationInSeconds: lockSeconds },
        },
      },
    });
    const { common, deadLetters, stop } = await options(giveUpMs);
    const target = { endpoint: grid.url, key: new Secret(grid.key), topic: 'orders', subscription: 'store' };
    const start = () =>
      receivePull({
        ...common,
        ...given,
        subscription: openNamespaceSubscription(target),
        subscriptionName: 'store',
        maxEvents: 20,
        waitSeconds: 10,
        concurrency: 2,
        lockMs: lockSeconds * 1000,
      });
    const publish = async (ids: readonly string[]): Promise<void> => {
      const events = ids.map((id) => ({
        specversion: '1.0',
        id,
        source: '/s',
        type: 'T',
        subject: `/${id}`,
        tenant: 'x',
      }));
      const headers = {
        authorization: `SharedAccessKey ${grid.key}`,
        'content-type': 'application/cloudevents-batch+json',
      };
      expect((await grid.request('POST', '/topics/orders:publish', events, headers)).status).toBe(200);
    };
    if (published !== undefined) await publish(published);
    return { grid, running: start(), publish, stop, deadLetters };
  }

  const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => `e-${n}`);

  it('stores, acknowledges, keeps extension attributes, and ends at its limit', async () => {
    const { grid, publish, running } = await pulling({ limit: 100 });
    await publish(ids(100));
    expect(await running).toMatchObject({ received: 100, stored: 100, ended: 'limit', lostLocks: 0 });
    expect(grid.metrics()['AcknowledgedEventCount']).toBe(100);
    const { resources } = await connection.container.items
      .query<string>('SELECT VALUE c.ext.tenant FROM c')
      .fetchAll();
    expect(resources).toEqual(Array(100).fill('x'));
  });

  it('ends when nothing has come for a while', async () => {
    const { running } = await pulling({ untilIdleMs: 2_000, published: ids(5) });
    expect(await running).toMatchObject({ stored: 5, ended: 'idle' });
  });

  it('rejects what can never be stored, after it is in the dead letter', async () => {
    const { deadLetters, grid, publish, running, stop } = await pulling();
    await publish(['good', 'b/ad']);
    await eventually(
      () => grid.metrics()['RejectedEventCount'] === 1 && grid.metrics()['AcknowledgedEventCount'] === 1,
    );
    stop.abort();
    expect(await running).toMatchObject({ stored: 1, deadLettered: 1 });
    expect(await deadLetters()).toMatchObject([{ event: { id: 'b/ad' } }]);
  });

  it('releases events while the container cannot be used, and stores them in the end', async () => {
    const { grid, publish, running } = await pulling({ limit: 10, giveUpMs: 100 });
    account.service.faults.add('cosmos:unavailable=100%');
    await publish(ids(10));
    await eventually(() => expect(grid.metrics()['ReleasedEventCount']).toBeGreaterThan(0));
    account.service.faults.clear();
    expect(await running).toMatchObject({ stored: 10, ended: 'limit' });
    expect(await stored()).toHaveLength(10);
  });

  it('ends with what is wrong when the credential is refused', async () => {
    const grid = await startGrid();
    const { common } = await options();
    const target = {
      endpoint: grid.url,
      key: new Secret('d3Jvbmc='),
      topic: 'nowhere',
      subscription: 'store',
    };
    const subscription = openNamespaceSubscription(target);
    await expect(
      receivePull({
        ...common,
        subscription,
        subscriptionName: 's',
        maxEvents: 1,
        waitSeconds: 10,
        concurrency: 1,
        lockMs: 60_000,
      }),
    ).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});
