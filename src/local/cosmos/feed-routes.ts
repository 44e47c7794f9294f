import type { ContainerEntry } from './catalog.ts';
import { readChangeFeed } from './change-feed.ts';
import { withComputedProperties } from './computed-properties.ts';
import type { Container } from './container.ts';
import { badRequest, crossPartitionQuery, WireError } from './errors.ts';
import type { ItemContext } from './item-routes.ts';
import { parseQuery, type QueryBody } from './metadata-routes.ts';
import { parseVersion } from './operations.ts';
import { bodyBytes, type PhysicalPartition, type Revision } from './partition.ts';
import { isIndexed, narrow, queryRangesOf, revisionsIn, type Scope, scopeOf } from './query-scope.ts';
import { queryCharge, readCharge, roundCharge } from './request-charge.ts';
import { type CompiledQuery, compile } from './sql/index.ts';
import {
  feed,
  header,
  isTrue,
  itemFeed,
  itemHeaders,
  json,
  pageSize,
  reply,
  type WireReply,
  type WireRequest,
} from './wire.ts';

const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** `GET /docs`: all items, or with `A-IM` the change feed. */
export function readFeedRoute(context: ItemContext, entry: ContainerEntry, request: WireRequest): WireReply {
  const mode = header(request, 'a-im');
  if (mode !== undefined) return changeFeedRoute(context, entry, request, /full-fidelity/i.test(mode));
  const scope = scopeOf(entry.container, request, context.strictSplit);
  admit(context, scope.ranges);
  return scanPage(entry, request, scope, undefined);
}

function changeFeedRoute(
  context: ItemContext,
  entry: ContainerEntry,
  request: WireRequest,
  fullFidelity: boolean,
): WireReply {
  const { container } = entry;
  const scope = scopeOf(entry.container, request, true);
  const [range] = scope.ranges;
  if (range === undefined || scope.ranges.length > 1)
    throw badRequest('The change feed is read per partition key range or partition key', 1004);
  admit(context, scope.ranges);
  const since = Date.parse(header(request, 'if-modified-since') ?? '') / 1000;
  const page = readChangeFeed({
    container,
    range,
    fullFidelity,
    continuation: header(request, 'if-none-match'),
    since: Number.isNaN(since) ? 0 : since,
    maxItems: pageSize(request),
    includes: scope.includes,
  });
  range.budget.charge(page.requestCharge);
  const headers = { ...itemHeaders(entry, range, page.requestCharge), etag: `"${page.lsn}"` };
  if (page.documents.length === 0) return reply(304, undefined, headers);
  return itemFeed(container.rid, page.documents, headers);
}

/** `POST /docs` with a query, or the question how to run one over all ranges. */
export function queryRoute(context: ItemContext, entry: ContainerEntry, request: WireRequest): WireReply {
  const body = parseQuery(request);
  const query = compile(body.query);
  if (isTrue(request, 'x-ms-cosmos-is-query-plan-request'))
    return json(200, planOf(entry.container, query, body));
  const { container } = entry;
  const equalities = query.equalities(body.parameters);
  const scope = narrow(container, scopeOf(container, request, context.strictSplit), equalities);
  const addressesRange = header(request, 'x-ms-documentdb-partitionkeyrangeid') !== undefined;
  const addressesKey = header(request, 'x-ms-documentdb-partitionkey') !== undefined;
  if (scope.ranges.length > 1 && !addressesRange && !addressesKey && query.needsPlan)
    throw crossPartitionQuery(planOf(container, query, body));
  admit(context, scope.ranges);
  if (query.isStreaming) return scanPage(entry, request, scope, { query, body });
  return computedPage(entry, request, scope, query, body);
}

const planOf = (container: Container, query: CompiledQuery, { parameters }: QueryBody): unknown => ({
  partitionedQueryExecutionInfoVersion: 2,
  queryInfo: query.plan(parameters),
  queryRanges: queryRangesOf(container, query.equalities(parameters)),
});

/** Where a scan stands within a range of the hash space. Bounds, not an id: they mean something after a split. */
interface ScanPosition {
  readonly minInclusive: string;
  readonly maxExclusive: string;
  readonly lsn: number;
  /** Results of that LSN that were already returned. */
  readonly skip: number;
}

/**
 * A page of items in LSN order of each range, range after range; with a query, what it makes of each item. The
 * continuation is a position in that order, so that a page costs what it scans and no more.
 */
function scanPage(
  entry: ContainerEntry,
  request: WireRequest,
  scope: Scope,
  filter: { readonly query: CompiledQuery; readonly body: QueryBody } | undefined,
): WireReply {
  const { container } = entry;
  const limit = pageSize(request);
  const positions = parsePositions(header(request, 'x-ms-continuation'));
  const items: Buffer[] = [];
  let returnedBytes = 0;
  let scannedBytes = 0;
  let requestCharge = 0;
  let retrieved = 0;
  let next: ScanPosition[] = [];
  let last = scope.ranges[0] as PhysicalPartition;
  scan: for (const [order, range] of scope.ranges.entries()) {
    const start = positionIn(range, positions);
    if (start === undefined && range.maxExclusive <= (positions[0]?.minInclusive ?? '')) continue;
    const revisions = revisionsIn(container, scope, range);
    const lsnBefore = start === undefined ? 0 : start.lsn - 1;
    let lsn = lsnBefore;
    // Results of the current LSN so far: items of one transaction share theirs.
    let seen = 0;
    last = range;
    if (filter !== undefined && start === undefined) requestCharge += queryCharge(true, 0, 0);
    for (let at = isIndexed(scope) ? 0 : range.after(lsnBefore); at < revisions.length; at++) {
      const revision = revisions[at] as Revision;
      if (revision.superseded || revision.lsn <= lsnBefore || !scope.includes(revision)) continue;
      if (container.isExpired(revision)) continue;
      if (revision.lsn !== lsn) seen = 0;
      lsn = revision.lsn;
      const skip = lsn === start?.lsn ? start.skip : 0;
      retrieved++;
      scannedBytes += revision.sizeBytes;
      if (filter === undefined) requestCharge += readCharge(revision.sizeBytes);
      for (const result of resultsOf(container, revision, filter)) {
        if (seen++ < skip) continue;
        if (items.length >= limit || returnedBytes >= MAX_PAGE_BYTES) {
          next = [
            { ...boundsOf(range), lsn, skip: seen - 1 },
            ...resumable(scope.ranges.slice(order + 1), positions),
          ];
          break scan;
        }
        items.push(result);
        returnedBytes += result.length;
      }
    }
  }
  if (filter !== undefined) requestCharge += queryCharge(false, returnedBytes, scannedBytes);
  requestCharge = roundCharge(Math.max(filter === undefined ? 1 : 0, requestCharge));
  last.budget.charge(requestCharge);
  return itemFeed(container.rid, items, {
    ...itemHeaders(entry, last, requestCharge),
    ...(next.length > 0 && { 'x-ms-continuation': next.map(encodePosition).join(',') }),
    ...metricsHeader(request, retrieved, scannedBytes, items.length, returnedBytes),
  });
}

function resultsOf(
  { definition, nowMs }: Container,
  revision: Revision,
  filter: { readonly query: CompiledQuery; readonly body: QueryBody } | undefined,
): readonly Buffer[] {
  if (filter === undefined) return [bodyBytes(revision)];
  return filter.query
    .execute(
      [withComputedProperties(definition, parseVersion(revision), nowMs)],
      filter.body.parameters,
      nowMs,
    )
    .map((result) => Buffer.from(JSON.stringify(result)));
}

/** A page of a query that must see everything before its first result: sorted, grouped, aggregated, distinct. */
function computedPage(
  entry: ContainerEntry,
  request: WireRequest,
  scope: Scope,
  query: CompiledQuery,
  { parameters }: QueryBody,
): WireReply {
  const { container } = entry;
  const offset = Number(header(request, 'x-ms-continuation') ?? 0);
  if (!Number.isInteger(offset) || offset < 0)
    throw badRequest('The continuation token is not valid for this query');
  let scannedBytes = 0;
  const documents: unknown[] = [];
  for (const range of scope.ranges)
    for (const revision of revisionsIn(container, scope, range)) {
      if (revision.superseded || !scope.includes(revision) || container.isExpired(revision)) continue;
      scannedBytes += revision.sizeBytes;
      documents.push(withComputedProperties(container.definition, parseVersion(revision), container.nowMs));
    }
  const results = query.execute(documents, parameters, container.nowMs);
  const page = results.slice(offset, offset + pageSize(request));
  const range = scope.ranges[0] as PhysicalPartition;
  const body = feed(container.rid, 'Documents', page);
  const returnedBytes = body.body?.length ?? 0;
  const requestCharge = queryCharge(offset === 0, returnedBytes, offset === 0 ? scannedBytes : 0);
  range.budget.charge(requestCharge);
  return {
    ...body,
    headers: {
      ...body.headers,
      ...itemHeaders(entry, range, requestCharge),
      ...(offset + page.length < results.length && { 'x-ms-continuation': String(offset + page.length) }),
      ...metricsHeader(request, documents.length, scannedBytes, page.length, returnedBytes),
    },
  };
}

function admit(context: ItemContext, ranges: readonly PhysicalPartition[]): void {
  for (const range of ranges) {
    const injected = context.fault(range);
    if (injected instanceof WireError) throw injected;
    context.admit(range);
  }
}

const boundsOf = ({
  minInclusive,
  maxExclusive,
}: PhysicalPartition): Pick<ScanPosition, 'minInclusive' | 'maxExclusive'> => ({
  minInclusive,
  maxExclusive,
});

/** The position that covers a range: its own, or that of the range it was split from. */
const positionIn = (range: PhysicalPartition, positions: readonly ScanPosition[]): ScanPosition | undefined =>
  positions.find((one) => one.minInclusive < range.maxExclusive && one.maxExclusive > range.minInclusive);

/** Positions of ranges still to come: parts of a range that was split after its scan had begun. */
function resumable(ranges: readonly PhysicalPartition[], positions: readonly ScanPosition[]): ScanPosition[] {
  return ranges.flatMap((range) => {
    const position = positionIn(range, positions);
    return position === undefined ? [] : [{ ...position, ...boundsOf(range) }];
  });
}

function parsePositions(token: string | undefined): ScanPosition[] {
  if (token === undefined) return [];
  return token.split(',').map((part) => {
    const [, minInclusive, maxExclusive, lsn, skip] =
      /^([0-9A-F]*)-([0-9A-F]+)-(\d+)-(\d+)$/.exec(part) ?? [];
    if (minInclusive === undefined || maxExclusive === undefined)
      throw badRequest('The continuation token is malformed');
    return { minInclusive, maxExclusive, lsn: Number(lsn), skip: Number(skip) };
  });
}

const encodePosition = ({ minInclusive, maxExclusive, lsn, skip }: ScanPosition): string =>
  `${minInclusive}-${maxExclusive}-${lsn}-${skip}`;

function metricsHeader(
  request: WireRequest,
  retrieved: number,
  retrievedBytes: number,
  output: number,
  outputBytes: number,
): Record<string, string> {
  if (!isTrue(request, 'x-ms-documentdb-populatequerymetrics')) return {};
  const times = TIMES.map((name) => `${name}InMs=0.00`);
  const counts = [
    `retrievedDocumentCount=${retrieved}`,
    `retrievedDocumentSize=${retrievedBytes}`,
    `outputDocumentCount=${output}`,
    `outputDocumentSize=${outputBytes}`,
    'indexUtilizationRatio=1.00',
  ];
  return { 'x-ms-documentdb-query-metrics': [...times, ...counts].join(';') };
}

const TIMES = [
  'totalExecutionTime',
  'queryCompileTime',
  'queryLogicalPlanBuildTime',
  'queryPhysicalPlanBuildTime',
  'queryOptimizationTime',
  'VMExecutionTime',
  'indexLookupTime',
  'documentLoadTime',
  'systemFunctionExecuteTime',
  'userFunctionExecuteTime',
  'writeOutputTime',
] as const;
