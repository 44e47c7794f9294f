import type { FeedStart } from '../../cosmos/change-feed/types.ts';
import { parseDurationMs } from '../../util/duration.ts';

/** `beginning`, `now`, `-10m` or a time; `earliest` and `latest` as for Event Hubs. Throws a RangeError with the forms. */
export function parseFeedStart(text: string, nowMs: number): FeedStart {
  if (text === 'beginning' || text === 'earliest') return 'beginning';
  if (text === 'now' || text === 'latest') return 'now';
  if (text.startsWith('-')) return { sinceMs: nowMs - parseDurationMs(text.slice(1)) };
  const sinceMs = Date.parse(text);
  if (Number.isNaN(sinceMs) || !/^\d{4}-/.test(text))
    throw new RangeError(
      `invalid start "${text}", expected beginning, now, -10m, or a time such as 2026-11-22T10:00Z`,
    );
  return { sinceMs };
}
