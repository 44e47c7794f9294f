import type { FeedChange, FeedPage, FeedRange } from '../../cosmos/change-feed/types.ts';
import { valueAt } from './fields.ts';

/** Turns a change of a page into a line of text without its line end. */
export type FeedFormat = (change: FeedChange, page: FeedPage) => string;

const TOKENS = '%r range, %l lsn, %k partition key, %i id, %o operation, %t time, %v item, %{path} field, %%';

/**
 * Token format in the manner of kcat: `%r %l %k/%i %v`, with \n, \t and \\ as escapes. Throws a RangeError that lists the
 * tokens.
 */
export function parseFeedFormat(text: string): FeedFormat {
  if (text === '') throw new RangeError('expected tokens such as "%k/%i %o", got ""');
  const parts = [...text.matchAll(/%\{([^}]+)\}|%(.?)|\\(.)|[^%\\]+|\\/g)].map(
    ([whole, path, token, escaped]): FeedFormat => {
      if (path !== undefined) {
        const steps = path.split('.');
        return ({ item }) => textOf(valueAt(item, steps));
      }
      if (token !== undefined) return tokenFormat(token);
      const literal = escaped === undefined ? whole : (ESCAPES[escaped] ?? escaped);
      return () => literal;
    },
  );
  return (change, page) => parts.map((part) => part(change, page)).join('');
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' };

function tokenFormat(token: string): FeedFormat {
  switch (token) {
    case 'r':
      return (_, { feedRange }) => rangeLabel(feedRange);
    case 'l':
      return ({ lsn }) => String(lsn);
    case 'k':
      return ({ partitionKey }) => textOf(partitionKey);
    case 'i':
      return ({ id }) => id;
    case 'o':
      return ({ operation }) => operation;
    case 't':
      return ({ storedMs }) => new Date(storedMs).toISOString();
    case 'v':
      return ({ item }) => JSON.stringify(item);
    case '%':
      return () => '%';
    default:
      throw new RangeError(`invalid format token "%${token}" (known: ${TOKENS})`);
  }
}

/** The machine form of a change, one line of NDJSON. */
export function feedDocument(
  change: FeedChange,
  { feedRange }: Pick<FeedPage, 'feedRange'>,
  item: Readonly<Record<string, unknown>> = change.item,
) {
  const { lsn, operation, partitionKey, id, storedMs, previous } = change;
  return {
    feedRange: rangeLabel(feedRange),
    lsn,
    operation,
    partitionKey,
    id,
    ts: new Date(storedMs).toISOString(),
    item,
    ...(previous === undefined ? {} : { previous }),
  };
}

/** `10-20` for the range from 1000... to 2000...: what tells ranges apart, at most six digits of each bound. */
export function rangeLabel({ min, max }: FeedRange): string {
  return `${short(min)}-${short(max)}`;
}

function short(bound: string): string {
  return bound.replace(/0+$/, '').slice(0, 6).padEnd(2, '0');
}

export function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).join('/');
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}
