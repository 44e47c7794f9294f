import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileMapping, type Mapped, type MappingOptions } from '../../../src/pipeline/mapping/mapping.ts';
import type { EventSource } from '../../../src/pipeline/mapping/template.ts';
import type { Clock } from '../../../src/util/clock.ts';

const clock: Clock = { now: () => 0, epochMicros: () => 7_000_000, sleep: async () => {} };
const source: EventSource = {
  partition: '3',
  sequenceNumber: 42,
  offset: '4200',
  enqueuedMs: 1_700_000_000_000,
  partitionKey: 'd1',
  properties: { 'cp-run': 'run-1', 'cp-key': 'd1', 'cp-seq': 5, 'cp-at': 1_700_000_000_000_123, other: 'x' },
};

async function map(body: unknown, options: MappingOptions = {}, paths = ['/deviceId']): Promise<Mapped> {
  const mapper = await compileMapping(options, paths, clock);
  return mapper(body, source);
}

function stored(mapped: Mapped): Record<string, unknown> {
  if (mapped.kind !== 'write') throw new Error(`not a write: ${JSON.stringify(mapped)}`);
  const item = JSON.parse(text(mapped));
  expect(item.id).toBe(mapped.operation.id);
  return item;
}

function text(mapped: Mapped): string {
  if (mapped.kind !== 'write') return '';
  const { body, bodyStart = Buffer.alloc(0) } = mapped.operation;
  return Buffer.from(bodyStart).toString() + body;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('the default mapping', () => {
  it('takes the id from eventId and the key from the path of the container', async () => {
    const mapped = await map(json({ eventId: 'e1', deviceId: 'd1', value: 1 }));
    expect(mapped).toMatchObject({
      kind: 'write',
      operation: { kind: 'upsert', id: 'e1', partitionKey: 'd1' },
    });
    expect(stored(mapped)).toEqual({
      eventId: 'e1',
      deviceId: 'd1',
      value: 1,
      id: 'e1',
      pipe: {
        run: 'run-1',
        key: 'd1',
        sequence: 5,
        intendedMicros: 1_700_000_000_000_123,
        partition: '3',
        sequenceNumber: 42,
        enqueuedMs: 1_700_000_000_000,
        ingestedMs: 7_000,
      },
    });
  });

  it('prefers id, and falls back to partition and sequence number', async () => {
    expect(stored(await map(json({ id: 'a', eventId: 'b', deviceId: 'd' })))['id']).toBe('a');
    expect(stored(await map(json({ deviceId: 'd' })))['id']).toBe('3-42');
    expect(stored(await map(json({ id: 17, deviceId: 'd' })))['id']).toBe('17');
  });

  it('keeps the bytes of the event, so that numbers a double cannot hold arrive unchanged', async () => {
    const body = '{ "deviceId":"d", "big":12345678901234567890, "text":"\\u00e9" }';
    expect(text(await map(Buffer.from(body)))).toContain('"big":12345678901234567890, "text":"\\u00e9"');
  });

  it('stores any JSON object as it would come from JSON.parse, whatever its keys', async () => {
    const mapper = await compileMapping({}, ['/deviceId'], clock);
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.string({ minLength: 1 }),
        (extra, deviceId) => {
          const event = { ...extra, id: 'i', deviceId };
          const { pipe, ...rest } = stored(mapper(json(event), source));
          const { pipe: replaced, ...expected } = JSON.parse(JSON.stringify(event));
          expect(rest).toEqual(expected);
          expect(pipe).toMatchObject({ sequenceNumber: 42 });
          expect(text(mapper(json(event), source)).match(/"pipe":/g)?.length).toBeGreaterThanOrEqual(1);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reads hierarchical and nested keys', async () => {
    const event = json({ id: 'x', tenant: 't', a: { b: true } });
    expect(await map(event, {}, ['/tenant', '/a/b'])).toMatchObject({
      operation: { partitionKey: ['t', true] },
    });
  });

  it.each([
    ['not JSON', Buffer.from('{"a":'), 'malformed'],
    ['a list', json([1]), 'malformed'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'malformed'],
    ['nothing', Buffer.alloc(0), 'malformed'],
    ['an id with a slash', json({ id: 'a/b', deviceId: 'd' }), 'invalid-id'],
    ['an id that is too long', json({ id: 'x'.repeat(1_024), deviceId: 'd' }), 'invalid-id'],
    ['no partition key', json({ id: 'a' }), 'missing-partition-key'],
    ['an object as partition key', json({ id: 'a', deviceId: {} }), 'missing-partition-key'],
  ])('rejects %s', async (_, body, reason) => {
    expect(await map(body)).toMatchObject({ kind: 'rejected', reason });
  });
});

describe('a configured mapping', () => {
  it('builds ids from templates and says what is missing', async () => {
    const event = json({ deviceId: 'd', n: { m: 7 } });
    expect(stored(await map(event, { id: '{deviceId}-{n.m}-{$partition}-{$properties.other}' }))['id']).toBe(
      'd-7-3-x',
    );
    expect(await map(event, { id: '{deviceId}-{absent}' })).toMatchObject({ reason: 'missing-id' });
    expect(stored(await map(event, { id: 'deviceId' }))['id']).toBe('d');
    await expect(map(event, { id: '{deviceId' })).rejects.toThrow('unbalanced braces');
    await expect(map(event, { id: '{$nope}' })).rejects.toThrow('unknown placeholder');
  });

  it('stores a chosen partition key at the path of the container', async () => {
    const mapped = await map(json({ id: 'a', region: 'eu' }), { partitionKey: '{region}-{$partition}' }, [
      '/pk/value',
    ]);
    expect(mapped).toMatchObject({ operation: { partitionKey: 'eu-3' } });
    expect(stored(mapped)).toMatchObject({ region: 'eu', pk: { value: 'eu-3' } });
  });

  it('renames, drops, flattens and adds, in this order', async () => {
    const mapped = await map(json({ id: 'a', deviceId: 'd', secret: 1, data: { x: { y: 1 }, z: [2] } }), {
      rename: { data: 'd' },
      drop: ['secret'],
      flatten: '_',
      set: { source: 'hub-{$partition}', at: '{$sequenceNumber}' },
      envelope: false,
      ttlSeconds: 60,
    });
    expect(stored(mapped)).toEqual({
      id: 'a',
      deviceId: 'd',
      d_x_y: 1,
      d_z: [2],
      source: 'hub-3',
      at: 42,
      ttl: 60,
    });
  });

  it('keeps the text of an event that needs nothing when the envelope is off', async () => {
    const body = '{"id": "a",  "deviceId": "d"}';
    expect(text(await map(Buffer.from(body), { envelope: false }))).toBe(body);
    expect(text(await map(Buffer.from(body), { envelope: false, ttlSeconds: 9 }))).toBe(
      '{"id": "a",  "deviceId": "d","ttl":9}',
    );
  });

  it('replaces an envelope that came with the event', async () => {
    const mapped = await map(json({ id: 'a', deviceId: 'd', pipe: { run: 'old' } }));
    expect(stored(mapped)['pipe']).toMatchObject({ run: 'run-1' });
    expect(text(mapped).match(/"pipe":/g)).toHaveLength(1);
  });

  it('asks for a comparable field in replace-if-newer', async () => {
    const options = { write: 'replace-if-newer', newerField: 'v.n' } as const;
    expect(await map(json({ id: 'a', deviceId: 'd', v: { n: 3 } }), options)).toMatchObject({
      newer: 3,
      operation: { kind: 'create' },
    });
    expect(await map(json({ id: 'a', deviceId: 'd' }), options)).toMatchObject({
      reason: 'missing-newer-field',
    });
  });

  it('runs the module of the user, and lets it fail for one event only', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'hook-')), 'map.mjs');
    await writeFile(
      path,
      `export function map(item, source) {
         if (item.skip) return undefined;
         if (item.fail) throw new Error('no thanks');
         item.seen = source.sequenceNumber;
         return item;
       }`,
    );
    const options = { hook: path };
    expect(stored(await map(json({ id: 'a', deviceId: 'd' }), options))).toMatchObject({ seen: 42 });
    expect(await map(json({ id: 'a', deviceId: 'd', skip: 1 }), options)).toEqual({ kind: 'skipped' });
    expect(await map(json({ id: 'a', deviceId: 'd', fail: 1 }), options)).toMatchObject({
      reason: 'hook',
      detail: 'no thanks',
    });
    await expect(map(json({}), { hook: `${path}.absent` })).rejects.toThrow('cannot load the mapping module');
  });

  it('checks a JSON Schema and says what is wrong', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'schema-')), 'schema.json');
    await writeFile(
      path,
      JSON.stringify({
        type: 'object',
        required: ['at'],
        properties: { at: { type: 'string', format: 'date-time' } },
      }),
    );
    const event = { id: 'a', deviceId: 'd' };
    expect(await map(json({ ...event, at: '2026-11-22T10:00:00Z' }), { schema: path })).toMatchObject({
      kind: 'write',
    });
    expect(await map(json({ ...event, at: 'noon' }), { schema: path })).toMatchObject({
      reason: 'schema',
      detail: expect.stringContaining('date-time'),
    });
    await expect(map(json({}), { schema: `${path}.absent` })).rejects.toThrow('cannot use the JSON Schema');
  });
});
