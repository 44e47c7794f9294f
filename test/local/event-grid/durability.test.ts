import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type EventGridService, startEventGrid } from '../../../src/local/event-grid/index.ts';
import { DIST } from '../../helpers/build.ts';
import { eventually } from '../../helpers/eventually.ts';
import { gridAt, order, startGrid, startReceiver, type TestGrid } from './grid.ts';

const SERVE = fileURLToPath(new URL('serve.mjs', import.meta.url));

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'eg-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function serve(dataDir: string): Promise<{ child: ChildProcess; grid: TestGrid }> {
  const child = fork(SERVE, [DIST, dataDir]);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [service] = (await once(child, 'message')) as [EventGridService];
  return { child, grid: gridAt(service) };
}

const idsOf = (received: readonly { readonly body: unknown }[]): string[] =>
  received.flatMap(({ body }) => (body as { id: string }[]).map(({ id }) => id));

it('delivers every accepted event after SIGKILL, and those it had settled not again', async () => {
  const dataDir = folder();
  const { child, grid } = await serve(dataDir);
  let healthy = true;
  const receiver = await startReceiver(() => (healthy ? 200 : 503));
  await grid.topic('orders');
  await grid.subscribe('orders', 'sub', receiver.url);
  const publisher = grid.publisher('orders', 'EventGrid');
  await publisher.send(Array.from({ length: 50 }, (_, n) => order(n)));
  await eventually(() => new Set(idsOf(receiver.received)).size === 50);
  healthy = false;
  let accepted = 50;
  const publishing = (async () => {
    for (;;) {
      await publisher.send([order(accepted)]);
      accepted += 1;
    }
  })().catch(() => {});
  await eventually(() => accepted >= 150);
  child.kill('SIGKILL');
  await publishing;
  receiver.received.length = 0;
  healthy = true;
  await startGrid({ dataDir, timeScale: 0.001 });
  await eventually(() => {
    const again = new Set(idsOf(receiver.received));
    for (let n = 50; n < accepted; n++) expect(again).toContain(`order-${n}`);
  });
  // The last settlements may not have been written when the process was killed; those of the past were.
  expect(idsOf(receiver.received)).not.toContain('order-0');
  // The request in flight may have been accepted without an answer, nothing else.
  expect(new Set(idsOf(receiver.received)).size).toBeLessThanOrEqual(accepted - 50 + 1);
});

describe('a restart', () => {
  it('keeps topics, subscriptions and the queue of a pull subscription', async () => {
    const dataDir = folder();
    const first = gridAt(await startEventGrid({ dataDir }));
    await first.ask('PUT', '/namespace/topics/orders', {});
    await first.ask('PUT', '/namespace/topics/orders/eventSubscriptions/store', {});
    const headers = {
      authorization: `SharedAccessKey ${first.key}`,
      'content-type': 'application/cloudevents-batch+json',
    };
    const events = ['a', 'b'].map((id) => ({ specversion: '1.0', id, source: '/s', type: 'T' }));
    await first.request('POST', '/topics/orders:publish', events, headers);
    await first.service.stop();
    const second = await startGrid({ dataDir });
    const path = '/topics/orders/eventsubscriptions/store';
    const reply = await second.request('POST', `${path}:receive?maxEvents=10`, undefined, headers);
    const { value } = (await reply.json()) as { value: { event: { id: string } }[] };
    expect(value.map(({ event }) => event.id)).toEqual(['a', 'b']);
  });

  it('gives a subscription that was made later nothing of before', async () => {
    const dataDir = folder();
    const first = gridAt(await startEventGrid({ dataDir, topics: [] }));
    const stuck = await startReceiver(() => 503);
    const late = await startReceiver();
    await first.topic('orders');
    await first.subscribe('orders', 'early', stuck.url);
    await first.publisher('orders', 'EventGrid').send([order(1)]);
    await first.subscribe('orders', 'late', late.url);
    await first.service.stop();
    const second = await startGrid({ dataDir, timeScale: 0.001 });
    await second.publisher('orders', 'EventGrid').send([order(2)]);
    await eventually(() => late.received.length > 0);
    await eventually(() => idsOf(stuck.received).filter((id) => id === 'order-1').length > 1);
    expect(idsOf(late.received)).toEqual(['order-2']);
  });

  it('cuts off a record that was not written to its end', async () => {
    const dataDir = folder();
    const first = gridAt(await startEventGrid({ dataDir, topics: [] }));
    await first.topic('orders');
    await first.service.stop();
    appendFileSync(join(dataDir, 'events.log'), '0badc0de {"op":"put","path":"topics/torn"');
    const second = gridAt(await startEventGrid({ dataDir, topics: [] }));
    await second.topic('more');
    await second.service.stop();
    const third = await startGrid({ dataDir });
    expect(await third.ask('GET', '/topics')).toMatchObject([{ name: 'orders' }, { name: 'more' }]);
  });
});

describe('replacing a subscription', () => {
  it('hands its backlog to the new endpoint', async () => {
    const grid = await startGrid({ timeScale: 0.001 });
    const broken = await startReceiver(() => 503);
    const healthy = await startReceiver();
    await grid.topic('orders');
    await grid.subscribe('orders', 'sub', broken.url);
    await grid.publisher('orders', 'EventGrid').send([order(1), order(2)]);
    await eventually(() => broken.received.length >= 2);
    expect(await grid.subscribe('orders', 'sub', healthy.url)).toBe('Succeeded');
    await eventually(() => expect(new Set(idsOf(healthy.received))).toEqual(new Set(['order-1', 'order-2'])));
  });

  it('leaves the old one in place when the new endpoint fails its handshake', async () => {
    const grid = await startGrid();
    const receiver = await startReceiver();
    const refusing = await startReceiver(undefined, 'refuse');
    await grid.topic('orders');
    await grid.subscribe('orders', 'sub', receiver.url);
    expect(await grid.subscribe('orders', 'sub', refusing.url)).toBe('Failed');
    await grid.publisher('orders', 'EventGrid').send([order(1)]);
    await eventually(() => receiver.received.length === 1);
  });
});
