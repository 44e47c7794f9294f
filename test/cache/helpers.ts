import type { RedisTarget } from '../../src/config/targets.ts';
import { Secret } from '../../src/util/secret.ts';

/** The target that a local server's environment names, or another URL. */
export function targetOf(
  service: { readonly environment: Readonly<Record<string, string>> },
  url = service.environment['REDIS_URL'] as string,
): RedisTarget {
  return { url: new Secret(url) };
}
