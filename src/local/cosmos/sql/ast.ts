/** Cosmos DB SQL as a tree. */
export type Expression =
  | { readonly type: 'literal'; readonly value: unknown }
  | { readonly type: 'parameter'; readonly name: string }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'member'; readonly object: Expression; readonly property: Expression }
  | { readonly type: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression }
  | {
      readonly type: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly type: 'conditional';
      readonly test: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    }
  | { readonly type: 'in'; readonly value: Expression; readonly list: readonly Expression[] }
  | {
      readonly type: 'between';
      readonly value: Expression;
      readonly low: Expression;
      readonly high: Expression;
    }
  | {
      readonly type: 'like';
      readonly value: Expression;
      readonly pattern: Expression;
      readonly escape?: string;
    }
  | { readonly type: 'array'; readonly items: readonly Expression[] }
  | { readonly type: 'object'; readonly properties: readonly (readonly [string, Expression])[] }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly type: 'subquery'; readonly form: 'exists' | 'array' | 'scalar'; readonly query: Query };

export type UnaryOperator = 'NOT' | '-' | '+' | '~';

export interface SelectItem {
  readonly expression: Expression;
  readonly alias: string | undefined;
}

export interface Source {
  readonly alias: string;
  /** What it ranges over: a path, or a subquery. */
  readonly from: Expression | Query;
  /** `alias IN path`: each element of the array. */
  readonly iterates: boolean;
}

export interface Order {
  readonly expression: Expression;
  readonly descending: boolean;
}

export interface Query {
  readonly type: 'query';
  readonly distinct: boolean;
  readonly top: Expression | undefined;
  /** `*`, one `VALUE`, or a list. */
  readonly select: '*' | Expression | readonly SelectItem[];
  readonly sources: readonly Source[];
  readonly where: Expression | undefined;
  readonly groupBy: readonly Expression[];
  readonly orderBy: readonly Order[];
  readonly offset: Expression | undefined;
  readonly limit: Expression | undefined;
}

export const isQuery = (node: Expression | Query): node is Query => node.type === 'query';

export const AGGREGATES: ReadonlySet<string> = new Set(['COUNT', 'SUM', 'AVG', 'MIN', 'MAX']);

/** Whether an aggregate of this query, not of one inside it, occurs in the expression. */
export function hasAggregate(node: Expression): boolean {
  switch (node.type) {
    case 'call':
      return AGGREGATES.has(node.name) || node.args.some(hasAggregate);
    case 'member':
      return hasAggregate(node.object) || hasAggregate(node.property);
    case 'unary':
      return hasAggregate(node.operand);
    case 'binary':
      return hasAggregate(node.left) || hasAggregate(node.right);
    case 'conditional':
      return [node.test, node.yes, node.no].some(hasAggregate);
    case 'in':
      return [node.value, ...node.list].some(hasAggregate);
    case 'between':
      return [node.value, node.low, node.high].some(hasAggregate);
    case 'like':
      return [node.value, node.pattern].some(hasAggregate);
    case 'array':
      return node.items.some(hasAggregate);
    case 'object':
      return node.properties.some(([, value]) => hasAggregate(value));
    default:
      return false;
  }
}

/** The expressions that a query selects. */
function selected({ select }: Query): readonly Expression[] {
  if (select === '*') return [];
  return Array.isArray(select) ? select.map(({ expression }) => expression) : [select as Expression];
}

export const isAggregate = (query: Query): boolean =>
  query.groupBy.length > 0 || selected(query).some(hasAggregate);

/** Names of the selected properties: the alias, the last step of a path, else `$1`, `$2` ... */
export function selectNames(items: readonly SelectItem[]): string[] {
  let unnamed = 0;
  return items.map(({ expression, alias }) => {
    if (alias !== undefined) return alias;
    if (expression.type === 'name') return expression.name;
    if (
      expression.type === 'member' &&
      expression.property.type === 'literal' &&
      typeof expression.property.value === 'string'
    )
      return expression.property.value;
    return `$${++unnamed}`;
  });
}
