import { EventGridReceiverClient, EventGridSenderClient } from '@azure/eventgrid-namespaces';
import { describe, expect, it } from 'vitest';
import type { EventGridOptions } from '../../../src/local/event-grid/index.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startGrid } from './grid.ts';
import { createManualClock } from './manual-clock.ts';

const insecure = { allowInsecureConnection: true };

async function queue(subscription: object = {}, options: EventGridOptions = {}, more: object = {}) {
  const grid = await startGrid(options);
  await grid.ask('PUT', '/namespace/topics/orders', {});
  await grid.ask('PUT', '/namespace/topics/orders/eventSubscriptions/store', {
    properties: { deliveryConfiguration: { deliveryMode: 'Queue', queue: subscription }, ...more },
  });
  // The key credential of Azure's core packages: an object with a key.
  const key = { key: grid.key } as never;
  const receiver = new EventGridReceiverClient(grid.url, key, 'orders', 'store', insecure);
  const sender = new EventGridSenderClient(grid.url, key, 'orders', insecure);
  return {
    grid,
    receiver,
    send: (...ids: string[]) =>
      sender.sendEvents(ids.map((id) => ({ id, type: 'T', source: '/s', data: { id } }))),
    receive: async (maxEvents = 10) =>
      (await receiver.receiveEvents({ maxEvents, maxWaitTime: 10 })).details.map(
        ({ brokerProperties, event }) => ({
          id: event.id,
          token: brokerProperties.lockToken,
          count: brokerProperties.deliveryCount,
        }),
      ),
  };
}

describe('the official namespaces SDK', () => {
  it('sends one and many, receives up to a number, acknowledges', async () => {
    const { receive, receiver, send, grid } = await queue();
    await send('a', 'b', 'c');
    const first = await receive(2);
    expect(first.map(({ count, id }) => [id, count])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    const result = await receiver.acknowledgeEvents([first[0]!.token, 'nonsense']);
    expect(result.succeededLockTokens).toEqual([first[0]!.token]);
    expect(result.failedLockTokens).toMatchObject([{ lockToken: 'nonsense', error: { code: 'TokenLost' } }]);
    expect((await receive()).map(({ id }) => id)).toEqual(['c']);
    expect(grid.metrics()['AcknowledgedEventCount']).toBe(1);
  });

  it('gets a released event again, with a higher count; a token counts once', async () => {
    const { receive, receiver, send } = await queue();
    await send('a');
    const [event] = await receive();
    await receiver.releaseEvents([event!.token]);
    const [again] = await receive();
    expect(again).toMatchObject({ id: 'a', count: 2 });
    expect((await receiver.acknowledgeEvents([event!.token])).failedLockTokens).toHaveLength(1);
  });

  it('gets a released event only after its delay', async () => {
    const clock = createManualClock();
    const { receive, receiver, send } = await queue({}, { clock });
    await send('a');
    const [event] = await receive();
    await receiver.releaseEvents([event!.token], { releaseDelay: '10' });
    clock.advance(9_999);
    const waiting = receive();
    // It waits, so nothing was there.
    await eventually(() => clock.sleepers > 0);
    clock.advance(1);
    expect(await waiting).toMatchObject([{ id: 'a', count: 2 }]);
  });

  it('gets an event again when its lock has expired, unless it was renewed', async () => {
    const clock = createManualClock();
    const { receive, receiver, send } = await queue({ receiveLockDurationInSeconds: 60 }, { clock });
    await send('a', 'b');
    const [a, b] = await receive();
    clock.advance(59_999);
    expect((await receiver.renewEventLocks([b!.token])).failedLockTokens).toEqual([]);
    const waiting = receive();
    await eventually(() => clock.sleepers > 0);
    clock.advance(1);
    expect((await waiting).map(({ id }) => id)).toEqual(['a']);
    expect((await receiver.acknowledgeEvents([a!.token])).failedLockTokens).toHaveLength(1);
    expect((await receiver.acknowledgeEvents([b!.token])).failedLockTokens).toEqual([]);
  });

  it('rejects into the dead letter, and gives up after the delivery count', async () => {
    const { grid, receive, receiver, send } = await queue(
      { maxDeliveryCount: 2 },
      {},
      { deadLetterDestination: {} },
    );
    await send('bad', 'flaky');
    const [bad, flaky] = await receive();
    await receiver.rejectEvents([bad!.token]);
    await receiver.releaseEvents([flaky!.token]);
    const [again] = await receive();
    await receiver.releaseEvents([again!.token]);
    const { letters } = await grid.ask<{ letters: { events: Record<string, unknown>[] }[] }>(
      'GET',
      '/deadletters',
    );
    expect(
      letters.map(({ events: [event] }) => [
        event?.['id'],
        event?.['deadletterreason'],
        event?.['deliveryattempts'],
      ]),
    ).toEqual([
      ['bad', 'EventRejected', 1],
      ['flaky', 'MaxDeliveryCountExceeded', 2],
    ]);
  });

  it('is woken by an event that comes while it waits', async () => {
    const clock = createManualClock();
    const { receive, send } = await queue({}, { clock });
    const waiting = receive();
    await eventually(() => clock.sleepers > 0);
    await send('late');
    expect((await waiting).map(({ id }) => id)).toEqual(['late']);
  });

  it('gets an empty answer when nothing came in time', async () => {
    const clock = createManualClock();
    const { receive } = await queue({}, { clock });
    const waiting = receive();
    await eventually(() => clock.sleepers > 0);
    clock.advance(10_000);
    expect(await waiting).toEqual([]);
  });

  it('gets nothing after the time to live', async () => {
    const clock = createManualClock();
    const { grid, receive, send } = await queue({ eventTimeToLive: 'PT1M' }, { clock });
    await send('a');
    clock.advance(60_001);
    const waiting = receive();
    await eventually(() => grid.metrics()['DroppedEventCount{error="TimeToLiveExceeded"}'] === 1);
    clock.advance(10_000);
    expect(await waiting).toEqual([]);
  });

  it('sees only what the filter lets through', async () => {
    const { receive, send } = await queue(
      {},
      {},
      {
        filtersConfiguration: { filters: [{ operatorType: 'StringIn', key: 'data.id', values: ['b'] }] },
      },
    );
    await send('a', 'b');
    expect((await receive()).map(({ id }) => id)).toEqual(['b']);
  });
});

describe('refuses', () => {
  const path = '/topics/orders/eventsubscriptions/store';
  it.each([
    [`${path}:receive?maxEvents=101`, undefined, 400],
    [`${path}:receive?maxWaitTime=5`, undefined, 400],
    [`${path}:release?releaseDelayInSeconds=7`, { lockTokens: ['x'] }, 400],
    [`${path}:acknowledge`, { lockTokens: [] }, 400],
    ['/topics/nowhere/eventsubscriptions/store:receive', undefined, 404],
    ['/topics/orders/eventsubscriptions/nobody:receive', undefined, 404],
  ])('%s %j', async (target, body, status) => {
    const { grid } = await queue();
    const response = await grid.request('POST', target, body, {
      authorization: `SharedAccessKey ${grid.key}`,
    });
    expect(response.status).toBe(status);
  });

  it('a wrong key', async () => {
    const { grid } = await queue();
    const headers = { authorization: 'SharedAccessKey d3Jvbmc=' };
    expect((await grid.request('POST', `${path}:receive`, undefined, headers)).status).toBe(401);
  });
});

it('lets a client that has gone keep nothing: the event goes to the next', async () => {
  const clock = createManualClock();
  const { grid, receive, send } = await queue({}, { clock });
  const gone = new AbortController();
  const waiting = fetch(new URL('/topics/orders/eventsubscriptions/store:receive?maxWaitTime=60', grid.url), {
    method: 'POST',
    headers: { authorization: `SharedAccessKey ${grid.key}` },
    signal: gone.signal,
  }).catch(() => {});
  await eventually(() => clock.sleepers === 1);
  gone.abort();
  await waiting;
  await eventually(() => clock.sleepers === 0);
  const next = receive();
  await eventually(() => clock.sleepers === 1);
  await send('a');
  expect((await next).map(({ id }) => id)).toEqual(['a']);
});
