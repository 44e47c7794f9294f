import type { Container } from './container.ts';
import type { ContainerDefinition } from './container-definition.ts';
import { badRequest } from './errors.ts';
import type { JsonObject } from './item.ts';
import { RecordKind } from './log.ts';
import { bodyBytes, isDeletion, type PhysicalPartition, type Revision } from './partition.ts';
import { readCharge, roundCharge } from './request-charge.ts';

export interface ChangeFeedRequest {
  readonly container: Container;
  readonly range: PhysicalPartition;
  /** All versions and deletes, instead of the latest version of each item. */
  readonly fullFidelity: boolean;
  /** `If-None-Match`: absent from the beginning, `*` from now, else the etag of the page before. */
  readonly continuation: string | undefined;
  /** `If-Modified-Since`, seconds since the Unix epoch. */
  readonly since: number;
  readonly maxItems: number;
  /** Narrows the range to a key or a part of the hash space. */
  includes(revision: Revision): boolean;
}

export interface ChangeFeedPage {
  readonly documents: readonly Buffer[];
  /** LSN up to which this page covers the feed. */
  readonly lsn: number;
  readonly requestCharge: number;
}

const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/**
 * One page in LSN order. Documents of one transaction stay together, even beyond the size of a page. When nothing is left
 * the page covers the whole log, so that a client jumps over what was superseded.
 */
export function readChangeFeed(request: ChangeFeedRequest): ChangeFeedPage {
  const { container, range, fullFidelity, continuation, since, maxItems } = request;
  if (fullFidelity) requireFullFidelity(request);
  const from = continuation === undefined ? 0 : continuation === '*' ? range.lsn : parseLsn(continuation);
  const documents: Buffer[] = [];
  let lastLsn = from;
  let sizeBytes = 0;
  let requestCharge = 0;
  const { revisions } = range;
  for (let at = range.after(from); at < revisions.length; at++) {
    const revision = revisions[at] as Revision;
    const full = documents.length >= maxItems || sizeBytes >= MAX_PAGE_BYTES;
    if (full && revision.lsn !== lastLsn)
      return { documents, lsn: lastLsn, requestCharge: roundCharge(requestCharge) };
    if (revision.timestamp < since || !request.includes(revision)) continue;
    if (!fullFidelity && (revision.superseded || container.isExpired(revision))) continue;
    const document = fullFidelity ? fullFidelityDocument(container, revision) : latestDocument(revision);
    documents.push(document);
    lastLsn = revision.lsn;
    sizeBytes += document.length;
    requestCharge += readCharge(revision.sizeBytes);
  }
  return {
    documents,
    lsn: Math.max(from, range.lsn),
    requestCharge: roundCharge(Math.max(1, requestCharge)),
  };
}

function requireFullFidelity({ container, range, continuation }: ChangeFeedRequest): void {
  if (container.definition.changeFeedPolicy === undefined)
    throw badRequest('The all versions and deletes change feed needs a container with a change feed policy');
  if (continuation === undefined)
    throw badRequest(
      'The all versions and deletes change feed can only start from now or from a continuation',
    );
  if (continuation !== '*' && parseLsn(continuation) < range.trimmedLsn)
    throw badRequest('The continuation is older than the retention of the change feed');
}

function parseLsn(etag: string): number {
  const lsn = Number(etag.replace(/^"(.*)"$/, '$1'));
  if (!Number.isInteger(lsn) || lsn < 0) throw badRequest(`The continuation ${etag} is not an LSN`);
  return lsn;
}

/** The stored bytes with `_lsn` spliced in front of the closing brace. */
function latestDocument(revision: Revision): Buffer {
  const suffix = `,"_lsn":${revision.lsn}}`;
  const document = Buffer.allocUnsafe(revision.length - 1 + suffix.length);
  revision.chunk.copy(document, 0, revision.offset, revision.offset + revision.length - 1);
  document.write(suffix, revision.length - 1, 'latin1');
  return document;
}

const OPERATION = {
  [RecordKind.create]: 'create',
  [RecordKind.replace]: 'replace',
  [RecordKind.delete]: 'delete',
  [RecordKind.expire]: 'delete',
  [RecordKind.mark]: 'mark',
} as const;

function fullFidelityDocument(container: Container, revision: Revision): Buffer {
  const { kind, lsn, timestamp, previousLsn, id } = revision;
  const metadata = {
    operationType: OPERATION[kind],
    lsn,
    crts: timestamp,
    ...(previousLsn > 0 && { previousImageLSN: previousLsn }),
    ...(kind === RecordKind.expire && { timeToLiveExpired: true }),
    ...(isDeletion(kind) && { id, partitionKey: partitionKeyObject(container.definition, revision) }),
  };
  if (!isDeletion(kind))
    return Buffer.concat([
      Buffer.from('{"current":'),
      bodyBytes(revision),
      Buffer.from(`,"metadata":${JSON.stringify(metadata)}}`),
    ]);
  return Buffer.from(JSON.stringify({ current: {}, metadata }));
}

/** The key as an object of its paths, as the service does: `{"tenant":"a","user":"b"}`. */
function partitionKeyObject({ partitionKey }: ContainerDefinition, { partition }: Revision): JsonObject {
  const values = JSON.parse(partition.text) as readonly unknown[];
  return Object.fromEntries(partitionKey.paths.map((path, index) => [path.slice(1), values[index]]));
}
