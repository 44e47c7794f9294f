import type { Expression, Order, Query, SelectItem, Source, UnaryOperator } from './ast.ts';
import { SqlError, syntaxError, type Token, tokenize } from './lexer.ts';

/** Binary operators from weakest to strongest below comparison (dotnet SDK, sql.g4). */
const BINARY_LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>', '>>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const COMPARISONS = ['=', '!=', '<>', '<', '<=', '>', '>='];
/** Keywords that may also be names where a name is expected. */
const SOFT_KEYWORDS = new Set([
  'VALUE',
  'TOP',
  'ARRAY',
  'LIMIT',
  'OFFSET',
  'ASC',
  'DESC',
  'ORDER',
  'GROUP',
  'BY',
  'IN',
  'AS',
  'ESCAPE',
]);

/** @throws SqlError naming the token that does not fit */
export function parse(text: string): Query {
  const parser = new Parser(tokenize(text));
  const query = parser.query();
  parser.end();
  return query;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  end(): void {
    if (!this.#is('end')) throw this.#unexpected();
  }

  query(): Query {
    this.#need('SELECT');
    const distinct = this.#take('DISTINCT');
    const top = this.#take('TOP') ? this.#primary() : undefined;
    const select = this.#select();
    const sources: Source[] = [];
    if (this.#take('FROM')) {
      sources.push(this.#source());
      while (this.#take('JOIN')) sources.push(this.#source());
    }
    const where = this.#take('WHERE') ? this.expression() : undefined;
    const groupBy = this.#takeBoth('GROUP', 'BY') ? this.#list() : [];
    const orderBy = this.#takeBoth('ORDER', 'BY') ? this.#orders() : [];
    const offset = this.#take('OFFSET') ? this.#primary() : undefined;
    if (offset !== undefined) this.#need('LIMIT');
    const limit = offset === undefined ? undefined : this.#primary();
    return { type: 'query', distinct, top, select, sources, where, groupBy, orderBy, offset, limit };
  }

  expression(): Expression {
    const test = this.#coalesce();
    if (!this.#take('?')) return test;
    const yes = this.expression();
    this.#need(':');
    return { type: 'conditional', test, yes, no: this.expression() };
  }

  #select(): Query['select'] {
    if (this.#take('*')) return '*';
    if (this.#is('VALUE') && !['.', ',', 'FROM', 'end'].includes(this.#peek(1).kind)) {
      this.#at++;
      return this.expression();
    }
    const items: SelectItem[] = [];
    do {
      const expression = this.expression();
      items.push({ expression, alias: this.#alias() });
    } while (this.#take(','));
    return items;
  }

  #source(): Source {
    if (this.#is('(')) {
      const from = this.#parenthesizedQuery();
      return { alias: this.#alias() ?? '', from, iterates: false };
    }
    const first = this.#name();
    if (this.#take('IN')) {
      const from = this.#is('(') ? this.#parenthesizedQuery() : this.#steps(this.#primary());
      return { alias: first, from, iterates: true };
    }
    const from = this.#steps({ type: 'name', name: first });
    const last =
      from.type === 'member' && from.property.type === 'literal' ? String(from.property.value) : first;
    return { alias: this.#alias() ?? last, from, iterates: false };
  }

  #alias(): string | undefined {
    if (this.#take('AS')) return this.#name();
    return this.#is('word') ? this.#name() : undefined;
  }

  #orders(): Order[] {
    const orders: Order[] = [];
    do {
      const expression = this.expression();
      const descending = this.#take('DESC');
      if (!descending) this.#take('ASC');
      orders.push({ expression, descending });
    } while (this.#take(','));
    return orders;
  }

  #coalesce(): Expression {
    return this.#leftAssociative(['??'], () =>
      this.#leftAssociative(['OR'], () => this.#leftAssociative(['AND'], () => this.#not())),
    );
  }

  #not(): Expression {
    if (!this.#take('NOT')) return this.#comparison();
    return { type: 'unary', operator: 'NOT', operand: this.#not() };
  }

  #comparison(): Expression {
    let left = this.#binary(0);
    for (;;) {
      const negated = this.#is('NOT') && ['IN', 'BETWEEN', 'LIKE'].includes(this.#peek(1).kind);
      if (negated) this.#at++;
      const next = this.#comparisonTail(left);
      if (next === undefined) return left;
      left = negated ? { type: 'unary', operator: 'NOT', operand: next } : next;
    }
  }

  #comparisonTail(left: Expression): Expression | undefined {
    if (this.#take('IN')) {
      this.#need('(');
      const list = this.#list();
      this.#need(')');
      return { type: 'in', value: left, list };
    }
    if (this.#take('BETWEEN')) {
      const low = this.#binary(0);
      this.#need('AND');
      return { type: 'between', value: left, low, high: this.#binary(0) };
    }
    if (this.#take('LIKE')) {
      const pattern = this.#binary(0);
      if (!this.#take('ESCAPE')) return { type: 'like', value: left, pattern };
      return { type: 'like', value: left, pattern, escape: String(this.#need('string').value) };
    }
    const operator = this.#takeAny(COMPARISONS);
    if (operator === undefined) return undefined;
    return { type: 'binary', operator: operator === '<>' ? '!=' : operator, left, right: this.#binary(0) };
  }

  #binary(level: number): Expression {
    const operators = BINARY_LEVELS[level];
    if (operators === undefined) return this.#unary();
    return this.#leftAssociative(operators, () => this.#binary(level + 1));
  }

  #leftAssociative(operators: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const operator = this.#takeAny(operators);
      if (operator === undefined) return left;
      left = { type: 'binary', operator, left, right: operand() };
    }
  }

  #unary(): Expression {
    const operator = this.#takeAny(['-', '+', '~', 'NOT']) as UnaryOperator | undefined;
    if (operator === undefined) return this.#steps(this.#primary());
    return { type: 'unary', operator, operand: this.#unary() };
  }

  /** `.name` and `[expression]` behind what came before. */
  #steps(start: Expression): Expression {
    let object = start;
    for (;;) {
      if (this.#take('.')) {
        const property = this.#name();
        if (object.type === 'name' && /^udf$/i.test(object.name) && this.#is('('))
          throw new SqlError(`The user-defined function '${property}' is not emulated by the local stack.`);
        object = { type: 'member', object, property: { type: 'literal', value: property } };
      } else if (this.#take('[')) {
        object = { type: 'member', object, property: this.expression() };
        this.#need(']');
      } else return object;
    }
  }

  #primary(): Expression {
    const token = this.#peek(0);
    switch (token.kind) {
      case 'number':
      case 'string':
        this.#at++;
        return { type: 'literal', value: token.value };
      case 'TRUE':
      case 'FALSE':
        this.#at++;
        return { type: 'literal', value: token.kind === 'TRUE' };
      case 'NULL':
      case 'UNDEFINED':
        this.#at++;
        return { type: 'literal', value: token.kind === 'NULL' ? null : undefined };
      case 'parameter':
        this.#at++;
        return { type: 'parameter', name: token.text };
      case '(':
        return this.#parenthesized();
      case '[':
        this.#at++;
        return { type: 'array', items: this.#listUntil(']') };
      case '{':
        this.#at++;
        return { type: 'object', properties: this.#properties() };
      case 'EXISTS':
        this.#at++;
        return { type: 'subquery', form: 'exists', query: this.#parenthesizedQuery() };
      case 'ARRAY':
        if (this.#peek(1).kind !== '(') break;
        this.#at++;
        return { type: 'subquery', form: 'array', query: this.#parenthesizedQuery() };
    }
    const name = this.#name();
    if (!this.#take('(')) return { type: 'name', name };
    if (this.#take('*')) {
      this.#need(')');
      return { type: 'call', name: name.toUpperCase(), args: [{ type: 'literal', value: 1 }] };
    }
    return { type: 'call', name: name.toUpperCase(), args: this.#listUntil(')') };
  }

  #parenthesized(): Expression {
    if (this.#peek(1).kind === 'SELECT')
      return { type: 'subquery', form: 'scalar', query: this.#parenthesizedQuery() };
    this.#need('(');
    const inner = this.expression();
    this.#need(')');
    return inner;
  }

  #parenthesizedQuery(): Query {
    this.#need('(');
    const query = this.query();
    this.#need(')');
    return query;
  }

  #properties(): [string, Expression][] {
    const properties: [string, Expression][] = [];
    if (this.#take('}')) return properties;
    do {
      const key = this.#is('string') ? String(this.#need('string').value) : this.#name();
      this.#need(':');
      properties.push([key, this.expression()]);
    } while (this.#take(','));
    this.#need('}');
    return properties;
  }

  #list(): Expression[] {
    const list: Expression[] = [];
    do list.push(this.expression());
    while (this.#take(','));
    return list;
  }

  #listUntil(close: string): Expression[] {
    if (this.#take(close)) return [];
    const list = this.#list();
    this.#need(close);
    return list;
  }

  #name(): string {
    const token = this.#peek(0);
    if (token.kind !== 'word' && !SOFT_KEYWORDS.has(token.kind)) throw this.#unexpected();
    this.#at++;
    return token.text;
  }

  #peek(ahead: number): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  #is(kind: string): boolean {
    return this.#peek(0).kind === kind;
  }

  #take(kind: string): boolean {
    if (!this.#is(kind)) return false;
    this.#at++;
    return true;
  }

  #takeBoth(first: string, second: string): boolean {
    if (!this.#take(first)) return false;
    this.#need(second);
    return true;
  }

  #takeAny(kinds: readonly string[]): string | undefined {
    const { kind } = this.#peek(0);
    if (!kinds.includes(kind)) return undefined;
    this.#at++;
    return kind;
  }

  #need(kind: string): Token {
    const token = this.#peek(0);
    if (token.kind !== kind) throw this.#unexpected();
    this.#at++;
    return token;
  }

  #unexpected(): Error {
    return syntaxError(this.#peek(0).text);
  }
}
