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

describe('the query language', () => {
  const run = (expression: string, parameters = {}): unknown =>
    compile(`SELECT VALUE ${expression} FROM c`).execute(
      [{ n: 1, s: 'abc', a: [1, [2]], o: { x: null } }],
      parameters,
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
    expect(() => compile(text).execute([{}], {})).toThrow(SqlError);
  });
});
