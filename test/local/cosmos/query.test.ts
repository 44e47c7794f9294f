import type { Container, SqlQuerySpec } from '@azure/cosmos';
import { describe, expect, it } from 'vitest';
import { compile, SqlError } from '../../../src/local/cosmos/sql/index.ts';
import { connect, createContainer } from './sdk.ts';

async function filled(throughput: number): Promise<{ container: Container; split(): void }> {
  const { service, client } = await connect();
  const container = await createContainer(client, { throughput });
  await container.items.bulk(
    Array.from({ length: 40 }, (_, i) => ({
      operationType: 'Create' as const,
      resourceBody: { id: `${i}`, pk: `p${i % 8}`, i, g: i % 4, tags: [`t${i % 3}`, 'all'] },
    })),
  );
  return { container, split: () => void service.split('db', 'c', '0') };
}

const all = async (container: Container, query: string | SqlQuerySpec, options = {}): Promise<unknown[]> =>
  (await container.items.query(query, options).fetchAll()).resources;

describe.each([
  ['one range', 400],
  ['four ranges', 20_000],
])('queries through the SDK over %s', (_, throughput) => {
  it('filters, projects, sorts, pages, aggregates, groups and joins', async () => {
    const { container } = await filled(throughput);
    expect(await all(container, 'SELECT * FROM c')).toHaveLength(40);
    expect(
      await all(container, {
        query: 'SELECT c.id, c.i AS n FROM c WHERE c.i = @i',
        parameters: [{ name: '@i', value: 7 }],
      }),
    ).toEqual([{ id: '7', n: 7 }]);
    expect(await all(container, 'SELECT VALUE c.i FROM c WHERE c.i < 5 ORDER BY c.i DESC')).toEqual([
      4, 3, 2, 1, 0,
    ]);
    expect(await all(container, 'SELECT TOP 3 VALUE c.i FROM c ORDER BY c.i')).toEqual([0, 1, 2]);
    expect(await all(container, 'SELECT VALUE c.i FROM c ORDER BY c.i OFFSET 5 LIMIT 3')).toEqual([5, 6, 7]);
    expect(await all(container, 'SELECT VALUE COUNT(1) FROM c')).toEqual([40]);
    expect(await all(container, 'SELECT VALUE SUM(c.i) FROM c')).toEqual([780]);
    expect(await all(container, 'SELECT VALUE AVG(c.i) FROM c')).toEqual([19.5]);
    expect(await all(container, 'SELECT VALUE MAX(c.i) FROM c')).toEqual([39]);
    expect(await all(container, 'SELECT c.g, COUNT(1) AS n FROM c WHERE c.i < 10 GROUP BY c.g')).toEqual(
      expect.arrayContaining([
        { g: 0, n: 3 },
        { g: 3, n: 2 },
      ]),
    );
    expect(await all(container, 'SELECT VALUE t FROM c JOIN t IN c.tags WHERE t = "t1"')).toHaveLength(13);
    expect(await all(container, 'SELECT DISTINCT VALUE c.pk FROM c')).toHaveLength(8);
  });

  it('returns each item once through small pages, also when a range splits between them', async () => {
    const { container, split } = await filled(throughput);
    const iterator = container.items.query('SELECT VALUE c.i FROM c', { maxItemCount: 7 });
    const seen: number[] = [];
    seen.push(...(await iterator.fetchNext()).resources);
    split();
    while (iterator.hasMoreResults()) seen.push(...((await iterator.fetchNext()).resources ?? []));
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (__, i) => i));
  });

  it('keeps an ORDER BY going over a split', async () => {
    const { container, split } = await filled(throughput);
    const iterator = container.items.query('SELECT VALUE c.i FROM c ORDER BY c.i', {
      maxItemCount: 5,
      forceQueryPlan: true,
    });
    const seen: number[] = [...(await iterator.fetchNext()).resources];
    split();
    while (iterator.hasMoreResults()) seen.push(...((await iterator.fetchNext()).resources ?? []));
    expect(seen).toEqual(Array.from({ length: 40 }, (__, i) => i));
  });

  it('stays within a partition key, and reports a syntax error', async () => {
    const { container } = await filled(throughput);
    expect(await all(container, 'SELECT VALUE c.i FROM c ORDER BY c.i', { partitionKey: 'p3' })).toEqual([
      3, 11, 19, 27, 35,
    ]);
    await expect(all(container, 'SELEC * FROM c')).rejects.toMatchObject({ code: 400 });
  });
});

describe('point lookups', () => {
  const metricsOf = async (container: Container, query: SqlQuerySpec | string, options = {}) => {
    const response = await container.items
      .query(query, { populateQueryMetrics: true, ...options })
      .fetchAll();
    const looked = Object.values(
      (response.queryMetrics ?? {}) as unknown as Record<string, { retrievedDocumentCount: number }>,
    ).reduce((sum, { retrievedDocumentCount }) => sum + retrievedDocumentCount, 0);
    return { resources: response.resources, looked, charge: response.requestCharge };
  };

  it.each([
    ['id and key', 'SELECT VALUE c.i FROM c WHERE c.id = "11" AND c.pk = "p3"', [11], 1],
    ['id', 'SELECT VALUE c.i FROM c WHERE "11" = c.id AND c.i > 0', [11], 1],
    ['key', 'SELECT VALUE c.i FROM c WHERE c.pk = "p3" AND (c.i > 12 AND c["g"] >= 0)', [19, 27, 35], 5],
    ['a key that is not there', 'SELECT VALUE c.i FROM c WHERE c.pk = "none"', [], 0],
    ['an alternative, which scans', 'SELECT VALUE c.i FROM c WHERE c.id = "11" OR c.id = "12"', [11, 12], 40],
    ['a subquery, which scans', 'SELECT VALUE t FROM t IN c.tags WHERE t = "nobody" AND t.id = "1"', [], 40],
  ])('looks at no more items than it must for %s', async (_, query, results, items) => {
    for (const throughput of [400, 20_000]) {
      const { container } = await filled(throughput);
      const { resources, looked } = await metricsOf(container, query);
      expect((resources as number[]).sort((a, b) => a - b)).toEqual(results);
      expect(looked).toBe(items);
      await container.database.delete();
    }
  });

  it('asks one range only when the plan has the key, sorted or not', async () => {
    const { container } = await filled(20_000);
    const query = {
      query: 'SELECT VALUE c.i FROM c WHERE c.pk = @pk ORDER BY c.i DESC',
      parameters: [{ name: '@pk', value: 'p3' }],
    };
    const direct = await metricsOf(container, query);
    const planned = await metricsOf(container, query, { forceQueryPlan: true });
    expect(direct).toMatchObject({ resources: [35, 27, 19, 11, 3], looked: 5 });
    expect(planned).toMatchObject({ resources: [35, 27, 19, 11, 3], looked: 5 });
    expect(await all(container, 'SELECT VALUE COUNT(1) FROM c WHERE c.pk = "p3"')).toEqual([5]);
  });
});

describe('the query language', () => {
  const run = (expression: string, parameters = {}): unknown =>
    compile(`SELECT VALUE ${expression} FROM c`).execute(
      [{ n: 1, s: 'abc', a: [1, [2]], o: { x: null } }],
      parameters,
      Date.UTC(2026, 0, 31, 23, 59, 58, 500),
    )[0];

  it.each<[string, unknown]>([
    ['1 + 2 * 3', 7],
    ['c.n > "a"', undefined],
    ['c.none = 1 OR true', true],
    ['NOT (c.none = 1)', undefined],
    ['c.none ?? "default"', 'default'],
    ['c.n BETWEEN 1 AND 2', true],
    ['c.n NOT IN (2, 3)', true],
    ['c.s LIKE "a_c"', true],
    ['c.s LIKE "%[x-z]"', false],
    ['c.s || "d"', 'abcd'],
    ['c["o"].x', null],
    ['c.a[1][0]', 2],
    ['ARRAY_CONTAINS(c.a, [2])', true],
    ['EXISTS(SELECT VALUE x FROM x IN c.a WHERE x = 1)', true],
    ['ARRAY(SELECT VALUE x FROM x IN c.a)', [1, [2]]],
    ['IS_DEFINED(c.o.x)', true],
    ['UPPER(SUBSTRING(c.s, 1, 2))', 'BC'],
    ['c.n = 1 ? "yes" : "no"', 'yes'],
    ['{"k": c.s, "u": c.none}', { k: 'abc' }],
    ['ROUND(-2.5)', -3],
    ["'it\\'s'", "it's"],
    ['GETCURRENTDATETIME()', '2026-01-31T23:59:58.5000000Z'],
    ['GetCurrentTimestamp()', Date.UTC(2026, 0, 31, 23, 59, 58, 500)],
    ['GETCURRENTTICKS() / 10000 = GETCURRENTTIMESTAMP()', true],
    ['DATETIMEADD("month", 1, GETCURRENTDATETIME())', '2026-02-28T23:59:58.5000000Z'],
    ['DATETIMEADD("ss", -1, "2026-01-01T00:00:00Z")', '2025-12-31T23:59:59.0000000Z'],
    ['DATETIMEDIFF("day", "2026-01-01T23:59:00Z", "2026-01-02T00:01:00Z")', 1],
    ['DATETIMEDIFF("yyyy", "2024-12-31T00:00:00Z", "2026-01-01T00:00:00Z")', 2],
    ['DATETIMEPART("mcs", "2026-01-02T03:04:05.1234567Z")', 123456],
    ['DATETIMEPART("week", "2026-01-02T03:04:05Z")', undefined],
    ['DATETIMEFROMPARTS(2026, 2, 3, 4, 5, 6, 70)', '2026-02-03T04:05:06.0000070Z'],
    ['DATETIMEFROMPARTS(2026, 2, 30)', undefined],
    ['TICKSTODATETIME(DATETIMETOTICKS("2026-02-03T04:05:06Z"))', '2026-02-03T04:05:06.0000000Z'],
  ])('evaluates %s', (expression, expected) => {
    expect(run(expression)).toEqual(expected);
  });

  it.each([
    'SELECT',
    'SELECT * FROM c WHERE',
    'SELECT * FROM c ORDER c.x',
    "SELECT 'x FROM c",
    'SELECT NOPE(1) FROM c',
  ])('refuses %s', (text) => {
    expect(() => compile(text).execute([{}], {}, 0)).toThrow(SqlError);
  });
});

describe('computed properties', () => {
  const computedProperties = [{ name: 'lowerName', query: 'SELECT VALUE LOWER(c.name) FROM c' }];

  it.each([400, 20_000])(
    'filter, sort and group by name, but are no part of * (%i RU/s)',
    async (throughput) => {
      const { client } = await connect();
      const container = await createContainer(client, { throughput, computedProperties });
      for (const name of ['B', 'A', 'b']) await container.items.create({ id: name, pk: name, name });
      expect(await all(container, "SELECT VALUE c.id FROM c WHERE c.lowerName = 'a'")).toEqual(['A']);
      const sorted = await all(container, 'SELECT VALUE c.lowerName FROM c ORDER BY c.lowerName');
      expect(sorted).toEqual(['a', 'b', 'b']);
      const groups = await all(container, 'SELECT c.lowerName, COUNT(1) AS n FROM c GROUP BY c.lowerName');
      expect(groups).toEqual(expect.arrayContaining([{ lowerName: 'b', n: 2 }]));
      const [whole] = await all(container, "SELECT * FROM c WHERE c.id = 'A'");
      expect(whole).not.toHaveProperty('lowerName');
    },
  );

  it('are refused unless their query is of the documented form', async () => {
    const { client } = await connect();
    for (const query of ['SELECT c.name FROM c', 'SELECT VALUE NOPE(c.name) FROM c'])
      await expect(
        createContainer(client, { computedProperties: [{ name: 'x', query }] }),
      ).rejects.toMatchObject({ code: 400 });
  });
});
