import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { ContainerEntry } from './catalog.ts';
import { badRequest, tooDeep, type WireError } from './errors.ts';
import { JsonCursor } from './json-cursor.ts';
import type { PhysicalPartition } from './partition.ts';

export interface WireRequest {
  readonly method: string;
  /** Decoded path segments: `dbs`, id, `colls`, id, `docs`, id. */
  readonly path: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Host and port as the client addressed them. */
  readonly authority: string;
  /** Over TLS. */
  readonly secure: boolean;
}

export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const COMMON = {
  'content-type': 'application/json',
  'cache-control': 'no-store, no-cache',
  pragma: 'no-cache',
  'x-ms-gatewayversion': 'version=2.14.0',
  'x-ms-serviceversion': 'version=2.14.0.0',
  'x-ms-schemaversion': '1.19',
};

const activityPrefix = randomUUID().slice(0, 24);
let activities = 0;

export function reply(
  status: number,
  body: Buffer | undefined,
  headers: Readonly<Record<string, string>> = {},
): WireReply {
  activities = (activities + 1) % 2 ** 48;
  const activityId = activityPrefix + activities.toString(16).padStart(12, '0');
  const all = { ...COMMON, 'x-ms-activity-id': activityId, 'x-ms-request-charge': '1', ...headers };
  return body === undefined ? { status, headers: all } : { status, headers: all, body };
}

export const json = (status: number, value: unknown, headers?: Readonly<Record<string, string>>): WireReply =>
  reply(status, Buffer.from(JSON.stringify(value)), headers);

export function errorReply(error: WireError, headers: Readonly<Record<string, string>> = {}): WireReply {
  const { status, code, substatus, message, requestCharge, retryAfterMs, additionalInfo } = error;
  const answer = reply(status, undefined, {
    'x-ms-request-charge': String(requestCharge),
    ...headers,
    ...(substatus !== undefined && { 'x-ms-substatus': String(substatus) }),
    ...(retryAfterMs !== undefined && { 'x-ms-retry-after-ms': String(retryAfterMs) }),
  });
  const activityId = answer.headers['x-ms-activity-id'];
  const body = {
    code,
    message: `${message}\r\nActivityId: ${activityId}, Microsoft.Azure.Documents.Common/2.14.0`,
    ...(additionalInfo !== undefined && { additionalErrorInfo: additionalInfo }),
  };
  return { ...answer, body: Buffer.from(JSON.stringify(body)) };
}

/** A feed of parsed resources: `{"_rid":..., "<name>":[...], "_count":n}`. */
export const feed = (
  rid: string,
  name: string,
  resources: readonly unknown[],
  headers?: Readonly<Record<string, string>>,
): WireReply =>
  json(
    200,
    { _rid: rid, [name]: resources, _count: resources.length },
    { 'x-ms-item-count': String(resources.length), ...headers },
  );

/** A feed of stored items, their bytes joined and never parsed. */
export function itemFeed(
  rid: string,
  items: readonly Buffer[],
  headers: Readonly<Record<string, string>>,
): WireReply {
  const parts: Buffer[] = [Buffer.from(`{"_rid":"${rid}","Documents":[`)];
  items.forEach((item, index) => {
    if (index > 0) parts.push(COMMA);
    parts.push(item);
  });
  parts.push(Buffer.from(`],"_count":${items.length}}`));
  return reply(200, Buffer.concat(parts), { 'x-ms-item-count': String(items.length), ...headers });
}

const COMMA = Buffer.from(',');

/** What every answer about items carries: session, position, place and size. */
export function itemHeaders(
  entry: ContainerEntry,
  range: PhysicalPartition,
  requestCharge: number,
): Record<string, string> {
  const { database, container } = entry;
  return {
    'x-ms-request-charge': String(requestCharge),
    'x-ms-session-token': `${range.id}:-1#${range.lsn}`,
    lsn: String(range.lsn),
    'x-ms-documentdb-partitionkeyrangeid': range.id,
    'x-ms-content-path': container.rid,
    // Ids may hold any character, header values may not.
    'x-ms-alt-content-path': encodeURI(`dbs/${database.id}/colls/${container.definition.id}`),
    'x-ms-resource-quota':
      'documentSize=51200;documentsSize=52428800;documentsCount=-1;collectionSize=52428800;',
    'x-ms-resource-usage': usageOf(range),
  };
}

function usageOf({ liveBytes, liveItems }: PhysicalPartition): string {
  const kilobytes = Math.ceil(liveBytes / 1024);
  return `documentSize=${Math.floor(kilobytes / 1024)};documentsSize=${kilobytes};documentsCount=${liveItems};collectionSize=${kilobytes};`;
}

export function header(request: WireRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

export const isTrue = (request: WireRequest, name: string): boolean =>
  header(request, name)?.toLowerCase() === 'true';

/** Parses whatever the content type says: PATCH comes without one. @throws WireError 400 */
export function parseBody(request: WireRequest): unknown {
  try {
    return JSON.parse(request.body.toString());
  } catch {
    throw badRequest('The request body is not valid JSON');
  }
}

/**
 * Reads a body from its bytes, whole.
 *
 * @throws WireError 400 when it is not JSON
 */
export function readBody<Value>(request: WireRequest, read: (cursor: JsonCursor) => Value): Value {
  const cursor = new JsonCursor(request.body);
  try {
    const value = read(cursor);
    cursor.requireEnd();
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) throw badRequest('The request body is not valid JSON');
    // The stack is far deeper than documents may nest.
    if (error instanceof RangeError) throw tooDeep();
    throw error;
  }
}

/** `x-ms-max-item-count`; the service's own choice, 100, for -1 and when absent. */
export function pageSize(request: WireRequest): number {
  const asked = Number(header(request, 'x-ms-max-item-count') ?? -1);
  return Number.isInteger(asked) && asked > 0 ? asked : 100;
}
