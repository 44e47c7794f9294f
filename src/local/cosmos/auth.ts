import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { expiredAuthorization, missingAuthorization, unauthorized } from './errors.ts';

/** The key that Microsoft documents for every Cosmos DB emulator; it protects nothing and is no secret. */
export const EMULATOR_KEY =
  'C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==';

const MAX_SKEW_MS = 15 * 60_000;

export interface SignedRequest {
  readonly method: string;
  /** Decoded path segments. */
  readonly path: readonly string[];
  readonly headers: IncomingHttpHeaders;
}

/**
 * Checks the `authorization` header against the account key. Tokens of Microsoft Entra ID are accepted as they are: there
 * is nothing here to verify them against.
 *
 * @throws WireError 401 or 403.
 */
export function createAuthorizer(key: string, now: () => number): (request: SignedRequest) => void {
  const secret = Buffer.from(key, 'base64');
  return ({ method, path, headers }) => {
    const header = headers.authorization;
    if (header === undefined) throw missingAuthorization();
    const token = decodeURIComponent(header);
    if (token.startsWith('type=aad&')) return;
    const signature = /^type=master&ver=1\.0&sig=(.+)$/.exec(token)?.[1];
    const date = headers['x-ms-date'];
    const dateText = typeof date === 'string' ? date : (headers.date ?? '');
    const [type, ...links] = resourceOf(path);
    const payloads = links.map(
      (link) => `${method.toLowerCase()}\n${type}\n${link}\n${dateText.toLowerCase()}\n\n`,
    );
    const given = Buffer.from(signature ?? '', 'base64');
    const valid = payloads.some((payload) => {
      const expected = createHmac('sha256', secret).update(payload).digest();
      return expected.length === given.length && timingSafeEqual(expected, given);
    });
    if (!valid) throw unauthorized(payloads[0] as string);
    const skewMs = Math.abs(now() - Date.parse(dateText));
    if (!(skewMs <= MAX_SKEW_MS)) throw expiredAuthorization(dateText, new Date(now()).toUTCString());
  };
}

/**
 * Resource type and the links it may be signed with: the name-based link as it is, and for clients that address by rid
 * (Java, .NET, Python v3) the last rid in lower case.
 */
function resourceOf(path: readonly string[]): readonly [type: string, ...links: string[]] {
  if (path.length === 0) return ['', ''];
  const isFeed = path.length % 2 === 1;
  if (path[0] === 'offers') return ['offers', isFeed ? '' : (path[1] as string).toLowerCase()];
  if (path[4] === 'operations') return ['colls', path.slice(0, 4).join('/')];
  const link = isFeed ? path.slice(0, -1) : path;
  const type = (isFeed ? path.at(-1) : path.at(-2)) as string;
  return [type.toLowerCase(), link.join('/'), (link.at(-1) ?? '').toLowerCase()];
}
