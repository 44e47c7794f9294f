import assert from 'node:assert/strict';

const COUNT = 60;
const EVERY = Array.from({ length: COUNT }, (_, i) => i);

/** Text, parameters, expected items; order matters only with ORDER BY. */
const CASES = [
  ['filters on an equality', 'SELECT VALUE c.i FROM c WHERE c.i = 5', [5]],
  [
    'filters on IN and BETWEEN',
    'SELECT VALUE c.i FROM c WHERE c.i IN (1, 2, 3) AND c.i BETWEEN 2 AND 9',
    [2, 3],
  ],
  [
    'filters on LIKE',
    "SELECT VALUE c.i FROM c WHERE c.id LIKE 'q5%'",
    [5, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59],
  ],
  ['filters on IS_DEFINED', 'SELECT VALUE c.i FROM c WHERE IS_DEFINED(c.rare)', [0]],
  ['filters on a regular expression', "SELECT VALUE c.i FROM c WHERE RegexMatch(c.id, '^q1$')", [1]],
  ['compares text without case', "SELECT VALUE c.i FROM c WHERE StringEquals(c.id, 'Q7', true)", [7]],
  ['joins an array', "SELECT VALUE c.i FROM c JOIN t IN c.tags WHERE t = 'a1' AND c.i < 6", [1, 5]],
  [
    'asks a subquery with EXISTS',
    "SELECT VALUE c.i FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 'a1') AND c.i < 6",
    [1, 5],
  ],
  ['finds in an array', "SELECT VALUE c.i FROM c WHERE ARRAY_CONTAINS(c.tags, 'a2') AND c.i < 6", [2]],
  ['projects a list', 'SELECT c.id, c.i AS n FROM c WHERE c.i = 3', [{ id: 'q3', n: 3 }]],
  [
    'projects an object with functions',
    "SELECT VALUE {u: UPPER(c.kind), l: ARRAY_LENGTH(c.tags), m: c.i % 5, s: STARTSWITH(c.id, 'q')} FROM c WHERE c.i = 7",
    [{ u: 'ODD', l: 2, m: 2, s: true }],
  ],
  [
    'decides with ?: and ??',
    "SELECT VALUE (c.i > 5 ? 'big' : (c.none ?? 'small')) FROM c WHERE c.i IN (4, 7)",
    ['small', 'big'],
  ],
  ['counts', 'SELECT VALUE COUNT(1) FROM c', [60]],
  ['sums', 'SELECT VALUE SUM(c.i) FROM c', [1770]],
  ['averages', 'SELECT VALUE AVG(c.i) FROM c', [29.5]],
  ['finds the smallest', 'SELECT VALUE MIN(c.i) FROM c', [0]],
  ['finds the largest', 'SELECT VALUE MAX(c.i) FROM c', [59]],
  [
    'groups',
    'SELECT c.g, COUNT(1) AS n, SUM(c.i) AS s FROM c GROUP BY c.g',
    [
      { g: 0, n: 20, s: 570 },
      { g: 1, n: 20, s: 590 },
      { g: 2, n: 20, s: 610 },
    ],
  ],
  ['removes duplicates', 'SELECT DISTINCT VALUE c.kind FROM c', ['even', 'odd']],
];

const ORDERED = [
  ['sorts up', 'SELECT VALUE c.i FROM c ORDER BY c.i', EVERY],
  ['sorts down', 'SELECT VALUE c.i FROM c ORDER BY c.i DESC', EVERY.toReversed()],
  ['takes the top', 'SELECT TOP 3 VALUE c.i FROM c ORDER BY c.i DESC', [59, 58, 57]],
  ['skips and limits', 'SELECT VALUE c.i FROM c ORDER BY c.i OFFSET 10 LIMIT 5', [10, 11, 12, 13, 14]],
  [
    'sorts by a time stamp of the service',
    'SELECT VALUE c.i FROM c WHERE c.i < 3 ORDER BY c._ts, c.i',
    undefined,
  ],
  [
    'sorts what it removed duplicates from',
    "SELECT DISTINCT VALUE c.id FROM c WHERE c.id LIKE 'q1_' ORDER BY c.id",
    Array.from({ length: 10 }, (_, i) => `q1${i}`),
  ],
];

/** The query language, through the SDK's own merging of partition ranges. */
export async function checkQueries({ check, skip, container }) {
  const { items } = await container('queries', {
    indexingPolicy: {
      indexingMode: 'consistent',
      includedPaths: [{ path: '/*' }],
      compositeIndexes: [
        [
          { path: '/_ts', order: 'ascending' },
          { path: '/i', order: 'ascending' },
        ],
      ],
    },
  });
  await items.bulk(
    EVERY.map((i) => ({
      operationType: 'Create',
      resourceBody: {
        id: `q${i}`,
        pk: `k${i % 7}`,
        i,
        g: i % 3,
        kind: i % 2 ? 'odd' : 'even',
        tags: [`a${i % 4}`, 'b'],
        ...(i === 0 && { rare: true }),
      },
    })),
  );
  const all = async (query, options) => (await items.query(query, options).fetchAll()).resources;
  const sorted = (list) => list.map((value) => JSON.stringify(value)).sort();

  for (const [title, query, expected] of CASES)
    for (const forceQueryPlan of [false, true])
      await check(`${title}${forceQueryPlan ? ', by plan' : ''}`, async () => {
        assert.deepEqual(sorted(await all(query, { forceQueryPlan })), sorted(expected));
      });
  for (const [title, query, expected = [0, 1, 2]] of ORDERED)
    for (const options of [{}, { maxItemCount: 7 }, { forceQueryPlan: true }])
      await check(`${title} ${JSON.stringify(options)}`, async () => {
        assert.deepEqual(await all(query, options), expected);
      });

  await check('binds parameters', async () => {
    const query = { query: 'SELECT VALUE c.i FROM c WHERE c.i = @i', parameters: [{ name: '@i', value: 5 }] };
    assert.deepEqual(await all(query), [5]);
  });
  await check('stays within a partition key', async () => {
    assert.equal((await all('SELECT * FROM c', { partitionKey: 'k1' })).length, 9);
  });
  await check('continues a single-partition query in another iterator', async () => {
    const options = { partitionKey: 'k1', maxItemCount: 4 };
    const first = await items.query('SELECT VALUE c.id FROM c', options).fetchNext();
    assert.equal(first.resources.length, 4);
    const { continuationToken } = first;
    const second = await items
      .query('SELECT VALUE c.id FROM c', { ...options, continuationToken })
      .fetchNext();
    assert.equal(new Set([...first.resources, ...second.resources]).size, 8);
  });
  await check('continues an ordered query over all partitions in other iterators', async () => {
    const seen = [];
    let continuationToken;
    do {
      const page = await items
        .query('SELECT VALUE c.i FROM c ORDER BY c.i', {
          maxItemCount: 10,
          enableQueryControl: true,
          forceQueryPlan: true,
          ...(continuationToken && { continuationToken }),
        })
        .fetchNext();
      seen.push(...(page.resources ?? []));
      continuationToken = page.continuationToken;
    } while (continuationToken && seen.length <= COUNT);
    assert.deepEqual(seen, EVERY);
  });
  await check('tells charge and metrics of a query', async () => {
    const options = { populateQueryMetrics: true, partitionKey: 'k1' };
    const page = await items.query('SELECT * FROM c', options).fetchNext();
    assert.ok(page.requestCharge > 0);
    assert.ok(page.queryMetrics);
  });
  await check('refuses what is not SQL with 400 and the place', async () => {
    await assert.rejects(
      all('SELEC nope'),
      (error) => error.code === 400 && /Syntax error/.test(error.message),
    );
  });
  await check('refuses an unknown function with 400', async () => {
    await assert.rejects(all('SELECT VALUE NOPE(c.i) FROM c'), { code: 400 });
  });
  skip('DISTINCT over false, 0 and "" across partitions', 'the SDK drops falsy values itself (4.9.3)');
}
