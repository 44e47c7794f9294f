/**
 * Redis glob patterns: `*`, `?`, `[abc]`, `[^a-c]` and `\` to take the next character literally.
 * `undefined` means that everything matches.
 */
export function globMatcher(pattern: string): ((text: string) => boolean) | undefined {
  if (pattern === '*') return undefined;
  const special = pattern.search(/[*?[\]\\]/);
  if (special < 0) return (text) => text === pattern;
  if (special === pattern.length - 1 && pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return (text) => text.startsWith(prefix);
  }
  const expression = new RegExp(`^${translate(pattern)}$`, 's');
  return (text) => expression.test(text);
}

function translate(pattern: string): string {
  let out = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? '';
    if (character === '*') {
      // Several stars match the same as one, and backtrack exponentially.
      while (pattern[at + 1] === '*') at++;
      out += '.*';
    } else if (character === '?') out += '.';
    else if (character === '\\' && at + 1 < pattern.length) out += literal(pattern[++at] ?? '');
    else if (character === '[') {
      const [set, end] = characterSet(pattern, at + 1);
      out += set;
      at = end;
    } else out += literal(character);
  }
  return out;
}

/** The class that starts after `[`, and the index of its closing bracket (or of the end: an open class is closed there). */
function characterSet(pattern: string, start: number): [expression: string, end: number] {
  let at = start;
  const negated = pattern[at] === '^';
  if (negated) at++;
  let body = '';
  for (; at < pattern.length && pattern[at] !== ']'; at++) {
    if (pattern[at] === '\\' && at + 1 < pattern.length) body += classLiteral(pattern[++at] ?? '');
    else if (pattern[at + 1] === '-' && pattern[at + 2] !== undefined && pattern[at + 2] !== ']') {
      const [from, to] = [pattern[at] ?? '', pattern[at + 2] ?? ''];
      body +=
        from < to ? `${classLiteral(from)}-${classLiteral(to)}` : `${classLiteral(to)}-${classLiteral(from)}`;
      at += 2;
    } else body += classLiteral(pattern[at] ?? '');
  }
  if (body === '') return [negated ? '.' : '(?!)', at];
  return [`[${negated ? '^' : ''}${body}]`, at];
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
const classLiteral = (text: string): string => text.replace(/[\\\]^-]/g, '\\$&');
