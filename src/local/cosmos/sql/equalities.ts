import { type Expression, isQuery, type Query } from './ast.ts';

/** A condition `alias.path = constant` that every result of a query meets. */
export interface Equality {
  /** As a partition key path is written: `/tenant/id`. */
  readonly path: string;
  readonly value: Extract<Expression, { type: 'literal' | 'parameter' }>;
}

/** The equalities that are joined by AND at the top of the WHERE clause: what a point lookup can use. */
export function equalitiesOf({ sources, where }: Query): readonly Equality[] {
  const [source, ...others] = sources;
  if (where === undefined || source === undefined || source.iterates) return [];
  if (isQuery(source.from) || source.from.type !== 'name') return [];
  if (others.some(({ alias }) => alias === source.alias)) return [];
  return conjunctsOf(where).flatMap((condition) => equalityOf(condition, source.alias));
}

function conjunctsOf(node: Expression): readonly Expression[] {
  return node.type === 'binary' && node.operator === 'AND'
    ? [...conjunctsOf(node.left), ...conjunctsOf(node.right)]
    : [node];
}

function equalityOf(node: Expression, alias: string): Equality[] {
  if (node.type !== 'binary' || node.operator !== '=') return [];
  for (const [side, value] of [
    [node.left, node.right],
    [node.right, node.left],
  ] as const) {
    const path = pathOf(side, alias);
    if (path !== undefined && path !== '' && (value.type === 'literal' || value.type === 'parameter'))
      return [{ path, value }];
  }
  return [];
}

/** `c.a["b"]` as `/a/b`; undefined for what is no path of names from the alias. */
function pathOf(node: Expression, alias: string): string | undefined {
  if (node.type === 'name') return node.name === alias ? '' : undefined;
  if (node.type !== 'member' || node.property.type !== 'literal' || typeof node.property.value !== 'string')
    return undefined;
  const parent = pathOf(node.object, alias);
  return parent === undefined ? undefined : `${parent}/${node.property.value}`;
}
