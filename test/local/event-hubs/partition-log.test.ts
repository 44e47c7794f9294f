import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { decodeValue } from '../../../src/local/amqp/decode.ts';
import { SECTION, sectionAt } from '../../../src/local/amqp/message.ts';
import { AmqpWriter } from '../../../src/local/amqp/writer.ts';
import { layoutOf } from '../../../src/local/event-hubs/event-layout.ts';
import { PartitionLog, type PartitionLogOptions } from '../../../src/local/event-hubs/partition-log.ts';
import { SegmentCache } from '../../../src/local/event-hubs/segment-cache.ts';

const MIB = 1024 * 1024;
const UNLIMITED: PartitionLogOptions = {
  maxBytes: Number.POSITIVE_INFINITY,
  retentionMs: Number.POSITIVE_INFINITY,
  cache: new SegmentCache(0),
};

interface Sent {
  readonly durable: boolean;
  readonly annotations: readonly (readonly [string, string])[];
  readonly key: string | undefined;
  readonly body: Buffer;
}

function encode({ annotations, body, durable }: Sent): Buffer {
  const writer = new AmqpWriter();
  if (durable) writer.descriptor(SECTION.header).list(1, () => writer.boolean(true));
  if (annotations.length > 0)
    writer.descriptor(SECTION.messageAnnotations).map(annotations.length, () => {
      for (const [key, value] of annotations) writer.symbol(key).string(value);
    });
  writer.descriptor(SECTION.data).binary(body);
  return writer.bytes;
}

function append(log: PartitionLog, sent: Sent, nowMs: number): void {
  const bytes = encode(sent);
  const key = sent.key === undefined ? undefined : Buffer.from(new AmqpWriter().string(sent.key).bytes);
  log.append(bytes, layoutOf(bytes, 0, bytes.length), key, nowMs);
}

/** All stored events, decoded from their delivered form. */
function readAll(log: PartitionLog) {
  const events: {
    annotations: ReadonlyMap<unknown, unknown>;
    body: Buffer;
    codes: number[];
    headerEnd: number;
  }[] = [];
  for (let sequence = log.firstSequence; sequence < log.nextSequence; sequence++) {
    const segment = log.segmentOf(sequence)!;
    const index = sequence - segment.baseSequence;
    const start = segment.start(index);
    const end = segment.end(index);
    const event = {
      annotations: new Map(),
      body: Buffer.alloc(0),
      codes: [] as number[],
      headerEnd: segment.headerEnd(index) - start,
    };
    for (let at = start; at < end; ) {
      const { code, next, valueAt } = sectionAt(segment.bytes, at, end);
      const { value } = decodeValue(segment.bytes, valueAt, next);
      event.codes.push(code);
      if (code === SECTION.messageAnnotations) event.annotations = value as Map<unknown, unknown>;
      if (code === SECTION.data) event.body = Buffer.from(value as Buffer);
      at = next;
    }
    events.push(event);
  }
  return events;
}

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'eh-log-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const name = fc.stringMatching(/^[a-z-]{1,20}$/).map((text) => `app-${text}`);
const sent: fc.Arbitrary<Sent> = fc.record({
  durable: fc.boolean(),
  annotations: fc.uniqueArray(fc.tuple(name, fc.string({ maxLength: 300 })), {
    maxLength: 3,
    selector: ([key]) => key,
  }),
  key: fc.option(fc.string({ maxLength: 40 }), { nil: undefined }),
  body: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
});

it('stores any event in delivered form: same body, own annotations kept, broker annotations added', () => {
  fc.assert(
    fc.property(fc.array(sent, { minLength: 1, maxLength: 20 }), (events) => {
      const log = new PartitionLog(UNLIMITED);
      for (const [i, event] of events.entries()) append(log, event, 1_000 + i);
      log.commit();
      const stored = readAll(log);
      expect(stored).toHaveLength(events.length);
      for (const [i, { annotations, body, codes, headerEnd }] of stored.entries()) {
        const original = events[i]!;
        expect(body.equals(original.body)).toBe(true);
        expect(codes).toEqual([
          ...(original.durable ? [SECTION.header] : []),
          SECTION.messageAnnotations,
          SECTION.data,
        ]);
        expect(headerEnd > 0).toBe(original.durable);
        expect(Object.fromEntries(annotations)).toEqual({
          ...Object.fromEntries(original.annotations),
          ...(original.key !== undefined && { 'x-opt-partition-key': original.key }),
          'x-opt-sequence-number-epoch': -1,
          'x-opt-sequence-number': i,
          'x-opt-offset': annotations.get('x-opt-offset'),
          'x-opt-enqueued-time': 1_000 + i,
        });
      }
    }),
    { numRuns: 60 },
  );
});

it('finds positions by offset and time as a scan would, in memory and on disk, before and after a restart', () => {
  const body = Buffer.alloc(300_000);
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 40 }),
      fc.boolean(),
      fc.nat({ max: 300 }),
      (steps, durable, probe) => {
        const folder = durable ? { folder: temporary() } : {};
        let log = new PartitionLog({ ...UNLIMITED, ...folder });
        let now = 0;
        for (const step of steps) {
          now += step;
          append(log, { annotations: [], body, durable: false, key: undefined }, now);
          log.commit();
        }
        if (durable) {
          log.close();
          log = new PartitionLog({ ...UNLIMITED, ...folder });
        }
        const stamps = readAll(log).map(({ annotations }) => ({
          offset: Number(annotations.get('x-opt-offset')),
          time: Number(annotations.get('x-opt-enqueued-time')),
        }));
        const first = (holds: (stamp: { offset: number; time: number }) => boolean) => {
          const found = stamps.findIndex(holds);
          return found < 0 ? stamps.length : found;
        };
        const offset = stamps[probe % stamps.length]!.offset + (probe % 3) - 1;
        expect(log.sequenceAtOffset(offset, true)).toBe(first((stamp) => stamp.offset >= offset));
        expect(log.sequenceAtOffset(offset, false)).toBe(first((stamp) => stamp.offset > offset));
        expect(log.sequenceAfterTime(probe)).toBe(first((stamp) => stamp.time > probe));
        log.close();
      },
    ),
    { numRuns: 40 },
  );
});

it('drops the oldest segments beyond its size, in memory and on disk', () => {
  for (const folder of [{}, { folder: temporary() }]) {
    const log = new PartitionLog({ ...UNLIMITED, ...folder, maxBytes: 10 * MIB });
    const event: Sent = { annotations: [], body: Buffer.alloc(MIB / 2), durable: false, key: undefined };
    for (let i = 0; i < 100; i++) {
      append(log, event, i);
      log.commit();
    }
    expect(log.nextSequence).toBe(100);
    expect(log.firstSequence).toBeGreaterThan(75);
    expect(log.sizeBytes).toBeLessThan(15 * MIB);
    expect(log.segmentOf(0)).toBeUndefined();
    if ('folder' in folder) expect(readdirSync(folder.folder).length).toBeLessThan(5);
    log.close();
  }
});

it('drops segments that are older than the retention, but never the one being written', () => {
  const log = new PartitionLog({ ...UNLIMITED, retentionMs: 1_000 });
  const event: Sent = { annotations: [], body: Buffer.alloc(MIB), durable: false, key: undefined };
  for (let i = 0; i < 10; i++) append(log, event, i);
  log.expire(5_000);
  expect(log.firstSequence).toBeGreaterThan(5);
  expect(log.segmentOf(9)).toBeDefined();
});

it('holds sealed segments of a durable log within the cache budget', () => {
  const cache = new SegmentCache(9 * MIB);
  const log = new PartitionLog({ ...UNLIMITED, cache, folder: temporary() });
  const event: Sent = { annotations: [], body: Buffer.alloc(MIB), durable: false, key: undefined };
  for (let i = 0; i < 30; i++) {
    append(log, event, i);
    log.commit();
  }
  expect(readAll(log)).toHaveLength(30);
  expect(cache.heldBytes).toBeLessThanOrEqual(9 * MIB);
  log.close();
  expect(cache.heldBytes).toBe(0);
});
