import { type Clock, systemClock } from '../../util/clock.ts';
import type { CosmosConnection } from '../client.ts';
import { toPipeError } from '../errors.ts';
import { changeReader } from './change.ts';
import { decodePosition } from './position.ts';
import { type FeedSource, openFeedSource } from './sdk-feed.ts';
import type { FeedMode, FeedRange, FeedStart, RangePosition } from './types.ts';

export interface RangeLag extends FeedRange {
  /** Log sequence numbers from the oldest unread change to the head of the partition: an upper bound for items. */
  readonly items: number;
  /** Age of the oldest unread change in milliseconds; 0 when everything is read, however long ago. */
  readonly lagMs: number;
  readonly requestCharge: number;
}

export interface LagOptions {
  readonly mode?: FeedMode;
  readonly clock?: Clock;
}

/**
 * How far positions are behind, without consuming anything: one request of at most one change for each range, about 1 RU
 * plus the item. A range that was split since is reported by its parts.
 */
export async function estimateLag(
  connection: CosmosConnection,
  positions: readonly RangePosition[],
  start: FeedStart,
  options: LagOptions = {},
): Promise<readonly RangeLag[]> {
  const source = await openFeedSource(connection, options.mode ?? 'latestVersion');
  const clock = options.clock ?? systemClock;
  try {
    const lags = await Promise.all(positions.map((position) => lagOf(source, position, start, clock)));
    return lags.flat().sort((a, b) => (a.min < b.min ? -1 : 1));
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

/** {@link estimateLag} of a position text, such as a resume file holds. */
export function estimateLagOfPosition(
  connection: CosmosConnection,
  position: string,
  options: Omit<LagOptions, 'mode'> = {},
): Promise<readonly RangeLag[]> {
  const { ranges, start, mode } = decodePosition(position);
  return estimateLag(connection, ranges, start, { ...options, mode });
}

async function lagOf(
  source: FeedSource,
  position: RangePosition,
  start: FeedStart,
  clock: Clock,
): Promise<readonly RangeLag[]> {
  const page = await source.cursor(position, start, 1).next();
  if (page.positions.length > 1) {
    const children = page.positions.map(({ min, max }) => ({ ...position, min, max }));
    return (await Promise.all(children.map((child) => lagOf(source, child, start, clock)))).flat();
  }
  const { min, max } = position;
  const [first] = page.documents;
  if (first === undefined) return [{ min, max, items: 0, lagMs: 0, requestCharge: page.requestCharge }];
  const { lsn, storedMs } = changeReader(source.mode, source.partitionKeyPaths)(first);
  const items = Math.max(page.documents.length, page.headLsn - lsn + 1);
  const lagMs = Math.max(0, clock.epochMicros() / 1000 - storedMs);
  return [{ min, max, items, lagMs, requestCharge: page.requestCharge }];
}
