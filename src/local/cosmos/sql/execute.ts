import { isAggregate, isQuery, type Query, type SelectItem, type Source, selectNames } from './ast.ts';
import { compileExpression, type Evaluate, objectOf, type Row } from './evaluate.ts';
import { SqlError } from './lexer.ts';
import { canonical, compareValues } from './values.ts';

/** Rows of a query within the rows around it; `documents` feeds the first source of the outermost query. */
type Run = (outer: Row, documents?: readonly unknown[]) => unknown[];

/** Turns a query into a function, once. @throws SqlError */
export function compileQuery(query: Query): Run {
  const subquery = (inner: Query): ((row: Row) => unknown[]) => {
    const run = compileQuery(inner);
    return (row) => run(row);
  };
  const compile = (node: Parameters<typeof compileExpression>[0]): Evaluate =>
    compileExpression(node, subquery);
  const sources = query.sources.map((source) => compileSource(source, compile));
  const where = query.where && compile(query.where);
  const groupBy = query.groupBy.map(compile);
  const orderBy = query.orderBy.map(({ expression, descending }) => ({
    value: compile(expression),
    descending,
  }));
  const project = projection(query, compile);
  const [top, offset, limit] = [query.top, query.offset, query.limit].map((node) => node && compile(node));
  const aggregates = isAggregate(query);

  return (outer, documents) => {
    let rows: Row[] = [outer];
    sources.forEach((source, index) => {
      rows = rows.flatMap((row) => source(row, index === 0 ? documents : undefined));
    });
    if (where !== undefined) rows = rows.filter((row) => where(row) === true);
    if (aggregates) rows = grouped(rows, groupBy, outer);
    if (orderBy.length > 0) rows = sorted(rows, orderBy);
    let results = rows.map(project).filter((value) => value !== undefined);
    if (query.distinct) results = [...new Map(results.map((value) => [canonical(value), value])).values()];
    if (offset !== undefined && limit !== undefined) {
      const from = count(offset(outer), 'OFFSET');
      results = results.slice(from, from + count(limit(outer), 'LIMIT'));
    }
    return top === undefined ? results : results.slice(0, count(top(outer), 'TOP'));
  };
}

function compileSource(
  source: Source,
  compile: (node: Parameters<typeof compileExpression>[0]) => Evaluate,
): (row: Row, documents: readonly unknown[] | undefined) => Row[] {
  const { alias, from, iterates } = source;
  const bind = (row: Row, value: unknown): Row => ({ ...row, names: { ...row.names, [alias]: value } });
  const bindAll = (row: Row, values: readonly unknown[]): Row[] =>
    (iterates ? values.flatMap((value) => (Array.isArray(value) ? value : [])) : values)
      .filter((value) => value !== undefined)
      .map((value) => bind(row, value));
  if (isQuery(from)) {
    const run = compileQuery(from);
    return (row, documents) => bindAll(row, run(row, documents));
  }
  const value = compile(from);
  const root = rootName(from);
  return (row, documents) => {
    if (documents === undefined) return bindAll(row, [value(row)]);
    // The first source is the container, whatever it is called.
    if (from.type === 'name' && !iterates) return documents.map((document) => bind(row, document));
    return documents.flatMap((document) => bindAll(row, [value({ ...row, names: { [root]: document } })]));
  };
}

function rootName(node: Parameters<typeof compileExpression>[0]): string {
  if (node.type === 'member') return rootName(node.object);
  return node.type === 'name' ? node.name : '';
}

function projection(
  query: Query,
  compile: (node: Parameters<typeof compileExpression>[0]) => Evaluate,
): Evaluate {
  const { select, sources } = query;
  if (select === '*') {
    const [source] = sources;
    if (source === undefined || sources.length > 1)
      throw new SqlError("'SELECT *' is only valid with a single input set.");
    return ({ names }) => names[source.alias];
  }
  if (!Array.isArray(select)) return compile(select as Exclude<typeof select, readonly SelectItem[]>);
  const items = select as readonly SelectItem[];
  const names = selectNames(items);
  return objectOf(
    items.map(({ expression }, index) => [names[index] as string, compile(expression)] as const),
  );
}

function grouped(rows: readonly Row[], groupBy: readonly Evaluate[], outer: Row): Row[] {
  if (groupBy.length === 0) return [{ ...(rows[0] ?? outer), group: rows }];
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = groupBy.map((value) => canonical(value(row))).join('|');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()].map((group) => ({ ...(group[0] as Row), group }));
}

function sorted(rows: readonly Row[], orderBy: readonly { value: Evaluate; descending: boolean }[]): Row[] {
  const keyed = rows.map((row) => ({ row, keys: orderBy.map(({ value }) => value(row)) }));
  // An item without the single sort property has no place in its index, and none in the result.
  const placed = orderBy.length === 1 ? keyed.filter(({ keys }) => keys[0] !== undefined) : keyed;
  placed.sort((a, b) => {
    for (const [index, { descending }] of orderBy.entries()) {
      const order = compareValues(a.keys[index], b.keys[index]);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
  return placed.map(({ row }) => row);
}

function count(value: unknown, clause: string): number {
  if (!Number.isInteger(value) || (value as number) < 0)
    throw new SqlError(`The ${clause} value must be a non-negative integer.`);
  return value as number;
}
