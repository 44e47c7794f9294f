import type {
  ChangeFeedIteratorResponse,
  ChangeFeedStartFrom,
  FeedRange as SdkFeedRange,
} from '@azure/cosmos';
import { PipeError } from '../../util/errors.ts';
import type { CosmosConnection } from '../client.ts';
import { partitionKeyRanges, readContainer } from '../containers.ts';
import { toPipeError } from '../errors.ts';
import { feedReplyText } from '../http-client.ts';
import { documentTexts } from './document-texts.ts';
import type { FeedMode, FeedRange, FeedStart, RangePosition } from './types.ts';

/** One reply, before the documents are interpreted. */
export interface RawPage {
  readonly documents: readonly Readonly<Record<string, unknown>>[];
  /** JSON of each document as the service wrote it, where that was asked for and can be had. */
  readonly texts?: readonly string[] | undefined;
  readonly rangeId: string;
  readonly requestCharge: number;
  /** Newest log sequence number of the partition, from the session token; 0 when the reply has none. */
  readonly headLsn: number;
  /** The range that the documents belong to, and where it stands after them. */
  readonly served: RangePosition;
  /** Every range that the asked one consists of by now: more than one after a split. */
  readonly positions: readonly RangePosition[];
}

export interface FeedCursor {
  next(): Promise<RawPage>;
}

/** The change feed of one container as the SDK gives it. */
export interface FeedSource {
  readonly rid: string;
  readonly partitionKeyPaths: readonly string[];
  readonly mode: FeedMode;
  /** The feed ranges of today, one per partition. */
  ranges(): Promise<readonly FeedRange[]>;
  cursor(position: RangePosition, start: FeedStart, pageSize: number): FeedCursor;
}

/** Thrown by a cursor for a reply that the SDK passes on without having handled it; the cursor is spent. */
class UnexpectedFeedStatus extends Error {
  override readonly name = 'UnexpectedFeedStatus';
  readonly code: number;
  readonly substatus: number;

  constructor(statusCode: number, substatus: number) {
    super(`the change feed answered ${statusCode}/${substatus}`);
    this.code = statusCode;
    this.substatus = substatus;
  }
}

/**
 * Public API of the SDK, with three things that it does not declare and test/cosmos/change-feed/sdk-feed.test.ts guards: the
 * JSON of a continuation token (`{rid, Continuation: [{minInclusive, maxExclusive, continuationToken}]}`), that the objects of
 * `getFeedRanges` can be constructed for any interval, and that a reply has the headers object of the HTTP client, by which
 * `feedReplyText` finds its body. With `texts`, pages in latest-version mode have the text of their documents.
 */
export async function openFeedSource(
  connection: CosmosConnection,
  mode: FeedMode,
  { texts = false } = {},
): Promise<FeedSource> {
  const sdk = await import('@azure/cosmos');
  const { rid, partitionKey } = await readContainer(connection);
  const SdkRange = await feedRangeConstructor(connection);
  const startFrom = (position: RangePosition, start: FeedStart): ChangeFeedStartFrom => {
    const { min, max, continuation } = position;
    if (continuation !== undefined)
      return sdk.ChangeFeedStartFrom.Continuation(
        JSON.stringify({
          rid,
          Continuation: [{ minInclusive: min, maxExclusive: max, continuationToken: continuation }],
        }),
      );
    const range = new SdkRange(min, max);
    if (start === 'now') return sdk.ChangeFeedStartFrom.Now(range);
    if (start === 'beginning') return sdk.ChangeFeedStartFrom.Beginning(range);
    return sdk.ChangeFeedStartFrom.Time(new Date(start.sinceMs), range);
  };
  return {
    rid,
    partitionKeyPaths: partitionKey.paths,
    mode,
    ranges: async () =>
      (await partitionKeyRanges(connection)).map(({ minInclusive, maxExclusive }) => ({
        min: minInclusive,
        max: maxExclusive,
      })),
    cursor(position, start, pageSize) {
      const iterator = connection.container.items.getChangeFeedIterator({
        changeFeedStartFrom: startFrom(position, start),
        maxItemCount: pageSize,
        ...(mode === 'allVersions'
          ? { changeFeedMode: sdk.ChangeFeedMode.AllVersionsAndDeletes }
          : { changeFeedMode: sdk.ChangeFeedMode.LatestVersion }),
      });
      return {
        async next() {
          const reply = (await iterator.readNext()) as unknown as Reply;
          const page = rawPage(reply);
          const wanted = texts && mode === 'latestVersion' && page.documents.length > 0;
          return wanted ? { ...page, texts: textsOf(reply, page) } : page;
        },
      };
    },
  };
}

type Reply = ChangeFeedIteratorResponse<readonly Readonly<Record<string, unknown>>[] | undefined>;

function rawPage(reply: Reply): RawPage {
  const { statusCode, subStatusCode = 0, headers } = reply;
  // The SDK handles 410/1002 and 410/1007; any other 410 it returns like a page, having forgotten its position.
  if (statusCode !== 200 && statusCode !== 304) throw new UnexpectedFeedStatus(statusCode, subStatusCode);
  const { Continuation } = JSON.parse(reply.continuationToken) as {
    Continuation: readonly { minInclusive: string; maxExclusive: string; continuationToken?: string }[];
  };
  const positions = Continuation.map(({ minInclusive: min, maxExclusive: max, continuationToken }) => ({
    min,
    max,
    ...(continuationToken ? { continuation: continuationToken } : {}),
  }));
  return {
    documents: statusCode === 200 ? (reply.result ?? []) : [],
    rangeId: String(headers['x-ms-documentdb-partitionkeyrangeid'] ?? '*'),
    // reply.requestCharge is cut to a whole number.
    requestCharge: Number(headers['x-ms-request-charge'] ?? 0),
    headLsn: sessionLsn(String(headers['x-ms-session-token'] ?? '')),
    // The SDK moves the range it has just read to the end of its queue.
    served: positions.at(-1) as RangePosition,
    positions,
  };
}

function textsOf({ headers }: Reply, { documents }: RawPage): readonly string[] | undefined {
  const body = feedReplyText(headers);
  return body === undefined ? undefined : documentTexts(body, documents);
}

/** `0:-1#27`, `0:1#27#1=5` or `0:27`: the global log sequence number is 27. */
export function sessionLsn(token: string): number {
  const segments = (token.split(',')[0] ?? '').replace(/^[^:]*:/, '').split('#');
  return Number(segments[1] ?? segments[0]) || 0;
}

/** Log sequence number of a continuation (`"63"`), 0 for anything else. */
export function continuationLsn(continuation: string | undefined): number {
  return Number((continuation ?? '').replaceAll('"', '')) || 0;
}

type FeedRangeConstructor = new (min: string, max: string) => SdkFeedRange;

async function feedRangeConstructor(connection: CosmosConnection): Promise<FeedRangeConstructor> {
  try {
    const [range] = await connection.container.getFeedRanges();
    if (range === undefined) throw new PipeError('E_INTERNAL', 'the container has no feed ranges');
    return range.constructor as FeedRangeConstructor;
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}
