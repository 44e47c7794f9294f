import type { FeedChange } from '../../cosmos/change-feed/types.ts';
import { valueAt } from './fields.ts';

export type FeedFilter = (change: FeedChange) => boolean;

type Literal = string | number | boolean | null;
type Predicate = FeedFilter;

const GRAMMAR =
  'expected for example type == "TEMP" && (value > 10 || !exists(note)); operators: == != < <= > >= contains startsWith in && || !';

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(\$?[A-Za-z_][\w-]*(?:\.[A-Za-z_0-9][\w-]*)*)|(&&|\|\||==|!=|<=|>=|[<>!(),]))/y;

interface Token {
  readonly kind: 'string' | 'number' | 'name' | 'symbol' | 'end';
  readonly text: string;
}

/**
 * Compiles a filter over changes; nothing is ever evaluated as code. Names are paths into the item (`complexData.moreData0`),
 * `$operation`, `$lsn` and `$key` belong to the change itself. A comparison of different types, or with a field that is not
 * there, is false (and true for `!=`). Throws a RangeError that shows the grammar.
 */
export function parseFeedFilter(text: string): FeedFilter {
  const tokens = tokenize(text);
  let at = 0;
  const peek = (): Token => tokens[at] as Token;
  const fail = (wanted: string): never => {
    const found = peek().kind === 'end' ? 'the end' : `"${peek().text}"`;
    throw new RangeError(`invalid filter: wanted ${wanted}, got ${found}; ${GRAMMAR}`);
  };
  const accept = (symbol: string): boolean => {
    if (peek().kind !== 'symbol' || peek().text !== symbol) return false;
    at += 1;
    return true;
  };
  const expectSymbol = (symbol: string): void => {
    if (!accept(symbol)) fail(`"${symbol}"`);
  };
  const literal = (): Literal => {
    const { kind, text: word } = peek();
    const isWord = kind === 'name' && (word === 'true' || word === 'false' || word === 'null');
    if (kind !== 'string' && kind !== 'number' && !isWord) return fail('a value');
    at += 1;
    if (kind === 'string') return unquote(word);
    if (kind === 'number') return Number(word);
    return word === 'null' ? null : word === 'true';
  };
  const name = (): string => {
    const { kind, text: word } = peek();
    if (kind !== 'name') return fail('a field');
    at += 1;
    return word;
  };
  const comparison = (): Predicate => {
    const field = name();
    const operand = reader(field);
    const { text: operator } = peek();
    if (operator === 'in') {
      at += 1;
      return isOneOf(operand, list());
    }
    const compare = COMPARISONS[operator];
    // A field alone is a condition of its own.
    if (compare === undefined) return (change) => operand(change) === true;
    at += 1;
    const value = literal();
    return (change) => compare(operand(change), value);
  };
  const list = (): readonly Literal[] => {
    expectSymbol('(');
    const values = [literal()];
    while (accept(',')) values.push(literal());
    expectSymbol(')');
    return values;
  };
  const exists = (): Predicate => {
    expectSymbol('(');
    const operand = reader(name());
    expectSymbol(')');
    return (change) => operand(change) !== undefined;
  };
  const unary = (): Predicate => {
    if (accept('!')) {
      const inner = unary();
      return (change) => !inner(change);
    }
    if (accept('(')) {
      const inner = either();
      expectSymbol(')');
      return inner;
    }
    if (peek().text === 'exists' && tokens[at + 1]?.text === '(') {
      at += 1;
      return exists();
    }
    return comparison();
  };
  const both = (): Predicate => {
    let left = unary();
    while (accept('&&')) {
      const [first, second] = [left, unary()];
      left = (change) => first(change) && second(change);
    }
    return left;
  };
  const either = (): Predicate => {
    let left = both();
    while (accept('||')) {
      const [first, second] = [left, both()];
      left = (change) => first(change) || second(change);
    }
    return left;
  };
  const filter = either();
  if (peek().kind !== 'end') fail('&& or ||');
  return filter;
}

const COMPARISONS: Readonly<Record<string, (left: unknown, right: Literal) => boolean>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => order(left, right) < 0,
  '<=': (left, right) => order(left, right) <= 0,
  '>': (left, right) => order(left, right) > 0,
  '>=': (left, right) => order(left, right) >= 0,
  contains: (left, right) =>
    Array.isArray(left) ? left.includes(right) : typeof left === 'string' && left.includes(String(right)),
  startsWith: (left, right) => typeof left === 'string' && left.startsWith(String(right)),
};

/** Numbers compare with numbers and texts with texts; NaN, which is in no order, for anything else. */
function order(left: unknown, right: Literal): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left !== 'string' || typeof right !== 'string') return Number.NaN;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function isOneOf(operand: (change: FeedChange) => unknown, values: readonly unknown[]): Predicate {
  const set = new Set(values);
  return (change) => set.has(operand(change));
}

function reader(field: string): (change: FeedChange) => unknown {
  switch (field) {
    case '$operation':
      return ({ operation }) => operation;
    case '$lsn':
      return ({ lsn }) => lsn;
    case '$key':
      return ({ partitionKey }) => partitionKey;
  }
  if (field.startsWith('$'))
    throw new RangeError(`invalid filter: unknown name ${field} (known: $operation, $lsn, $key)`);
  const path = field.split('.');
  return ({ item }) => valueAt(item, path);
}

function unquote(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replaceAll(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  let at = 0;
  while (text.slice(at).trim() !== '') {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null)
      throw new RangeError(`invalid filter at "${text.slice(at).trim().slice(0, 20)}"; ${GRAMMAR}`);
    const [, string, number, word, symbol = ''] = match;
    if (string !== undefined) tokens.push({ kind: 'string', text: string });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (word !== undefined) tokens.push({ kind: 'name', text: word });
    else tokens.push({ kind: 'symbol', text: symbol });
    at = pattern.lastIndex;
  }
  return [...tokens, { kind: 'end', text: '' }];
}
