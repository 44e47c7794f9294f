import type { Clock } from '../../util/clock.ts';
import { formatDurationMs } from '../../util/duration.ts';

/** Azure Cosmos DB and Azure Storage refuse a signature whose date is further off than this. */
const REFUSED_MS = 15 * 60_000;
/** SAS tokens and TTLs of a minute begin to misbehave; the header itself is exact to a second only. */
const NOTICED_MS = 30_000;

/** How far our clock is ahead of the service's, from the `Date` header of any answer; `undefined` when it has none. */
export async function clockSkewMs(
  url: string,
  clock: Pick<Clock, 'epochMicros'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const before = clock.epochMicros() / 1000;
  const response = await fetch(url, { method: 'HEAD', signal });
  const after = clock.epochMicros() / 1000;
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return undefined;
  // The header is cut to whole seconds, so that on average the service is half a second further.
  return (before + after) / 2 - (date + 500);
}

/** What a skew means, see {@link clockSkewMs}. */
export function skewCheck(skewMs: number | undefined): {
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly text: string;
  readonly hint?: string;
} {
  if (skewMs === undefined) return { status: 'skipped', text: 'no service told the time' };
  const off = Math.abs(skewMs);
  if (off <= NOTICED_MS)
    return { status: 'ok', text: off < 1_000 ? 'within a second of the service' : `${ahead(skewMs)}` };
  return {
    status: off > REFUSED_MS ? 'problem' : 'warning',
    text: `${ahead(skewMs)}${off > REFUSED_MS ? ': signatures are refused beyond 15m00s' : ''}`,
    hint: 'synchronise the clock of this machine (timedatectl set-ntp true)',
  };
}

function ahead(skewMs: number): string {
  return `${formatDurationMs(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} the service`;
}
