import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBatch } from '../../../src/local/cosmos/batch-body.ts';
import { compileIndexingPolicy } from '../../../src/local/cosmos/indexing.ts';
import { ItemReader, type ItemText, requireItem } from '../../../src/local/cosmos/item-text.ts';
import { JsonCursor, parseSpan } from '../../../src/local/cosmos/json-cursor.ts';
import { PartitionKeyReader } from '../../../src/local/cosmos/partition-key.ts';

const terms = compileIndexingPolicy({
  includedPaths: [{ path: '/*' }],
  excludedPaths: [{ path: '/skip/*' }],
});

function accepts(text: string): boolean {
  const cursor = new JsonCursor(Buffer.from(text));
  try {
    terms.scan(cursor);
    cursor.requireEnd();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return false;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const json = fc.jsonValue({ maxDepth: 4 });
const spacing = fc.constantFrom(undefined, 1, '\t', ' \n');

describe('the JSON cursor', () => {
  it.each([
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '1e+',
    '-0.0e-0',
    '"\\x"',
    '"\\u12G4"',
    '"\\u1234"',
    '"\n"',
    '"',
    '"\\',
    '[1,]',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    '{"a" 1}',
    '{"a":}',
    '[1 2]',
    'tru',
    'nulll',
    '[',
    '[]]',
    '',
    ' { "a" : [ 1 , { } ] } ',
    '\u00a01',
  ])('judges %j as JSON.parse does', (text) => {
    expect(accepts(text)).toBe(parses(text));
  });

  it('accepts all JSON, however it is spaced, and judges damaged JSON as JSON.parse does', () => {
    fc.assert(
      fc.property(
        json,
        spacing,
        fc.nat(),
        fc.constantFrom(...'",:{}[]\\eE+-.0t \u0001'),
        (value, space, at, byte) => {
          const text = JSON.stringify(value, undefined, space);
          expect(accepts(text)).toBe(true);
          const position = at % (text.length + 1);
          const damaged = text.slice(0, position) + byte + text.slice(position + 1);
          expect(accepts(damaged)).toBe(parses(damaged));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('index terms in text', () => {
  const document = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'skip', 'é\\'), json, { maxKeys: 5 });
  const open = (text: string): { cursor: JsonCursor; end: number } => ({
    cursor: new JsonCursor(Buffer.from(`${text.slice(0, -1)},"_rid":"x"}`)),
    end: Buffer.byteLength(text) - 1,
  });

  it('are those of the value', () => {
    fc.assert(
      fc.property(document, spacing, (value, space) => {
        const cursor = new JsonCursor(Buffer.from(JSON.stringify(value, undefined, space)));
        expect(terms.scan(cursor).terms).toBe(terms.changed({}, value));
      }),
    );
  });

  it('change as the values do, wherever texts can tell', () => {
    const shared = fc
      .tuple(document, document)
      .chain(([a, b]) => fc.constantFrom([a, b], [a, { ...a, ...b }], [a, a]));
    fc.assert(
      fc.property(shared, spacing, spacing, ([before, after], spaceBefore, spaceAfter) => {
        const old = JSON.stringify(before, undefined, spaceBefore);
        fc.pre(old !== '{}');
        const { cursor, end } = open(old);
        const fresh = new JsonCursor(Buffer.from(JSON.stringify(after, undefined, spaceAfter)));
        const changed = terms.changedInText(cursor, end, fresh);
        if (changed !== undefined) expect(changed).toBe(terms.changed(JSON.parse(old), after));
        if (old === JSON.stringify(after, undefined, spaceAfter)) expect(changed).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('do not change when a number or a string is written in another way', () => {
    const { cursor, end } = open('{"a":1.50,"b":"A"}');
    const same = new JsonCursor(Buffer.from('{"a":1.5,"b":"A"}'));
    expect(terms.changedInText(cursor, end, same)).toBe(0);
    const other = open('{"a":1.50,"b":"A"}');
    const escaped = new JsonCursor(Buffer.from('{"a":1.5,"b":"\\u0041"}'));
    expect(terms.changedInText(other.cursor, other.end, escaped)).toBeUndefined();
  });
});

describe('an item read from its bytes', () => {
  const reader = (...paths: string[]): ItemReader =>
    new ItemReader(
      new PartitionKeyReader({ paths, kind: paths.length > 1 ? 'MultiHash' : 'Hash', version: 2 }),
      terms,
    );
  const read = (text: string, ...paths: string[]): ItemText =>
    reader(...paths).read(new JsonCursor(Buffer.from(text))) as ItemText;

  it('has the id, the ttl and the key that its value has', () => {
    const scalar = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
    );
    const item = fc.record(
      { id: fc.string(), ttl: fc.integer(), pk: scalar, b: json },
      { requiredKeys: ['id'] },
    );
    for (const paths of [['/pk'], ['/pk', '/id'], ['/b/x']]) {
      const keys = new PartitionKeyReader({ paths, kind: 'Hash', version: 2 });
      fc.assert(
        fc.property(item, spacing, (value, space) => {
          const text = JSON.stringify(value, undefined, space);
          const found = read(text, ...paths);
          const parsed = JSON.parse(text) as { id: string; ttl?: number };
          expect(found).toMatchObject({ id: parsed.id, keyText: keys.textOf(parsed) });
          expect(found.ttl).toBe(parsed.ttl);
          expect(parseSpan(found)).toEqual(parsed);
        }),
      );
    }
  });

  it('keeps the bytes of the client, numbers as they were written', () => {
    const item = read(' {"id":"a", "pk":1.0, "n": 12345678901234567890} ', '/pk');
    expect(item.bytes.toString('utf8', item.start, item.end)).toBe(
      '{"id":"a", "pk":1.0, "n": 12345678901234567890}',
    );
    expect(item.keyText).toBe('[1]');
  });

  it('drops system properties that a client sends back', () => {
    const item = read('{"_rid":"x","id":"a","_ts":5,"pk":"p","\\u005fetag":"e","_own":1}', '/pk');
    expect(parseSpan(item)).toEqual({ id: 'a', pk: 'p', _own: 1 });
    expect(item.keyText).toBe('["p"]');
  });

  it('knows its names however they are escaped', () => {
    expect(read('{"\\u0069d":"a","p\\u006b":"\\u0070"}', '/pk')).toMatchObject({ id: 'a', keyText: '["p"]' });
  });

  it('is refused when nested more than 128 levels', () => {
    const nested = (levels: number): ItemText =>
      read(`{"id":"a","pk":"p","x":${'['.repeat(levels)}${']'.repeat(levels)}}`, '/pk');
    expect(() => requireItem(nested(128))).not.toThrow();
    expect(() => requireItem(nested(129))).toThrow('128 levels');
  });

  it('is no item when it is no object, in a batch too', () => {
    const body =
      '[{"operationType":"Create","resourceBody":"text"},{"operationType":"Create","resourceBody":[]}]';
    for (const { resourceBody } of readBatch(new JsonCursor(Buffer.from(body)), reader('/pk')))
      expect(() => requireItem(resourceBody)).toThrow('an item must be a JSON object');
  });

  it('stands in a batch at its place', () => {
    const body =
      '[{"operationType":"Upsert","partitionKey":"[\\"p\\"]","resourceBody":{"id":"a","pk":"p"}}, ' +
      '{"id":"b", "operationType":"Patch","partitionKey":["q"],"resourceBody":[{"op":"remove"}], "other":{"x":[1]},"__proto__":{"ifMatch":"x"}}]';
    const [upsert, patch] = readBatch(new JsonCursor(Buffer.from(body)), reader('/pk'));
    expect(upsert).toMatchObject({ operationType: 'Upsert', partitionKey: '["p"]' });
    expect(upsert?.resourceBody).toMatchObject({ id: 'a', keyText: '["p"]' });
    expect(patch).toMatchObject({ operationType: 'Patch', id: 'b', partitionKey: ['q'] });
    expect(patch?.ifMatch).toBeUndefined();
    expect(patch?.resourceBody && parseSpan(patch.resourceBody)).toEqual([{ op: 'remove' }]);
  });
});
