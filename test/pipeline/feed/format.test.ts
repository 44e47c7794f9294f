import { describe, expect, it } from 'vitest';
import { projector } from '../../../src/pipeline/feed/fields.ts';
import { feedDocument, parseFeedFormat, rangeLabel } from '../../../src/pipeline/feed/format.ts';
import { parseFeedStart } from '../../../src/pipeline/feed/start.ts';
import { changeLine, lagDocument, lagText, tailSummary } from '../../../src/pipeline/feed/text.ts';
import { changeOf, pageOf } from './change.ts';

const change = changeOf({ value: 1, nested: { a: 1, b: [2] } }, 18_204);
const page = pageOf([change]);

describe('the token format', () => {
  it('knows every token, fields by path, and escapes', () => {
    const format = parseFeedFormat('%r %l %k/%i %o %t\\t%{nested.b} %{value}%{missing} 100%%\\n%v');
    expect(format(change, page)).toBe(
      `10-20 18204 dev-1/item-18204 upsert 2026-11-22T12:00:00.000Z\t[2] 1 100%\n${JSON.stringify(change.item)}`.replace(
        '[2]',
        '2',
      ),
    );
  });

  it('refuses a token that it does not know', () => {
    expect(() => parseFeedFormat('%q')).toThrow('invalid format token "%q"');
    expect(() => parseFeedFormat('100%')).toThrow('invalid format token "%"');
  });
});

it('prints one line for a person', () => {
  const line = changeLine((_, text) => text)(change, page);
  expect(line).toBe('12:04:31.102  10-20  lsn  18,204  upsert   dev-1/item-18204  3 behind');
});

it('has one machine form', () => {
  expect(feedDocument(change, page)).toEqual({
    feedRange: '10-20',
    lsn: 18_204,
    operation: 'upsert',
    partitionKey: 'dev-1',
    id: 'item-18204',
    ts: '2026-11-22T12:00:00.000Z',
    item: change.item,
  });
});

it('labels ranges by what tells them apart', () => {
  expect(rangeLabel({ min: '', max: 'FF' })).toBe('00-FF');
  expect(rangeLabel({ min: '05C1CFFFFFFFF8', max: '05C1DFFFFFFFFC' })).toBe('05C1CF-05C1DF');
});

it('projects fields as they were nested, and nothing that is inherited', () => {
  const item = { a: { b: 1, c: 2 }, d: 3, e: [{ f: 4 }] };
  expect(projector(['a.b', 'd', 'missing', 'toString', 'a.constructor'])(item)).toEqual({
    a: { b: 1 },
    d: 3,
  });
  const hostile = JSON.parse('{"__proto__": {"polluted": true}}');
  projector(['__proto__.polluted'])(hostile);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

it('reads every form of a start, and refuses others', () => {
  const now = Date.UTC(2026, 10, 22, 12);
  expect(parseFeedStart('beginning', now)).toBe('beginning');
  expect(parseFeedStart('earliest', now)).toBe('beginning');
  expect(parseFeedStart('latest', now)).toBe('now');
  expect(parseFeedStart('-10m', now)).toEqual({ sinceMs: now - 600_000 });
  expect(parseFeedStart('2026-11-22T10:00Z', now)).toEqual({ sinceMs: now - 7_200_000 });
  for (const text of ['yesterday', '7', '-10', '10m'])
    expect(() => parseFeedStart(text, now)).toThrow(RangeError);
});

it('shows lag as a table and sums it up', () => {
  const document = lagDocument([
    { min: '', max: '20', items: 1_200, lagMs: 61_000, requestCharge: 2, owner: 'host-1' },
    { min: '20', max: 'FF', items: 0, lagMs: 0, requestCharge: 1, owner: null },
  ]);
  expect(document).toMatchObject({ items: 1_200, lagMs: 61_000, requestCharge: 3 });
  expect(lagText(document)).toMatchInlineSnapshot(`
    " RANGE          OWNER        BEHIND      SINCE
     00-20          host-1        1,200      1m01s
     20-FF          -                 0          -

    lag      at most 1,200 items, oldest 1m01s"
  `);
  expect(tailSummary({ read: 2_500, delivered: 10 }, 12.34, 1_300)).toBe(
    'read     2,500 changes, 10 passed the filter, 12.3 RU, 1.3s',
  );
});
