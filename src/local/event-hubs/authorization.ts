import { createHmac, timingSafeEqual } from 'node:crypto';

export interface SharedAccessPolicy {
  readonly keyName: string;
  readonly key: string;
}

export type TokenVerdict =
  | { readonly ok: true; readonly expiresAtMs: number }
  | { readonly ok: false; readonly reason: string };

/**
 * Verifies `SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>&skn=<key name>`: the signature is
 * HMAC-SHA256 of the encoded resource, a newline and the expiry (seconds since the Unix epoch), in base64.
 */
export function verifySasToken(token: string, policy: SharedAccessPolicy, nowMs: number): TokenVerdict {
  const [scheme, parameters = ''] = token.split(' ', 2);
  if (scheme !== 'SharedAccessSignature')
    return { ok: false, reason: 'the token is not a SharedAccessSignature' };
  const values = new Map(
    parameters.split('&').map((pair): [string, string] => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
  const resource = values.get('sr');
  const expiry = values.get('se');
  const signature = values.get('sig');
  if (resource === undefined || expiry === undefined || signature === undefined)
    return { ok: false, reason: 'the token lacks sr, se or sig' };
  if (decode(values.get('skn')) !== policy.keyName) return { ok: false, reason: 'unknown key name' };
  const expected = createHmac('sha256', policy.key).update(`${resource}\n${expiry}`).digest();
  const actual = Buffer.from(decode(signature), 'base64');
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected))
    return { ok: false, reason: 'the signature does not match' };
  const expiresAtMs = Number(expiry) * 1000;
  if (!(expiresAtMs > nowMs)) return { ok: false, reason: 'the token is expired' };
  return { ok: true, expiresAtMs };
}

function decode(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return '';
  }
}

/** Path of an entity or audience, lower-cased: `sb://host:5672/hub/Partitions/0` gives `hub/partitions/0`. */
function entityPath(address: string): string {
  return address
    .replace(/^[a-z]+:\/\/[^/]*/i, '')
    .replace(/^\/+|\/+$/g, '')
    .toLowerCase();
}

/** The claims that one connection has put. */
export class Claims {
  readonly #expiresAtMs = new Map<string, number>();

  put(audience: string, expiresAtMs: number): void {
    this.#expiresAtMs.set(entityPath(audience), expiresAtMs);
  }

  /** True when a claim for the entity, or for something that contains it, is valid. */
  cover(address: string, nowMs: number): boolean {
    const path = entityPath(address);
    for (const [audience, expiresAtMs] of this.#expiresAtMs) {
      if (expiresAtMs <= nowMs) this.#expiresAtMs.delete(audience);
      else if (audience === '' || path === audience || path.startsWith(`${audience}/`)) return true;
    }
    return false;
  }

  /** True when any claim is valid. */
  some(nowMs: number): boolean {
    return [...this.#expiresAtMs.values()].some((expiresAtMs) => expiresAtMs > nowMs);
  }
}
