import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { FeedChange } from '../../../src/cosmos/change-feed/types.ts';
import type { GridEvent } from '../../../src/eventgrid/event.ts';
import type { EventPublisher } from '../../../src/eventgrid/publisher.ts';
import { publishStream } from '../../../src/pipeline/event-grid/publish.ts';
import { generateEvents } from '../../../src/pipeline/event-grid/publish-generate.ts';
import { eventsOfLines } from '../../../src/pipeline/event-grid/publish-lines.ts';
import { eventGridSink } from '../../../src/pipeline/feed/event-grid-sink.ts';
import { changeEvent } from '../../../src/pipeline/feed/publish-change.ts';
import { systemClock as clock } from '../../../src/util/clock.ts';
import { changeOf, pageOf } from '../feed/change.ts';

const never = new AbortController().signal;
const origin = { endpoint: 'http://localhost:8081/', database: 'pipeline', container: 'events', rid: 'RID=' };

function recording(fail?: (events: readonly GridEvent[]) => boolean) {
  const published: GridEvent[] = [];
  const publisher: EventPublisher = {
    async publish(events) {
      await delay(1);
      if (fail?.(events)) throw new Error('refused');
      published.push(...events);
    },
    totals: () => ({ published: published.length, requests: 0, sizeBytes: 0, retried: 0, throttled: 0 }),
  };
  return { published, publisher };
}

async function* from<T>(...items: T[]): AsyncGenerator<T> {
  for (const item of items) yield item;
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

describe('the event of a change', () => {
  const change: FeedChange = {
    ...changeOf({ id: 'a/1', pk: 'dev 1', value: 3 }, 7),
    id: 'a/1',
    partitionKey: 'dev 1',
  };
  const settings = { origin, schema: 'cloudEvents', payload: 'keys' } as const;

  it('has the same id every time, its keys as data, and a subject that is a path', () => {
    const { event } = changeEvent(change, pageOf([change]), settings);
    expect(event).toMatchObject({
      id: 'RID=:dev 1/a/1:7',
      type: 'CosmosPipe.Item.Upserted',
      source: 'http://localhost:8081/dbs/pipeline/colls/events',
      subject: '/dbs/pipeline/colls/events/items/dev%201/a%2F1',
      data: { id: 'a/1', partitionKey: 'dev 1', lsn: 7, operation: 'upsert' },
    });
    expect(event.data).not.toHaveProperty('item');
    expect(changeEvent(change, pageOf([change]), settings).event).toEqual(event);
  });

  it.each([
    ['create', 'Created'],
    ['replace', 'Replaced'],
    ['delete', 'Deleted'],
  ] as const)('of a %s is of type %s', (operation, type) => {
    const { event } = changeEvent({ ...change, operation }, pageOf([change]), settings);
    expect(event.type).toBe(`CosmosPipe.Item.${type}`);
  });

  it('carries the item, unless that is too large', () => {
    const page = pageOf([change]);
    const full = changeEvent(change, page, { ...settings, payload: 'full' });
    expect(full).toMatchObject({ reduced: false, event: { data: { item: { value: 3 } } } });
    const reduced = changeEvent(change, page, { ...settings, payload: 'full', maxEventBytes: 100 });
    expect(reduced.reduced).toBe(true);
    expect(reduced.event.data).not.toHaveProperty('item');
  });
});

describe('the Event Grid sink of a feed', () => {
  const ours = changeOf({}, 1);
  const looped = changeOf({ eg: { receivedAt: 'x' } }, 2);

  it('leaves out what receive stored, unless loops are allowed', async () => {
    const { published, publisher } = recording();
    const sink = eventGridSink({ publisher, origin, schema: 'cloudEvents', payload: 'keys' });
    await sink.deliver([ours, looped], pageOf([ours, looped]));
    expect(published).toHaveLength(1);
    expect(sink.counts).toEqual({ looped: 1, reduced: 0 });
    const open = eventGridSink({ publisher, origin, schema: 'cloudEvents', payload: 'keys', loops: true });
    await open.deliver([ours, looped], pageOf([ours, looped]));
    expect(published).toHaveLength(3);
  });

  it('rejects when Event Grid does, so that no position is stored', async () => {
    const { publisher } = recording(() => true);
    const sink = eventGridSink({ publisher, origin, schema: 'cloudEvents', payload: 'keys' });
    await expect(sink.deliver([ours], pageOf([ours]))).rejects.toThrow('refused');
  });
});

describe('lines', () => {
  const options = {
    schema: 'cloudEvents',
    type: 'Line',
    source: '/here',
    subject: '/d/{data.id}',
    name: 'a.ndjson',
    now: () => 'now',
  } as const;

  it('that are events keep what they say; others become data', async () => {
    const events = await collect(
      eventsOfLines(
        from(
          '{"specversion":"1.0","id":"c","source":"/c","type":"C","tenant":"x"}',
          '',
          '{"id":"g","eventType":"G","subject":"/g","eventTime":"2026-01-01T00:00:00Z"}',
          '{"id":5}',
        ),
        options,
      ),
    );
    expect(events).toMatchObject([
      { id: 'c', source: '/c', type: 'C', extensions: { tenant: 'x' } },
      { id: 'g', source: '/here', type: 'G', subject: '/g', schema: 'cloudEvents' },
      {
        id: expect.stringMatching(/^[0-9a-f]{24}-4$/) as string,
        type: 'Line',
        source: '/here',
        subject: '/d/5',
        data: { id: 5 },
        time: 'now',
      },
    ]);
  });

  it('give the same ids again, and different ones where they repeat', async () => {
    const lines = ['{"id":1}', '{"id":1}', '{"id":2}'];
    const ids = async () => (await collect(eventsOfLines(from(...lines), options))).map(({ id }) => id);
    expect(await ids()).toEqual(await ids());
    expect(new Set(await ids()).size).toBe(3);
  });

  it('may begin with a byte order mark', async () => {
    const [event] = await collect(eventsOfLines(from('\uFEFF{"id":1}'), options));
    expect(event?.data).toEqual({ id: 1 });
  });

  it('that are no JSON, or lack a field of the subject, are named', async () => {
    await expect(collect(eventsOfLines(from('{"id":1}', 'x'), options))).rejects.toThrow(
      'line 2 of a.ndjson is not JSON',
    );
    await expect(collect(eventsOfLines(from('{"x":1}'), options))).rejects.toThrow(
      'line 1 of a.ndjson lacks a field',
    );
  });
});

describe('generated events', () => {
  it('are the same for the same seed and run, numbered within their keys', async () => {
    const make = (seed: number) =>
      collect(
        generateEvents({
          workload: { events: 200, keys: { count: 7 }, seed },
          run: 'r',
          schema: 'cloudEvents',
          source: '/s',
          type: 'T',
          clock,
          signal: never,
        }),
      );
    const [first, again] = [await make(1), await make(1)];
    expect(again.map(({ event }) => event.id)).toEqual(first.map(({ event }) => event.id));
    expect(new Set(first.map(({ event }) => event.id)).size).toBe(200);
    const next = new Map<string, number>();
    for (const { envelope, event } of first) {
      expect(envelope.sequence).toBe(next.get(envelope.key) ?? 0);
      next.set(envelope.key, envelope.sequence + 1);
      expect(event.extensions).toMatchObject({
        cprun: 'r',
        cpkey: envelope.key,
        cpseq: String(envelope.sequence),
      });
    }
  });
});

describe('a stream', () => {
  const event = (n: number): GridEvent => ({
    id: String(n),
    type: 'T',
    source: '/s',
    extensions: {},
    schema: 'cloudEvents',
  });
  const numbers = async function* (count: number): AsyncGenerator<number> {
    for (let n = 0; n < count; n++) yield n;
  };

  it('is published whole, leaves out what has no event, tells what was accepted', async () => {
    const { published, publisher } = recording();
    const accepted: number[] = [];
    const result = await publishStream(numbers(1003), {
      publisher,
      clock,
      signal: never,
      batchEvents: 10,
      eventOf: (n) => (n % 3 === 0 ? undefined : event(n)),
      accepted: (batch) => accepted.push(...batch),
    });
    expect(result).toEqual({ read: 1003, skipped: 335 });
    expect(published).toHaveLength(668);
    expect(accepted).toHaveLength(668);
  });

  it('is not read further ahead than a few batches', async () => {
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let read = 0;
    const counted = async function* () {
      for await (const n of numbers(1000)) {
        read = n;
        yield n;
      }
    };
    const publisher: EventPublisher = { publish: () => gate, totals: () => recording().publisher.totals() };
    const running = publishStream(counted(), {
      publisher,
      clock,
      signal: never,
      eventOf: event,
      batchEvents: 10,
      maxBatches: 3,
    });
    await delay(50);
    expect(read).toBeLessThan(40);
    open();
    expect((await running).read).toBe(1000);
  });

  it('sends a slow one without waiting for a full batch', async () => {
    const { published, publisher } = recording();
    let seen = 0;
    const slow = async function* () {
      yield 1;
      while (published.length === 0) await delay(1);
      seen = published.length;
    };
    await publishStream(slow(), { publisher, clock, signal: never, eventOf: event, lingerMs: 1 });
    expect(seen).toBe(1);
  });

  it('ends with the error of the publisher, and tells only what was accepted', async () => {
    const { publisher } = recording((events) => events.some(({ id }) => id === '25'));
    const accepted: number[] = [];
    const running = publishStream(numbers(1000), {
      publisher,
      clock,
      signal: never,
      eventOf: event,
      batchEvents: 10,
      maxBatches: 1,
      lingerMs: 60_000,
      accepted: (batch) => accepted.push(...batch),
    });
    await expect(running).rejects.toThrow('refused');
    expect(accepted).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it('stops reading on the signal and publishes what it has read', async () => {
    const { published, publisher } = recording();
    const stop = new AbortController();
    const source = async function* () {
      for (let n = 0; ; n++) {
        if (n === 55) stop.abort();
        yield n;
      }
    };
    const { read } = await publishStream(source(), {
      publisher,
      clock,
      signal: stop.signal,
      eventOf: event,
      batchEvents: 10,
    });
    expect(read).toBe(56);
    expect(published).toHaveLength(56);
  });
});
