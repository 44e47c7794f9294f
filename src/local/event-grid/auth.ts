import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { refuse } from './errors.ts';

/**
 * Accepts the key itself, a shared access signature over it, or the namespaces' `SharedAccessKey` form.
 *
 * The signature is `base64(HMAC-SHA256(base64decode(key), "r=...&e=..."))` over the text as it was sent, still encoded;
 * `e` is a date in US form, UTC; `r` the endpoint that it is for.
 *
 * @throws EventGridError 401
 */
export function authorize(
  { headers, url = '/' }: Pick<IncomingMessage, 'headers' | 'url'>,
  key: string,
  nowMs: number,
): void {
  const sent = headers['aeg-sas-key'];
  if (typeof sent === 'string') {
    if (!same(sent, key)) throw refuse.key();
    return;
  }
  const authorization = headers.authorization ?? '';
  if (authorization.startsWith('SharedAccessKey ')) {
    if (!same(authorization.slice('SharedAccessKey '.length), key)) throw refuse.key();
    return;
  }
  const header = headers['aeg-sas-token'];
  const token = typeof header === 'string' ? header : /^SharedAccessSignature (.*)$/.exec(authorization)?.[1];
  if (token === undefined) throw refuse.noCredential();
  const [, signed, signature] = /^(r=.*&e=.*)&s=(.*)$/.exec(token) ?? [];
  if (signed === undefined || signature === undefined) throw refuse.signature();
  const expected = createHmac('sha256', Buffer.from(key, 'base64')).update(signed).digest('base64');
  const fields = new URLSearchParams(token);
  const expires = Date.parse(`${fields.get('e')} UTC`);
  const genuine = same(decoded(signature), expected) && expires > nowMs;
  if (!genuine || pathOf(fields.get('r') ?? '') !== pathOf(url)) throw refuse.signature();
}

function pathOf(url: string): string {
  return URL.canParse(url, 'http://localhost')
    ? new URL(url, 'http://localhost').pathname.toLowerCase().replace(/\/$/, '')
    : url;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
