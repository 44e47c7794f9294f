import { AGGREGATES, type Expression, type Query } from './ast.ts';
import { CLOCK_FUNCTIONS } from './dates.ts';
import { FUNCTIONS } from './functions.ts';
import { SqlError } from './lexer.ts';
import { comparable, compareValues, equal, memberOf } from './values.ts';

/** What an expression is evaluated against. */
export interface Row {
  readonly names: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** Rows of the group, where aggregates look. */
  readonly group?: readonly Row[];
}

export type Evaluate = (row: Row) => unknown;

/** Compiles subqueries; given from outside, because a query is made of expressions in turn. */
export type CompileSubquery = (query: Query) => (row: Row) => unknown[];

/** Turns an expression into a closure. @throws SqlError for an unknown function */
export function compileExpression(node: Expression, subquery: CompileSubquery): Evaluate {
  const compile = (inner: Expression): Evaluate => compileExpression(inner, subquery);
  switch (node.type) {
    case 'literal':
      return () => node.value;
    case 'parameter':
      return ({ parameters }) => parameters[node.name];
    case 'name':
      return ({ names }) => memberOf(names, node.name);
    case 'member': {
      const [object, property] = [compile(node.object), compile(node.property)];
      return (row) => memberOf(object(row), property(row));
    }
    case 'unary':
      return unary(node.operator, compile(node.operand));
    case 'binary':
      return binary(node.operator, compile(node.left), compile(node.right));
    case 'conditional': {
      const [test, yes, no] = [compile(node.test), compile(node.yes), compile(node.no)];
      return (row) => (test(row) === true ? yes(row) : no(row));
    }
    case 'in': {
      const [value, list] = [compile(node.value), node.list.map(compile)];
      return (row) => {
        const wanted = value(row);
        return wanted === undefined ? undefined : list.some((item) => equal(item(row), wanted));
      };
    }
    case 'between': {
      const [value, low, high] = [compile(node.value), compile(node.low), compile(node.high)];
      return (row) => {
        const [v, l, h] = [value(row), low(row), high(row)];
        if (!comparable(v, l) || !comparable(v, h)) return undefined;
        return compareValues(v, l) >= 0 && compareValues(v, h) <= 0;
      };
    }
    case 'like':
      return like(compile(node.value), compile(node.pattern), node.escape);
    case 'array': {
      const items = node.items.map(compile);
      return (row) => items.map((item) => item(row)).filter((value) => value !== undefined);
    }
    case 'object':
      return objectOf(node.properties.map(([key, value]) => [key, compile(value)] as const));
    case 'call':
      return AGGREGATES.has(node.name)
        ? aggregate(node.name, node.args, compile)
        : call(node.name, node.args.map(compile));
    case 'subquery': {
      const rows = subquery(node.query);
      if (node.form === 'exists') return (row) => rows(row).length > 0;
      return node.form === 'array' ? rows : (row) => rows(row)[0];
    }
  }
}

/** An object of the values that are defined. */
export function objectOf(properties: readonly (readonly [string, Evaluate])[]): Evaluate {
  return (row) =>
    Object.fromEntries(
      properties.map(([key, value]) => [key, value(row)] as const).filter(([, value]) => value !== undefined),
    );
}

function unary(operator: string, operand: Evaluate): Evaluate {
  if (operator === 'NOT')
    return (row) => {
      const value = operand(row);
      return typeof value === 'boolean' ? !value : undefined;
    };
  const compute = { '-': (x: number) => -x, '+': (x: number) => x, '~': (x: number) => ~x }[operator] as (
    x: number,
  ) => number;
  return (row) => {
    const value = operand(row);
    return typeof value === 'number' ? compute(value) : undefined;
  };
}

const ARITHMETIC: Readonly<Record<string, (x: number, y: number) => number>> = {
  '+': (x, y) => x + y,
  '-': (x, y) => x - y,
  '*': (x, y) => x * y,
  '/': (x, y) => x / y,
  '%': (x, y) => x % y,
  '&': (x, y) => x & y,
  '|': (x, y) => x | y,
  '^': (x, y) => x ^ y,
  '<<': (x, y) => x << y,
  '>>': (x, y) => x >> y,
  '>>>': (x, y) => x >>> y,
};

const ORDERINGS: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function binary(operator: string, left: Evaluate, right: Evaluate): Evaluate {
  const arithmetic = ARITHMETIC[operator];
  if (arithmetic !== undefined)
    return (row) => {
      const [x, y] = [left(row), right(row)];
      if (typeof x !== 'number' || typeof y !== 'number') return undefined;
      const result = arithmetic(x, y);
      return Number.isFinite(result) ? result : undefined;
    };
  const ordering = ORDERINGS[operator];
  if (ordering !== undefined)
    return (row) => {
      const [x, y] = [left(row), right(row)];
      return comparable(x, y) ? ordering(compareValues(x, y)) : undefined;
    };
  switch (operator) {
    case 'AND':
      return (row) => junction(left, right, row, false);
    case 'OR':
      return (row) => junction(left, right, row, true);
    case '=':
      return (row) => equality(left(row), right(row));
    case '!=':
      return (row) => {
        const same = equality(left(row), right(row));
        return same === undefined ? undefined : !same;
      };
    case '??':
      return (row) => {
        const value = left(row);
        return value === undefined ? right(row) : value;
      };
    case '||':
      return (row) => {
        const [x, y] = [left(row), right(row)];
        return typeof x === 'string' && typeof y === 'string' ? x + y : undefined;
      };
    default:
      throw new SqlError(`The operator '${operator}' is not supported.`);
  }
}

/** Three-valued AND (`decides` false) and OR (`decides` true): one side may decide, else both must be booleans. */
function junction(left: Evaluate, right: Evaluate, row: Row, decides: boolean): boolean | undefined {
  const x = left(row);
  if (x === decides) return decides;
  const y = right(row);
  if (y === decides) return decides;
  return x === !decides && y === !decides ? !decides : undefined;
}

const equality = (x: unknown, y: unknown): boolean | undefined =>
  x === undefined || y === undefined ? undefined : equal(x, y);

function like(value: Evaluate, pattern: Evaluate, escapeCharacter: string | undefined): Evaluate {
  let compiledFor: string | undefined;
  let expression = /^$/;
  return (row) => {
    const [subject, template] = [value(row), pattern(row)];
    if (typeof subject !== 'string' || typeof template !== 'string') return undefined;
    if (template !== compiledFor) {
      expression = likeExpression(template, escapeCharacter);
      compiledFor = template;
    }
    return expression.test(subject);
  };
}

/** `%` any text, `_` one character, `[a-z]` and `[^a-z]` one of a set. */
function likeExpression(template: string, escapeCharacter: string | undefined): RegExp {
  let source = '';
  for (let at = 0; at < template.length; at++) {
    const character = template[at] as string;
    const end = character === '[' ? template.indexOf(']', at) : -1;
    if (character === escapeCharacter) source += literal(template[++at] ?? '');
    else if (character === '%') source += '[\\s\\S]*';
    else if (character === '_') source += '[\\s\\S]';
    else if (end > at) {
      source += template.slice(at, end + 1).replaceAll('\\', '\\\\');
      at = end;
    } else source += literal(character);
  }
  return new RegExp(`^${source}$`, 'u');
}

const literal = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');

function call(name: string, args: readonly Evaluate[]): Evaluate {
  const clock = Object.hasOwn(CLOCK_FUNCTIONS, name) ? CLOCK_FUNCTIONS[name] : undefined;
  if (clock !== undefined) return ({ nowMs }) => clock(nowMs);
  const builtin = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (builtin === undefined) throw new SqlError(`'${name}' is not a recognized built-in function name.`);
  const [first, second] = args;
  if (args.length === 1) return (row) => builtin((first as Evaluate)(row));
  if (args.length === 2) return (row) => builtin((first as Evaluate)(row), (second as Evaluate)(row));
  return (row) => builtin(...args.map((arg) => arg(row)));
}

function aggregate(
  name: string,
  args: readonly Expression[],
  compile: (node: Expression) => Evaluate,
): Evaluate {
  const [argument] = args;
  if (argument === undefined || args.length > 1)
    throw new SqlError(`The ${name} function requires 1 argument.`);
  const value = compile(argument);
  const values = (row: Row): unknown[] => (row.group ?? []).map(value).filter((item) => item !== undefined);
  switch (name) {
    case 'COUNT':
      return (row) => values(row).length;
    case 'SUM':
      return (row) => sum(values(row));
    case 'AVG':
      return (row) => {
        const all = values(row);
        const total = sum(all);
        return total === undefined || all.length === 0 ? undefined : total / all.length;
      };
    default:
      return (row) => extreme(values(row), name === 'MIN' ? -1 : 1);
  }
}

const sum = (values: readonly unknown[]): number | undefined =>
  values.every((value) => typeof value === 'number')
    ? values.reduce((total: number, value) => total + (value as number), 0)
    : undefined;

/** Arrays and objects have no extreme. */
function extreme(values: readonly unknown[], direction: 1 | -1): unknown {
  if (values.length === 0 || values.some((value) => value !== null && typeof value === 'object'))
    return undefined;
  return values.reduce((best, value) => (compareValues(value, best) * direction > 0 ? value : best));
}
