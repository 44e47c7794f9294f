/** A query that cannot be understood; answered with 400 and code SC1001. */
export class SqlError extends Error {
  override readonly name = 'SqlError';
}

export interface Token {
  /** Keyword or symbol in upper case, or the class of the token. */
  readonly kind: string;
  readonly text: string;
  readonly value?: unknown;
}

const KEYWORDS = new Set(
  'SELECT DISTINCT TOP VALUE AS FROM IN JOIN WHERE GROUP BY ORDER ASC DESC OFFSET LIMIT AND OR NOT BETWEEN LIKE ESCAPE EXISTS ARRAY TRUE FALSE NULL UNDEFINED'.split(
    ' ',
  ),
);

export const isKeyword = (word: string): boolean => KEYWORDS.has(word.toUpperCase());

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<parameter>@[\p{L}_][\p{L}\p{N}_]*)|(?<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<string>"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*')|(?<symbol>\?\?|\|\||<<|>>>|>>|<=|>=|!=|<>|[-+*/%<>=&|^~?:.,()[\]{}])/uy;

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

/** @throws SqlError at the first character that starts no token */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw syntaxError(text.slice(at, at + 10));
    const token = tokenOf(groups);
    if (token !== undefined) tokens.push(token);
  }
  tokens.push({ kind: 'end', text: 'end of query' });
  return tokens;
}

export const syntaxError = (near: string): SqlError =>
  new SqlError(`Syntax error, incorrect syntax near '${near}'.`);

function tokenOf(groups: Readonly<Record<string, string | undefined>>): Token | undefined {
  const { word, parameter, number, string, symbol } = groups as Readonly<
    Record<'word' | 'parameter' | 'number' | 'string' | 'symbol', string | undefined>
  >;
  if (word !== undefined) return { kind: isKeyword(word) ? word.toUpperCase() : 'word', text: word };
  if (parameter !== undefined) return { kind: 'parameter', text: parameter };
  if (number !== undefined) return { kind: 'number', text: number, value: Number(number) };
  if (string !== undefined) return { kind: 'string', text: string, value: unquote(string) };
  return symbol === undefined ? undefined : { kind: symbol, text: symbol };
}

const unquote = (quoted: string): string =>
  quoted
    .slice(1, -1)
    .replace(/\\u([0-9a-fA-F]{4})|\\([\s\S])/g, (_, code: string | undefined, character: string) =>
      code === undefined ? (ESCAPES[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
    );
