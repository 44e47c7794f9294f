import { createAuthorizer } from './auth.ts';
import type { Catalog } from './catalog.ts';
import { badRequest, methodNotAllowed, notFound, sqlError, WireError } from './errors.ts';
import { queryRoute, readFeedRoute } from './feed-routes.ts';
import { batchRoute, deletePartitionRoute, type ItemContext, itemRoute } from './item-routes.ts';
import {
  containerRoute,
  databaseRoute,
  isQuery,
  type MetadataContext,
  offerRoute,
  rangesRoute,
} from './metadata-routes.ts';
import { accountBody } from './resources.ts';
import { SqlError } from './sql/index.ts';
import { errorReply, isTrue, json, type WireReply, type WireRequest } from './wire.ts';

export interface GatewayOptions extends MetadataContext, ItemContext {
  readonly catalog: Catalog;
  readonly key: string;
  /** Wall clock, milliseconds. */
  now(): number;
}

/** Answers one request. Every failure that a client may cause is an answer too. */
export function createGateway(options: GatewayOptions): (request: WireRequest) => WireReply {
  const authorize = createAuthorizer(options.key, options.now);
  return (request) => {
    try {
      authorize(request);
      return route(options, request);
    } catch (error) {
      if (error instanceof SqlError) return errorReply(sqlError(error.message));
      if (error instanceof WireError) return errorReply(error);
      return errorReply(new WireError(500, 'InternalServerError', `Unexpected: ${(error as Error).message}`));
    }
  };
}

function route(options: GatewayOptions, request: WireRequest): WireReply {
  const { path, method } = request;
  if (path.length === 0) return json(200, accountBody(request));
  if (path[0] === 'offers' && path.length <= 2) return offerRoute(options, request);
  if (path[0] !== 'dbs') throw notFound();
  if (path.length <= 2) return databaseRoute(options, request);
  if (path[2] !== 'colls') throw unsupported(path[2] as string);
  if (path.length <= 4) return containerRoute(options, request);
  const entry = options.catalog.container(path[1] as string, path[3] as string);
  switch (path[4]) {
    case 'docs':
      if (path.length > 6) throw notFound();
      if (path.length === 6) return itemRoute(options, entry, request);
      if (method === 'GET') return readFeedRoute(options, entry, request);
      if (method !== 'POST') throw methodNotAllowed(method, path.join('/'));
      if (isQuery(request) || isTrue(request, 'x-ms-cosmos-is-query-plan-request'))
        return queryRoute(options, entry, request);
      if (isTrue(request, 'x-ms-cosmos-is-batch-request')) return batchRoute(options, entry, request);
      return itemRoute(options, entry, request);
    case 'pkranges':
      return rangesRoute(entry, request);
    case 'operations':
      if (path[5] === 'partitionkeydelete') return deletePartitionRoute(entry, request);
      throw notFound();
    default:
      throw unsupported(path[4] as string);
  }
}

const unsupported = (resource: string): WireError =>
  badRequest(`The local stack does not emulate '${resource}' (see its README for what it does)`);
