import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { refuse } from './errors.ts';

/**
 * Accepts the key itself, a shared access signature over it, or the namespaces' `SharedAccessKey` form.
 *
 * The signature is `base64(HMAC-SHA256(base64decode(key), "r=...&e=..."))` over the text as it was sent, still encoded;
 * `e` is a date in US form, UTC.
 *
 * @throws EventGridError 401
 */
export function authorize(headers: IncomingHttpHeaders, key: string, nowMs: number): void {
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
  const expires = Date.parse(`${new URLSearchParams(token).get('e')} UTC`);
  if (!same(decoded(signature), expected) || !(expires > nowMs)) throw refuse.signature();
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
