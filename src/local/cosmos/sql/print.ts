import { type Expression, isQuery, type Query, type SelectItem, type Source } from './ast.ts';
import { isKeyword } from './lexer.ts';

/** Parts of a query that replace its own when it is printed. */
export interface Replacement {
  readonly select?: string;
  readonly where?: string;
  readonly distinct?: boolean;
  readonly top?: string;
  /** OFFSET and LIMIT. */
  readonly page?: string;
}

/** Back to text, for the rewritten query of a plan. Parameters stay parameters: the client sends their values along. */
export function printExpression(node: Expression): string {
  const print = printExpression;
  switch (node.type) {
    case 'literal':
      return node.value === undefined ? 'undefined' : JSON.stringify(node.value);
    case 'parameter':
    case 'name':
      return node.name;
    case 'member':
      return print(node.object) + printStep(node.property);
    case 'unary':
      return `(${node.operator} ${print(node.operand)})`;
    case 'binary':
      return `(${print(node.left)} ${node.operator} ${print(node.right)})`;
    case 'conditional':
      return `(${print(node.test)} ? ${print(node.yes)} : ${print(node.no)})`;
    case 'in':
      return `(${print(node.value)} IN (${node.list.map(print).join(', ')}))`;
    case 'between':
      return `(${print(node.value)} BETWEEN ${print(node.low)} AND ${print(node.high)})`;
    case 'like':
      return `(${print(node.value)} LIKE ${print(node.pattern)}${node.escape === undefined ? '' : ` ESCAPE ${JSON.stringify(node.escape)}`})`;
    case 'array':
      return `[${node.items.map(print).join(', ')}]`;
    case 'object':
      return `{${node.properties.map(([key, value]) => `${JSON.stringify(key)}: ${print(value)}`).join(', ')}}`;
    case 'call':
      return `${node.name}(${node.args.map(print).join(', ')})`;
    case 'subquery':
      return `${{ exists: 'EXISTS', array: 'ARRAY', scalar: '' }[node.form]}(${printQuery(node.query)})`;
  }
}

export function printQuery(query: Query, replacement: Replacement = {}): string {
  const where = replacement.where ?? (query.where && printExpression(query.where));
  const top = replacement.top ?? (query.top === undefined ? '' : `TOP ${printExpression(query.top)} `);
  const [first, ...joins] = query.sources;
  return [
    `SELECT ${(replacement.distinct ?? query.distinct) ? 'DISTINCT ' : ''}${top}${replacement.select ?? printSelect(query)}`,
    first === undefined
      ? ''
      : `FROM ${printSource(first)}${joins.map((join) => ` JOIN ${printSource(join)}`).join('')}`,
    where === undefined ? '' : `WHERE ${where}`,
    query.groupBy.length === 0 ? '' : `GROUP BY ${query.groupBy.map(printExpression).join(', ')}`,
    query.orderBy.length === 0
      ? ''
      : `ORDER BY ${query.orderBy.map((order) => `${printExpression(order.expression)} ${order.descending ? 'DESC' : 'ASC'}`).join(', ')}`,
    replacement.page ?? printPage(query),
  ]
    .filter((clause) => clause !== '')
    .join('\n');
}

function printPage({ offset, limit }: Query): string {
  if (offset === undefined || limit === undefined) return '';
  return `OFFSET ${printExpression(offset)} LIMIT ${printExpression(limit)}`;
}

function printSelect({ select }: Query): string {
  if (select === '*') return '*';
  if (!Array.isArray(select)) return `VALUE ${printExpression(select as Expression)}`;
  return (select as readonly SelectItem[])
    .map(({ expression, alias }) => printExpression(expression) + (alias === undefined ? '' : ` AS ${alias}`))
    .join(', ');
}

function printSource({ alias, from, iterates }: Source): string {
  const text = isQuery(from) ? `(${printQuery(from)})` : printExpression(from);
  if (iterates) return `${alias} IN ${text}`;
  return alias === '' || text === alias ? text : `${text} AS ${alias}`;
}

function printStep(property: Expression): string {
  const name = property.type === 'literal' ? property.value : undefined;
  if (typeof name === 'string' && /^[A-Za-z_]\w*$/.test(name) && !isKeyword(name)) return `.${name}`;
  return `[${printExpression(property)}]`;
}
