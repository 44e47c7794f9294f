import { type Clock, systemClock } from '../util/clock.ts';
import { PipeError } from '../util/errors.ts';

const SCOPE = 'https://redis.azure.com/.default';
const MIN_HEADROOM_MS = 3 * 60_000;
const RETRY_MS = 10_000;

export interface EntraLogin {
  /** Object id of the signed-in principal: the user name that Azure's Redis expects. */
  readonly user: string;
  readonly token: string;
  readonly expiresMs: number;
}

/** Hosts of Azure Cache for Redis and Azure Managed Redis, where a URL without a password means Microsoft Entra. */
export function isAzureRedisHost(host: string): boolean {
  return /\.(?:redis\.cache\.windows\.net|redis\.azure\.net)$/i.test(host);
}

/** A token for Azure's Redis from `DefaultAzureCredential`. Throws E_AUTH. */
export async function entraLogin(): Promise<EntraLogin> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  try {
    const { token, expiresOnTimestamp } = await new DefaultAzureCredential().getToken(SCOPE);
    return { user: objectIdOf(token), token, expiresMs: expiresOnTimestamp };
  } catch (cause) {
    throw new PipeError('E_AUTH', 'cannot sign in to Redis with Microsoft Entra', {
      hint: 'run `az login`, or put a password into REDIS_URL',
      cause,
    });
  }
}

/** The `oid` claim. The token is not verified: the server does that. */
export function objectIdOf(token: string): string {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  const claims = JSON.parse(payload) as { readonly oid?: string };
  if (claims.oid === undefined) throw new Error('the token has no oid claim');
  return claims.oid;
}

/**
 * Keeps connections signed in: ioredis has no credential provider (redis/ioredis#2022), so before each expiry a new token is
 * given to `apply`, which authenticates the live connections and changes the options that reconnects use.
 */
export function keepSignedIn(options: {
  readonly first: EntraLogin;
  readonly login: () => Promise<EntraLogin>;
  readonly apply: (login: EntraLogin) => Promise<void>;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}): Promise<void> {
  const { login, apply, signal, clock = systemClock } = options;
  const run = async (): Promise<void> => {
    let { expiresMs } = options.first;
    while (!signal.aborted) {
      const leftMs = expiresMs - clock.epochMicros() / 1000;
      await clock.sleep(Math.max(RETRY_MS, leftMs - Math.max(MIN_HEADROOM_MS, leftMs * 0.2)), signal);
      try {
        const fresh = await login();
        await apply(fresh);
        expiresMs = fresh.expiresMs;
      } catch {
        // The old token lives on for minutes; the next round tries again.
      }
    }
  };
  return run().catch(() => undefined);
}
