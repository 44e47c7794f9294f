// Query plans of the gateway, asked for over the wire as .NET, Java and Python do for every query. The cases are written by us
// from the rules that the plan baselines of azure-cosmos-dotnet-v3 show (BaselineTest/TestBaseline/QueryPlanBaselineTests.*.xml).
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';

const FILTER = '{documentdb-formattableorderbyquery-filter}';

/** Title, query, what the plan says beside its defaults; blanks and parentheses of the rewritten query do not count. */
const CASES = [
  ['nothing to merge', 'SELECT * FROM c', { rewrittenQuery: '' }],
  ['a filter alone', 'SELECT c.a FROM c WHERE c.b = 1', { rewrittenQuery: '' }],
  ['VALUE', 'SELECT VALUE c.a FROM c', { hasSelectValue: true, rewrittenQuery: '' }],
  ['TOP', 'SELECT TOP 5 * FROM c', { top: 5 }],
  ['TOP of a parameter', 'SELECT TOP @n * FROM c', { top: 7 }],
  [
    'OFFSET LIMIT',
    'SELECT * FROM c OFFSET 2 LIMIT 3',
    { offset: 2, limit: 3, rewrittenQuery: 'SELECT * FROM c OFFSET 0 LIMIT 5' },
  ],
  [
    'OFFSET LIMIT of parameters',
    'SELECT * FROM c OFFSET @o LIMIT @n',
    { offset: 4, limit: 7, rewrittenQuery: 'SELECT * FROM c OFFSET 0 LIMIT 11' },
  ],
  ['DISTINCT', 'SELECT DISTINCT c.a FROM c', { distinctType: 'Unordered' }],
  ['DISTINCT VALUE', 'SELECT DISTINCT VALUE c.a FROM c', { distinctType: 'Unordered', hasSelectValue: true }],
  [
    'DISTINCT with ORDER BY',
    'SELECT DISTINCT VALUE c.a FROM c ORDER BY c.a',
    {
      distinctType: 'Ordered',
      hasSelectValue: true,
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
    },
  ],
  [
    'ORDER BY',
    'SELECT * FROM c ORDER BY c.a',
    {
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT c._rid, [{"item": c.a}] AS orderByItems, c AS payload FROM c WHERE ${FILTER} ORDER BY c.a`,
    },
  ],
  [
    'ORDER BY DESC with a filter',
    'SELECT * FROM c WHERE c.b = 1 ORDER BY c.a DESC',
    {
      orderBy: ['Descending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT c._rid, [{"item": c.a}] AS orderByItems, c AS payload FROM c WHERE c.b = 1 AND ${FILTER} ORDER BY c.a DESC`,
    },
  ],
  [
    'ORDER BY of a list',
    'SELECT c.a, c.b AS two FROM c ORDER BY c.a',
    {
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT c._rid, [{"item": c.a}] AS orderByItems, {"a": c.a, "two": c.b} AS payload FROM c WHERE ${FILTER} ORDER BY c.a`,
    },
  ],
  [
    'ORDER BY of a VALUE',
    'SELECT VALUE c.b FROM c ORDER BY c.a',
    {
      hasSelectValue: true,
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT c._rid, [{"item": c.a}] AS orderByItems, c.b AS payload FROM c WHERE ${FILTER} AND IS_DEFINED(c.b) ORDER BY c.a`,
    },
  ],
  [
    'ORDER BY of two',
    'SELECT * FROM c ORDER BY c.a ASC, c.b DESC',
    {
      orderBy: ['Ascending', 'Descending'],
      orderByExpressions: ['c.a', 'c.b'],
    },
  ],
  [
    'ORDER BY with TOP',
    'SELECT TOP 3 * FROM c ORDER BY c.a',
    {
      top: 3,
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT TOP 3 c._rid, [{"item": c.a}] AS orderByItems, c AS payload FROM c WHERE ${FILTER} ORDER BY c.a`,
    },
  ],
  [
    'ORDER BY with OFFSET LIMIT',
    'SELECT * FROM c ORDER BY c.a OFFSET 2 LIMIT 3',
    {
      offset: 2,
      limit: 3,
      orderBy: ['Ascending'],
      orderByExpressions: ['c.a'],
      rewrittenQuery: `SELECT c._rid, [{"item": c.a}] AS orderByItems, c AS payload FROM c WHERE ${FILTER} ORDER BY c.a OFFSET 0 LIMIT 5`,
    },
  ],
  [
    'ORDER BY over another alias',
    'SELECT * FROM root r ORDER BY r.a',
    { orderBy: ['Ascending'], orderByExpressions: ['r.a'] },
  ],
  [
    'COUNT',
    'SELECT VALUE COUNT(1) FROM c',
    {
      hasSelectValue: true,
      aggregates: ['Count'],
      rewrittenQuery: 'SELECT VALUE [{"item": COUNT(1)}] FROM c',
    },
  ],
  [
    'SUM',
    'SELECT VALUE SUM(c.a) FROM c WHERE c.b = 1',
    {
      hasSelectValue: true,
      aggregates: ['Sum'],
      rewrittenQuery: 'SELECT VALUE [{"item": SUM(c.a)}] FROM c WHERE c.b = 1',
    },
  ],
  [
    'AVG',
    'SELECT VALUE AVG(c.a) FROM c',
    {
      hasSelectValue: true,
      aggregates: ['Average'],
      rewrittenQuery: 'SELECT VALUE [{"item": {"sum": SUM(c.a), "count": COUNT(c.a)}}] FROM c',
    },
  ],
  [
    'MIN',
    'SELECT VALUE MIN(c.a) FROM c',
    {
      hasSelectValue: true,
      aggregates: ['Min'],
      rewrittenQuery:
        'SELECT VALUE [{"item": MIN(c.a), "item2": {"min": MIN(c.a), "count": COUNT(c.a)}}] FROM c',
    },
  ],
  [
    'MAX',
    'SELECT VALUE MAX(c.a) FROM c',
    {
      hasSelectValue: true,
      aggregates: ['Max'],
      rewrittenQuery:
        'SELECT VALUE [{"item": MAX(c.a), "item2": {"max": MAX(c.a), "count": COUNT(c.a)}}] FROM c',
    },
  ],
  [
    'aggregates in a list',
    'SELECT COUNT(1) AS n, SUM(c.a) AS s FROM c',
    {
      groupByAliases: ['n', 's'],
      groupByAliasToAggregateType: { n: 'Count', s: 'Sum' },
      rewrittenQuery: 'SELECT {"n": {"item": COUNT(1)}, "s": {"item": SUM(c.a)}} AS payload FROM c',
    },
  ],
  [
    'GROUP BY',
    'SELECT c.g, COUNT(1) AS n FROM c GROUP BY c.g',
    {
      groupByExpressions: ['c.g'],
      groupByAliases: ['g', 'n'],
      groupByAliasToAggregateType: { g: null, n: 'Count' },
      rewrittenQuery:
        'SELECT [{"item": c.g}] AS groupByItems, {"g": c.g, "n": {"item": COUNT(1)}} AS payload FROM c GROUP BY c.g',
    },
  ],
  [
    'GROUP BY of two',
    'SELECT c.g, c.h, AVG(c.a) AS m FROM c GROUP BY c.g, c.h',
    {
      groupByExpressions: ['c.g', 'c.h'],
      groupByAliases: ['g', 'h', 'm'],
      groupByAliasToAggregateType: { g: null, h: null, m: 'Average' },
      rewrittenQuery:
        'SELECT [{"item": c.g}, {"item": c.h}] AS groupByItems, {"g": c.g, "h": c.h, "m": {"item": {"sum": SUM(c.a), "count": COUNT(c.a)}}} AS payload FROM c GROUP BY c.g, c.h',
    },
  ],
  [
    'GROUP BY without an aggregate',
    'SELECT c.g FROM c GROUP BY c.g',
    {
      groupByExpressions: ['c.g'],
      groupByAliases: ['g'],
      groupByAliasToAggregateType: { g: null },
      rewrittenQuery: 'SELECT [{"item": c.g}] AS groupByItems, {"g": c.g} AS payload FROM c GROUP BY c.g',
    },
  ],
  ['JOIN', 'SELECT VALUE t FROM c JOIN t IN c.tags', { hasSelectValue: true, rewrittenQuery: '' }],
];

const DEFAULTS = {
  distinctType: 'None',
  top: null,
  offset: null,
  limit: null,
  orderBy: [],
  orderByExpressions: [],
  groupByExpressions: [],
  groupByAliases: [],
  aggregates: [],
  groupByAliasToAggregateType: {},
  hasSelectValue: false,
};
const PARAMETERS = [
  { name: '@n', value: 7 },
  { name: '@o', value: 4 },
];

export async function run({ check, server }) {
  const { startCosmos } = await server('local/cosmos/index');
  const service = await startCosmos();
  const ask = signedRequests(service.environment);
  await ask('POST', 'dbs', '', '/dbs', { id: 'db' });
  await ask('POST', 'colls', 'dbs/db', '/dbs/db/colls', {
    id: 'c',
    partitionKey: { paths: ['/pk'], kind: 'Hash', version: 2 },
  });
  const plan = (query, parameters = PARAMETERS) =>
    ask(
      'POST',
      'docs',
      'dbs/db/colls/c',
      '/dbs/db/colls/c/docs',
      { query, parameters },
      {
        'content-type': 'application/query+json',
        'x-ms-documentdb-isquery': 'True',
        'x-ms-cosmos-is-query-plan-request': 'True',
        'x-ms-cosmos-query-version': '1.4',
        'x-ms-cosmos-supported-query-features':
          'Aggregate, CompositeAggregate, Distinct, GroupBy, MultipleOrderBy, OffsetAndLimit, OrderBy, Top, NonValueAggregate',
      },
    );

  for (const [title, query, expected] of CASES)
    await check(title, async () => {
      const { status, body } = await plan(query);
      assert.equal(status, 200);
      const { rewrittenQuery, ...info } = body.queryInfo;
      const { rewrittenQuery: rewritten, ...facts } = { ...DEFAULTS, ...expected };
      for (const [name, value] of Object.entries(facts)) assert.deepEqual(info[name], value, name);
      if (rewritten !== undefined) assert.equal(bare(rewrittenQuery), bare(rewritten));
    });
  await check('asks every range when nothing is known of the key', async () => {
    const { body } = await plan('SELECT * FROM c');
    assert.equal(body.partitionedQueryExecutionInfoVersion, 2);
    assert.deepEqual(body.queryRanges, [{ min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false }]);
  });
  await check('refuses arithmetic over aggregates', async () => {
    assert.equal((await plan('SELECT VALUE SUM(c.a) + 1 FROM c')).status, 400);
  });
  await check('refuses what is not SQL', async () => {
    assert.equal((await plan('SELECT FROM WHERE')).status, 400);
  });
  await check('a rewritten query is itself a query', async () => {
    for (const [, query] of CASES) {
      const { rewrittenQuery } = (await plan(query)).body.queryInfo;
      if (rewrittenQuery === '') continue;
      const { status, body } = await plan(rewrittenQuery.replace(FILTER, 'true'));
      assert.ok(status === 200 || body.code === 'BadRequest', `${status} for ${rewrittenQuery}`);
      assert.ok(!/Syntax error/.test(body.message ?? ''), `${rewrittenQuery}: ${body.message}`);
    }
  });
  await service.stop();
}

/** ASC is what an ORDER BY without a direction means. */
function bare(query) {
  return query.replaceAll(/ ASC\b/g, '').replaceAll(/[\s()]/g, '');
}

/** Requests signed with the account key, as the REST reference of Azure Cosmos DB describes it. */
function signedRequests({ COSMOS_ENDPOINT: endpoint, COSMOS_KEY: key }) {
  return async (method, type, link, path, body, headers = {}) => {
    const date = new Date().toUTCString();
    const text = `${method.toLowerCase()}\n${type}\n${link}\n${date.toLowerCase()}\n\n`;
    const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
    const response = await fetch(new URL(path, endpoint), {
      method,
      headers: {
        authorization: encodeURIComponent(`type=master&ver=1.0&sig=${signature}`),
        'x-ms-date': date,
        'x-ms-version': '2020-07-15',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
}
