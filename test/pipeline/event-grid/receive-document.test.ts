import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GridEvent, readEvent } from '../../../src/eventgrid/event.ts';
import { envelopeAttributes } from '../../../src/pipeline/event-grid/publish-envelope.ts';
import { type DocumentOptions, documentMapper } from '../../../src/pipeline/event-grid/receive-document.ts';
import {
  explainKeys,
  explainText,
  type KeyDistribution,
} from '../../../src/pipeline/event-grid/receive-explain.ts';
import { compileEventKey } from '../../../src/pipeline/event-grid/receive-partition-key.ts';

const event: GridEvent = {
  id: 'e/1',
  type: 'Order.Created',
  source: '/subscriptions/x/topics/orders',
  subject: '/tenants/7/orders/42',
  time: '2026-11-22T10:20:30.000Z',
  data: { tenant: 'contoso', n: 5, deep: { on: true } },
  extensions: { region: 'eu' },
  schema: 'cloudEvents',
};

const arrival = {
  schema: 'cloudEvents',
  subscription: 'SUB',
  deliveryCount: 2,
  receivedAt: '2026-11-22T10:20:31.000Z',
} as const;
const defaults: DocumentOptions = {
  id: 'hash',
  partitionKeyPaths: ['/pk'],
  partitionKeyFrom: [],
  write: 'create',
};

function map(options: Partial<DocumentOptions> = {}, given: GridEvent = event) {
  const mapped = documentMapper({ ...defaults, ...options })(given, arrival);
  if (mapped.operation === undefined) return mapped.reason;
  const { body, ...operation } = mapped.operation;
  return { ...operation, document: JSON.parse(body) as Record<string, unknown> };
}

describe('the document of an event', () => {
  it('keeps everything, and how it came', () => {
    expect(map()).toEqual({
      kind: 'create',
      id: expect.stringMatching(/^[\w-]{32}$/) as string,
      partitionKey: '/tenants/7/orders/42',
      document: {
        id: expect.any(String) as string,
        pk: '/tenants/7/orders/42',
        eventId: 'e/1',
        type: 'Order.Created',
        source: '/subscriptions/x/topics/orders',
        subject: '/tenants/7/orders/42',
        time: '2026-11-22T10:20:30.000Z',
        data: { tenant: 'contoso', n: 5, deep: { on: true } },
        ext: { region: 'eu' },
        eg: arrival,
      },
    });
  });

  it('has the same id again for the same source and event id, and only then', () => {
    const text = fc.string({ minLength: 1 });
    const idOf = (source: string, id: string) => (map({}, { ...event, source, id }) as { id: string }).id;
    fc.assert(
      fc.property(text, text, text, text, (source, id, otherSource, otherId) => {
        expect(idOf(source, id)).toBe(idOf(source, id));
        if (source !== otherSource || id !== otherId)
          if (!source.includes('\n') && !otherSource.includes('\n'))
            expect(idOf(source, id)).not.toBe(idOf(otherSource, otherId));
      }),
    );
  });

  it('may have the id of the event, where that is a legal one', () => {
    expect(map({ id: 'event' })).toContain('not a legal item id');
    expect(map({ id: 'event' }, { ...event, id: 'e-1' })).toMatchObject({ id: 'e-1' });
    expect(map({ id: 'event' }, { ...event, id: 'x'.repeat(1024) })).toContain('longer than 1023 bytes');
  });

  it('goes by any partition key path: read from the document, or set from a template', () => {
    expect(map({ partitionKeyPaths: ['/data/tenant'] })).toMatchObject({ partitionKey: 'contoso' });
    expect(map({ partitionKeyPaths: ['/tenant'], partitionKeyFrom: ['{data.tenant}'] })).toMatchObject({
      partitionKey: 'contoso',
      document: { tenant: 'contoso' },
    });
    expect(
      map({ partitionKeyPaths: ['/type', '/a/b'], partitionKeyFrom: ['{type}', '{data.n}'] }),
    ).toMatchObject({
      partitionKey: ['Order.Created', 5],
      document: { a: { b: 5 } },
    });
    expect(map({ partitionKeyPaths: ['/deviceId'] })).toBe('no value for the partition key /deviceId');
  });

  it('without a subject is keyed by its source', () => {
    const { subject: _, ...rest } = event;
    expect(map({}, rest)).toMatchObject({ partitionKey: event.source });
  });

  it('has the envelope of the producer where ingest keeps it', () => {
    const envelope = { run: 'r', key: 'k', sequence: 3, intendedMicros: 1_700_000_000_000_123 };
    const extensions = { ...envelopeAttributes(envelope), region: 'eu' };
    expect(map({}, { ...event, extensions })).toMatchObject({
      document: {
        pipe: { ...envelope, partition: 'event-grid', ingestedMs: Date.parse(arrival.receivedAt) },
        ext: { region: 'eu' },
      },
    });
  });

  it('carries a time to live', () => {
    expect(map({ ttlSeconds: 60 })).toMatchObject({ document: { ttl: 60 } });
  });
});

describe('partition key templates', () => {
  it.each([
    ['{source-short}:{subject/2}', 'orders:tenants/7'],
    ['{subject}', '/tenants/7/orders/42'],
    ['{data.n}', 5],
    ['{data.deep.on}', true],
    ['n{data.n}', 'n5'],
    ['{ext.region}-{time/day}', 'eu-2026-11-22'],
    ['{time/hour}', '2026-11-22T10'],
    ['{type}/{id}', 'Order.Created/e/1'],
    ['{data.absent}', undefined],
    ['{data.deep}', undefined],
  ])('%s', (template, expected) => {
    expect(compileEventKey(template)(event)).toBe(expected);
  });

  it('spreads over a number of buckets', () => {
    const key = compileEventKey('{hash%16}');
    const buckets = Array.from({ length: 2000 }, (_, n) => key({ ...event, id: String(n) }) as number);
    expect(new Set(buckets).size).toBe(16);
    expect(Math.max(...buckets)).toBe(15);
  });

  it.each(['subject', '{nonsense}', '{data}', 'a}b', '{hash%0}'])('refuses %s', (template) => {
    expect(() => compileEventKey(template)).toThrow(/template|placeholder/);
  });
});

describe('--explain-pk', () => {
  const explain = (keys: readonly string[], count = keys.length): KeyDistribution | undefined => {
    let told: KeyDistribution | undefined;
    const explained = explainKeys(count, (distribution) => {
      told = distribution;
    });
    for (const key of keys) explained.seen(key);
    explained.finish();
    return told;
  };

  it('warns of a key that takes more than a fifth', () => {
    const hot = explain(['a', 'a', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(hot).toMatchObject({ events: 10, distinct: 8, hot: true });
    expect(hot?.top[0]).toEqual({ key: 'a', events: 3, share: 0.3 });
    expect(explainText(hot!)).toContain('warning');
    const even = explain(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(even?.hot).toBe(false);
    expect(explainText(even!)).not.toContain('warning');
  });

  it('looks at the first events only', () => {
    expect(explain(['a', 'b', 'c', 'c', 'c'], 3)).toMatchObject({ events: 3, distinct: 3 });
    expect(explain([])).toBeUndefined();
  });
});

describe('reading events', () => {
  it.each([
    [null],
    ['text'],
    [{}],
    [{ specversion: '1.0', id: '1', type: 'T' }],
    [{ specversion: '1.0', id: '', type: 'T', source: '/s' }],
    [{ id: '1', subject: 's' }],
  ])('%j is none', (value) => {
    expect(readEvent(value)).toBeUndefined();
  });

  it('takes binary data out of its base64 form', () => {
    const value = {
      specversion: '1.0',
      id: '1',
      type: 'T',
      source: '/s',
      data_base64: 'aGk=',
      datacontenttype: 'text/plain',
    };
    expect(readEvent(value)).toMatchObject({
      data: Buffer.from('hi'),
      contentType: 'text/plain',
      extensions: {},
    });
  });
});
