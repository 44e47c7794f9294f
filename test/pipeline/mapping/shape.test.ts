import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compileMapping, type Mapped } from '../../../src/pipeline/mapping/mapping.ts';
import { createShapeReader } from '../../../src/pipeline/mapping/shape.ts';
import type { EventSource } from '../../../src/pipeline/mapping/template.ts';
import type { Clock } from '../../../src/util/clock.ts';

const clock: Clock = { now: () => 0, epochMicros: () => 7_000_000, sleep: async () => {} };
const source: EventSource = {
  partition: '3',
  sequenceNumber: 42,
  offset: '1',
  enqueuedMs: 5,
  properties: {},
};

const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ maxLength: 8 }),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const name = fc.oneof(
  fc.constantFrom('id', 'eventId', 'deviceId', 'ttl', 'pipe', 'a', 'b.c'),
  fc.string({ maxLength: 3 }),
);
const document = fc.dictionary(
  name.filter((key) => key !== '__proto__'),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.dictionary(fc.constantFrom('id', 'x'), scalar)),
  { maxKeys: 5 },
);
/** Documents with the same names, some with other white space. */
const similar = document.chain((one) =>
  fc.array(
    fc
      .tuple(fc.array(scalar, { minLength: 5, maxLength: 5 }), fc.constantFrom(0, 0, 0, 1))
      .map(([values, space]) => {
        const copy = Object.fromEntries(
          Object.entries(one).map(([key, value], i) => [
            key,
            typeof value === 'object' && value !== null ? value : values[i],
          ]),
        );
        return JSON.stringify(copy, undefined, space);
      }),
    { minLength: 2, maxLength: 4 },
  ),
);

function itemOf(mapped: Mapped): unknown {
  if (mapped.kind !== 'write') return mapped;
  const { body, bodyStart, ...operation } = mapped.operation;
  return { operation, item: JSON.parse(`${Buffer.from(bodyStart ?? []).toString()}${body}`) };
}

it('maps what resembles what came before as if nothing had come before', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(similar, { minLength: 1, maxLength: 3 }), async (families) => {
      const warm = await compileMapping({}, ['/deviceId'], clock);
      for (const text of families.flatMap((texts) => [...texts, ...texts])) {
        const cold = await compileMapping({}, ['/deviceId'], clock);
        const body = Buffer.from(text);
        expect(itemOf(warm(body, source))).toEqual(itemOf(cold(body, source)));
      }
    }),
    { numRuns: 300 },
  );
});

it('keeps the bytes of an event of a known shape, and accepts nothing that is not JSON', async () => {
  const mapper = await compileMapping({}, ['/deviceId'], clock);
  const text = '{"eventId":"e1","deviceId":"d1","n":[1.50, 2],"o":{"x":null}}';
  mapper(Buffer.from(text), source);
  const body = Buffer.from(text.replace('e1', 'e2'));
  expect(mapper(body, source)).toMatchObject({
    kind: 'write',
    operation: { id: 'e2', partitionKey: 'd1', bodyStart: body.subarray(0, -1) },
  });
  for (const wrong of ['1.50', ' 2', ':null', '}}', '"d1"', '"n"']) {
    const broken = text.replace(wrong, `${wrong.slice(0, -1)}\u0001`);
    expect(mapper(Buffer.from(broken), source), broken).toMatchObject({
      kind: 'rejected',
      reason: 'malformed',
    });
  }
  expect(mapper(Buffer.from(`${text}{}`), source)).toMatchObject({ kind: 'rejected' });
  expect(mapper(Buffer.from(`${text} `), source)).toMatchObject({ kind: 'write' });
});

it('stops trying where every event has another shape, and starts again later', () => {
  const reader = createShapeReader(['id']);
  const attempt = (text: string): boolean => {
    if (reader.read(Buffer.from(text), text) !== undefined) return true;
    reader.learn(text);
    return false;
  };
  for (let i = 0; i < 33; i++) expect(attempt(`{"id":"x","n${i}":1}`)).toBe(false);
  let parsed = 0;
  while (!attempt('{"id":"x","n":1}')) parsed++;
  expect(parsed).toBeGreaterThan(1_000);
});
