import type { Catalog, ContainerEntry } from './catalog.ts';
import { requireThroughput } from './catalog.ts';
import { defineContainer } from './container-definition.ts';
import { badRequest, methodNotAllowed, notFound, preconditionFailed } from './errors.ts';
import { type JsonObject, requireId } from './item.ts';
import { containerBody, databaseBody, offerBody, rangeBody } from './resources.ts';
import { compile } from './sql/index.ts';
import type { Throughput } from './throughput.ts';
import { feed, header, isTrue, json, parseBody, reply, type WireReply, type WireRequest } from './wire.ts';

export interface MetadataContext {
  readonly catalog: Catalog;
  /** Splits up to what the throughput asks for, when the service would. */
  scaleOut(entry: ContainerEntry): void;
}

/** `/dbs` and `/dbs/{id}`. */
export function databaseRoute({ catalog }: MetadataContext, request: WireRequest): WireReply {
  const { method, path } = request;
  if (path.length === 1) {
    const all = (): JsonObject[] => [...catalog.databases.values()].map(databaseBody);
    if (method === 'GET') return feed('', 'Databases', all());
    if (isQuery(request)) return feed('', 'Databases', runQuery(request, all()));
    const { id } = parseBody(request) as JsonObject;
    requireId(id);
    if (throughputOf(request) !== undefined)
      throw badRequest('Shared database throughput is not emulated: give the throughput to the containers');
    const database = catalog.createDatabase(id);
    return json(201, databaseBody(database), { etag: database.etag });
  }
  const database = catalog.database(path[1] as string);
  if (method === 'GET') return json(200, databaseBody(database), { etag: database.etag });
  if (method !== 'DELETE') throw methodNotAllowed(method, path.join('/'));
  requireMatch(request, database.etag);
  catalog.deleteDatabase(database);
  return reply(204, undefined);
}

/** `/dbs/{id}/colls` and `/dbs/{id}/colls/{id}`. */
export function containerRoute(context: MetadataContext, request: WireRequest): WireReply {
  const { catalog } = context;
  const { method, path } = request;
  const database = catalog.database(path[1] as string);
  if (path.length === 3) {
    const all = (): JsonObject[] => [...database.containers.values()].map(containerBody);
    if (method === 'GET') return feed(database.rid, 'DocumentCollections', all());
    if (isQuery(request)) return feed(database.rid, 'DocumentCollections', runQuery(request, all()));
    const definition = defineContainer(parseBody(request) as JsonObject);
    const throughput = throughputOf(request) ?? { maximum: 400, autoscale: false };
    const entry = catalog.createContainer(database, definition, requireThroughput(throughput, 0));
    return containerReply(201, entry);
  }
  const entry = catalog.container(path[1] as string, path[3] as string);
  switch (method) {
    case 'GET':
      return containerReply(200, entry);
    case 'PUT':
      requireMatch(request, entry.etag);
      Object.assign(entry, catalog.stamp());
      entry.container.redefine(defineContainer(parseBody(request) as JsonObject, entry.container.definition));
      return containerReply(200, entry);
    case 'DELETE':
      requireMatch(request, entry.etag);
      catalog.deleteContainer(entry);
      return reply(204, undefined);
    default:
      throw methodNotAllowed(method, path.join('/'));
  }
}

/** `/dbs/{id}/colls/{id}/pkranges`. Some clients poll it as a feed and go on until they are told that nothing changed. */
export function rangesRoute(entry: ContainerEntry, request: WireRequest): WireReply {
  const { container } = entry;
  const etag = `"${container.table.nextId}-${container.ranges.length}"`;
  if (header(request, 'if-none-match') === etag) return reply(304, undefined, { etag });
  const bodies = container.ranges.map((range) => rangeBody(entry, range));
  return feed(container.rid, 'PartitionKeyRanges', bodies, { etag });
}

/** `/offers` and `/offers/{id}`. */
export function offerRoute(context: MetadataContext, request: WireRequest): WireReply {
  const { catalog } = context;
  const { method, path } = request;
  if (path.length === 1) {
    const all = catalog.containers.map(offerBody);
    return feed('', 'Offers', method === 'GET' ? all : runQuery(request, all));
  }
  const id = (path[1] as string).toLowerCase();
  const entry = catalog.containers.find(({ offer }) => offer.id.toLowerCase() === id);
  if (entry === undefined) throw notFound();
  if (method === 'PUT') replaceOffer(context, entry, request);
  else if (method !== 'GET') throw methodNotAllowed(method, path.join('/'));
  const { offer, container } = entry;
  const lowest = container.throughput.autoscale
    ? Math.max(1000, offer.highest / 10)
    : Math.max(400, offer.highest / 100);
  return json(200, offerBody(entry), {
    etag: offer.etag,
    'x-ms-cosmos-min-throughput': String(lowest),
    'x-ms-offer-replace-pending': String(offer.pending),
  });
}

function replaceOffer(
  { catalog, scaleOut }: MetadataContext,
  entry: ContainerEntry,
  request: WireRequest,
): void {
  requireMatch(request, entry.offer.etag);
  const { content } = parseBody(request) as { content?: JsonObject };
  const autopilot = content?.['offerAutopilotSettings'] as { maxThroughput?: number } | undefined;
  const migrateToFixed = isTrue(request, 'x-ms-cosmos-migrate-offer-to-manual-throughput');
  const autoscale = autopilot?.maxThroughput !== undefined && !migrateToFixed;
  const maximum = Number(autoscale ? autopilot.maxThroughput : content?.['offerThroughput']);
  const throughput = requireThroughput({ maximum, autoscale }, entry.offer.highest);
  Object.assign(entry.offer, catalog.stamp(), { highest: Math.max(entry.offer.highest, maximum) });
  entry.container.provision(throughput);
  scaleOut(entry);
}

function containerReply(status: number, entry: ContainerEntry): WireReply {
  return json(status, containerBody(entry), {
    etag: entry.etag,
    'x-ms-documentdb-collection-index-transformation-progress': '100',
    'x-ms-session-token': `${entry.container.ranges[0]?.id ?? 0}:-1#${entry.container.ranges[0]?.lsn ?? 0}`,
  });
}

function throughputOf(request: WireRequest): Throughput | undefined {
  const fixed = header(request, 'x-ms-offer-throughput');
  if (fixed !== undefined) return { maximum: Number(fixed), autoscale: false };
  const autopilot = header(request, 'x-ms-cosmos-offer-autopilot-settings');
  if (autopilot === undefined) return undefined;
  return {
    maximum: Number((JSON.parse(autopilot) as { maxThroughput?: number }).maxThroughput),
    autoscale: true,
  };
}

export const isQuery = (request: WireRequest): boolean =>
  isTrue(request, 'x-ms-documentdb-isquery') ||
  // What the Go SDK sends instead.
  isTrue(request, 'x-ms-documentdb-query') ||
  header(request, 'content-type')?.startsWith('application/query+json') === true;

export interface QueryBody {
  readonly query: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export function parseQuery(request: WireRequest): QueryBody {
  const { query, parameters = [] } = parseBody(request) as {
    query?: unknown;
    parameters?: readonly { readonly name: string; readonly value: unknown }[];
  };
  if (typeof query !== 'string') throw badRequest('The request body has no query text');
  return { query, parameters: Object.fromEntries(parameters.map(({ name, value }) => [name, value])) };
}

function runQuery(request: WireRequest, resources: readonly JsonObject[]): unknown[] {
  const { query, parameters } = parseQuery(request);
  return compile(query).execute(resources, parameters, Number.NaN);
}

function requireMatch(request: WireRequest, etag: string): void {
  const expected = header(request, 'if-match');
  if (expected !== undefined && expected !== '*' && expected !== etag) throw preconditionFailed();
}
