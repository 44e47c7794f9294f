const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const MAX_DAYS = 36_500;
const MAX_PER_SECOND = 1e9;

/** Parses `30s`, `1m30s`, `250ms`, `7d` into milliseconds. Throws a RangeError that shows the expected form. */
export function parseDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new RangeError(`invalid duration "${text}", expected for example 30s, 5m or 1m30s`);
  }
  const ms = parts.reduce((sum, part) => sum + Number(part[1]) * UNIT_MS[part[2] as keyof typeof UNIT_MS], 0);
  if (ms > MAX_DAYS * UNIT_MS.d)
    throw new RangeError(`invalid duration "${text}", expected at most ${MAX_DAYS}d`);
  return ms;
}

/** Parses a duration of more than nothing. Throws a RangeError for `0s` too. */
export function parsePositiveDurationMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms > 0) return ms;
  throw new RangeError(`expected more than 0s, got "${text}"`);
}

/** Parses `500/s`, `30000/m`, or a bare number, into events per second. */
export function parseRatePerSecond(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.replaceAll(/[,_]/g, ''));
  if (match === null) throw new RangeError(`invalid rate "${text}", expected for example 500/s or 30000/m`);
  const perSecond = (Number(match[1]) * 1_000) / UNIT_MS[(match[2] ?? 's') as 's' | 'm' | 'h'];
  if (perSecond > MAX_PER_SECOND)
    throw new RangeError(`invalid rate "${text}", expected at most ${MAX_PER_SECOND}/s`);
  return perSecond;
}

/** Parses an arrival rate of more than nothing. Throws a RangeError for `0/s` too. */
export function parsePositiveRatePerSecond(text: string): number {
  const perSecond = parseRatePerSecond(text);
  if (perSecond > 0) return perSecond;
  throw new RangeError(`expected more than 0/s, got "${text}"`);
}

/** `950us`, `2.1ms`, `47ms`, `1.3s`, `2m05s`: never more digits than are true. */
export function formatDurationMs(ms: number): string {
  if (ms < 0.9995) return `${Math.round(ms * 1000)}us`;
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}
