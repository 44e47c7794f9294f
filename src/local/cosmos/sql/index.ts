import { isAggregate, type Query } from './ast.ts';
import { equalitiesOf } from './equalities.ts';
import { compileQuery } from './execute.ts';
import { parse } from './parser.ts';
import { planQuery, type QueryInfo } from './plan.ts';

export { SqlError } from './lexer.ts';
export type { QueryInfo } from './plan.ts';

/** A query, understood once and run often. */
export interface CompiledQuery {
  /** True when the answers of several ranges must be merged by the client, with {@link plan}. */
  readonly needsPlan: boolean;
  /** True when each item can be answered by itself, in any portion. */
  readonly isStreaming: boolean;
  /** @throws SqlError when no client could merge the parts */
  plan(parameters: Readonly<Record<string, unknown>>): QueryInfo;
  /**
   * @param nowMs wall clock, milliseconds since the Unix epoch
   * @throws SqlError for a parameter that does not fit, as a negative TOP
   */
  execute(items: readonly unknown[], parameters: Readonly<Record<string, unknown>>, nowMs: number): unknown[];
  /** Constants that properties of the container's items must equal, by path: `/tenant/id`. */
  equalities(parameters: Readonly<Record<string, unknown>>): ReadonlyMap<string, unknown>;
}

const MAX_CACHED = 500;
const cache = new Map<string, CompiledQuery>();

/** Compiles query text; the same text is compiled once. @throws SqlError */
export function compile(text: string): CompiledQuery {
  let compiled = cache.get(text);
  if (compiled === undefined) {
    compiled = compileParsed(parse(text));
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
    cache.set(text, compiled);
  }
  return compiled;
}

function compileParsed(query: Query): CompiledQuery {
  const run = compileQuery(query);
  const equalities = equalitiesOf(query);
  const merges =
    isAggregate(query) ||
    query.orderBy.length > 0 ||
    query.distinct ||
    query.top !== undefined ||
    query.offset !== undefined;
  return {
    needsPlan: merges,
    isStreaming: !merges && query.sources.length > 0,
    plan: (parameters) => planQuery(query, parameters),
    execute: (items, parameters, nowMs) => run({ names: {}, parameters, nowMs }, items),
    equalities: (parameters) =>
      new Map(
        equalities.map(({ path, value }) => [
          path,
          value.type === 'literal' ? value.value : parameters[value.name],
        ]),
      ),
  };
}
