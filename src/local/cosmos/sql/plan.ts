import {
  AGGREGATES,
  type Expression,
  hasAggregate,
  isAggregate,
  type Query,
  type SelectItem,
  selectNames,
} from './ast.ts';
import { SqlError } from './lexer.ts';
import { printExpression, printQuery } from './print.ts';

/** `queryInfo` of a plan: what a client does with the answers of the ranges. Rules: facts of the .NET SDK's plan baselines. */
export interface QueryInfo {
  readonly distinctType: 'None' | 'Ordered' | 'Unordered';
  readonly top: number | null;
  readonly offset: number | null;
  readonly limit: number | null;
  readonly orderBy: readonly ('Ascending' | 'Descending')[];
  readonly orderByExpressions: readonly string[];
  readonly groupByExpressions: readonly string[];
  readonly groupByAliases: readonly string[];
  readonly aggregates: readonly string[];
  readonly groupByAliasToAggregateType: Readonly<Record<string, string | null>>;
  /** What to send to each range instead; empty when the query can go as it is. */
  readonly rewrittenQuery: string;
  readonly hasSelectValue: boolean;
  readonly dCountInfo: null;
  readonly hasNonStreamingOrderBy: false;
}

/** The client puts its resume condition here. */
const ORDER_BY_FILTER = '{documentdb-formattableorderbyquery-filter}';

const AGGREGATE_TYPES: Readonly<Record<string, string>> = {
  COUNT: 'Count',
  SUM: 'Sum',
  AVG: 'Average',
  MIN: 'Min',
  MAX: 'Max',
};

export function planQuery(query: Query, parameters: Readonly<Record<string, unknown>>): QueryInfo {
  const numberOf = (node: Expression | undefined): number | null => {
    if (node === undefined) return null;
    return Number(
      node.type === 'parameter' ? parameters[node.name] : node.type === 'literal' ? node.value : Number.NaN,
    );
  };
  const offset = numberOf(query.offset);
  const limit = numberOf(query.limit);
  const base: QueryInfo = {
    distinctType: query.distinct ? (query.orderBy.length > 0 ? 'Ordered' : 'Unordered') : 'None',
    top: numberOf(query.top),
    offset,
    limit,
    orderBy: query.orderBy.map(({ descending }) => (descending ? 'Descending' : 'Ascending')),
    orderByExpressions: query.orderBy.map(({ expression }) => printExpression(expression)),
    groupByExpressions: query.groupBy.map(printExpression),
    groupByAliases: [],
    aggregates: [],
    groupByAliasToAggregateType: {},
    rewrittenQuery: '',
    hasSelectValue: query.select !== '*' && !Array.isArray(query.select),
    dCountInfo: null,
    hasNonStreamingOrderBy: false,
  };
  if (isAggregate(query)) return { ...base, ...planAggregate(query) };
  // Every range may hold all of the page, so each is asked for everything up to its end.
  const page = offset === null || limit === null ? '' : `OFFSET 0 LIMIT ${offset + limit}`;
  if (query.orderBy.length > 0) return { ...base, rewrittenQuery: rewriteOrderBy(query, page) };
  const rewritten = query.distinct || page !== '';
  return rewritten
    ? { ...base, rewrittenQuery: printQuery(query, { page, ...(query.distinct && { top: '' }) }) }
    : base;
}

function rewriteOrderBy(query: Query, page: string): string {
  const [source] = query.sources;
  if (source === undefined) throw new SqlError('ORDER BY needs a FROM clause.');
  const items = query.orderBy.map(({ expression }) => `{"item": ${printExpression(expression)}}`);
  const { select } = query;
  const payload =
    select === '*'
      ? source.alias
      : Array.isArray(select)
        ? objectText(select as readonly SelectItem[], printExpression)
        : printExpression(select as Expression);
  const conditions = [
    query.where === undefined ? [] : [printExpression(query.where)],
    `(${ORDER_BY_FILTER})`,
    select !== '*' && !Array.isArray(select) ? [`IS_DEFINED(${payload})`] : [],
  ].flat();
  return printQuery(query, {
    select: `${source.alias}._rid, [${items.join(', ')}] AS orderByItems, ${payload} AS payload`,
    where: conditions.map((condition) => `(${condition})`).join(' AND '),
    distinct: false,
    page,
  });
}

function planAggregate(query: Query): Partial<QueryInfo> {
  const { select, groupBy } = query;
  if (select === '*') throw new SqlError("'SELECT *' is not supported when GROUP BY clause is present.");
  const keys =
    groupBy.length === 0
      ? ''
      : `[${groupBy.map((node) => `{"item": ${printExpression(node)}}`).join(', ')}] AS groupByItems, `;
  if (!Array.isArray(select)) {
    const value = select as Expression;
    const aggregate = requireSimple(value);
    const payload = aggregate === undefined ? printExpression(value) : `[${partialText(aggregate)}]`;
    const form = keys === '' ? `VALUE ${payload}` : `${keys}${payload} AS payload`;
    return {
      aggregates: aggregate === undefined ? [] : [AGGREGATE_TYPES[aggregate.name] as string],
      rewrittenQuery: printQuery(query, { select: form, top: '', page: '' }),
    };
  }
  const items = select as readonly SelectItem[];
  const names = selectNames(items);
  const types = items.map(({ expression }) => {
    const aggregate = requireSimple(expression);
    return aggregate === undefined ? null : (AGGREGATE_TYPES[aggregate.name] as string);
  });
  const payload = objectText(items, (expression) => {
    const aggregate = requireSimple(expression);
    return aggregate === undefined ? printExpression(expression) : partialText(aggregate);
  });
  return {
    groupByAliases: names,
    groupByAliasToAggregateType: Object.fromEntries(names.map((name, index) => [name, types[index] ?? null])),
    rewrittenQuery: printQuery(query, { select: `${keys}${payload} AS payload`, top: '', page: '' }),
  };
}

type Aggregate = Extract<Expression, { type: 'call' }>;

/** The aggregate that an expression is; none when it contains none. Sums of partial results cannot be put into arithmetic. */
function requireSimple(node: Expression): Aggregate | undefined {
  if (node.type === 'call' && AGGREGATES.has(node.name)) return node;
  if (hasAggregate(node))
    throw new SqlError('Compositions of aggregates and other expressions are not allowed.');
  return undefined;
}

/** What a range returns for an aggregate so that a client can merge it with others. */
function partialText({ name, args }: Aggregate): string {
  const [argument] = args;
  if (argument === undefined) throw new SqlError(`The ${name} function requires 1 argument.`);
  const value = printExpression(argument);
  if (name === 'AVG') return `{"item": {"sum": SUM(${value}), "count": COUNT(${value})}}`;
  if (name === 'MIN' || name === 'MAX')
    return `{"item": ${name}(${value}), "item2": {"${name.toLowerCase()}": ${name}(${value}), "count": COUNT(${value})}}`;
  return `{"item": ${name}(${value})}`;
}

function objectText(items: readonly SelectItem[], print: (node: Expression) => string): string {
  const names = selectNames(items);
  return `{${items.map(({ expression }, index) => `${JSON.stringify(names[index])}: ${print(expression)}`).join(', ')}}`;
}
