import { executeBulk, executeTransaction, spend } from './batch.ts';
import { readBatch } from './batch-body.ts';
import type { ContainerEntry } from './catalog.ts';
import type { Container } from './container.ts';
import { badRequest, methodNotAllowed, notFound, tooLarge, WireError } from './errors.ts';
import { etagOf, MAX_ITEM_BYTES } from './item.ts';
import type { ItemText } from './item-text.ts';
import type { JsonSpan } from './json-cursor.ts';
import { RecordKind } from './log.ts';
import { bytesOf, evaluate, type ItemOperation, idIn } from './operations.ts';
import type { PhysicalPartition } from './partition.ts';
import type { PartitionKey } from './partition-key.ts';
import { deleteCharge } from './request-charge.ts';
import { documentNumber } from './rid.ts';
import {
  errorReply,
  header,
  isTrue,
  itemHeaders,
  json,
  readBody,
  reply,
  type WireReply,
  type WireRequest,
} from './wire.ts';

export interface ItemContext {
  /** Starts an operation within the budget of its range. @throws WireError 429 */
  admit(range: PhysicalPartition): void;
  /** Answers 410 also to queries that name a range that was split. */
  readonly strictSplit: boolean;
  /** An injected failure for one operation, if one is due. */
  fault(range: PhysicalPartition): WireError | undefined;
}

/** `POST /docs` that is neither a query nor a batch, and everything on `/docs/{id}`. */
export function itemRoute(context: ItemContext, entry: ContainerEntry, request: WireRequest): WireReply {
  const { container } = entry;
  const operation = operationOf(container, request);
  const wireKey = header(request, 'x-ms-documentdb-partitionkey');
  const id = operation.id === undefined ? undefined : idOf(container, operation.id, wireKey);
  const key = keyOf(container, wireKey, operation.resourceBody);
  const range = container.rangeOf(key);
  const injected = context.fault(range);
  try {
    if (injected !== undefined) throw injected;
    context.admit(range);
    const target = id ?? (idIn(operation.resourceBody) as string);
    const outcome = evaluate(container, key, operation, container.find(key, target));
    const { change } = outcome;
    if (change !== undefined && 'draft' in change) container.requireUnique(key, change.draft);
    const stored = change && container.store(key, [change])[0];
    container.commit(range);
    spend(container, range, key, outcome.requestCharge);
    const headers = itemHeaders(entry, range, outcome.requestCharge);
    if (change?.kind === RecordKind.delete) return reply(204, undefined, headers);
    const version = outcome.found ?? (stored as NonNullable<typeof stored>);
    headers['etag'] = etagOf(version);
    if ('lsn' in version) headers['x-ms-item-lsn'] = String(version.lsn);
    const silent = outcome.statusCode === 304 || (change !== undefined && prefersMinimal(request));
    return reply(outcome.statusCode, silent ? undefined : bytesOf(version), headers);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    range.budget.charge(error.requestCharge);
    return errorReply(error, itemHeaders(entry, range, error.requestCharge));
  }
}

/** `POST /docs` with a batch: a transaction of one key, or operations of one range. */
export function batchRoute(context: ItemContext, entry: ContainerEntry, request: WireRequest): WireReply {
  const { container } = entry;
  if (request.body.length > MAX_ITEM_BYTES + 64 * 1024) throw tooLarge();
  const operations = readBody(request, (cursor) => readBatch(cursor, container.reader));
  const rangeId = header(request, 'x-ms-documentdb-partitionkeyrangeid');
  const wireKey = header(request, 'x-ms-documentdb-partitionkey');
  if (rangeId === undefined && wireKey === undefined)
    throw badRequest('A batch request needs a partition key or a partition key range id');
  const key = rangeId === undefined ? container.keyFrom(wireKey as string) : undefined;
  const range = key === undefined ? container.table.byId(rangeId as string) : container.rangeOf(key);
  const batch = {
    container,
    range,
    admit: (one: PhysicalPartition) => context.admit(one),
    fault: () => context.fault(range),
    minimal: prefersMinimal(request),
  };
  if (key === undefined || !isTrue(request, 'x-ms-cosmos-batch-atomic')) {
    const goOn = isTrue(request, 'x-ms-cosmos-batch-continue-on-error');
    const { status, body, requestCharge } = executeBulk(batch, operations, goOn);
    return reply(status, body, {
      ...itemHeaders(entry, range, requestCharge),
      'x-ms-item-count': String(operations.length),
    });
  }
  const injected = context.fault(range);
  if (injected !== undefined) throw injected;
  context.admit(range);
  const { status, body, requestCharge } = executeTransaction(batch, key, operations);
  return reply(status, body, {
    ...itemHeaders(entry, range, requestCharge),
    'x-ms-item-count': String(operations.length),
  });
}

/** `POST /operations/partitionkeydelete`. The service does it in the background; here it is done at once. */
export function deletePartitionRoute(entry: ContainerEntry, request: WireRequest): WireReply {
  const { container } = entry;
  const key = container.keyFrom(header(request, 'x-ms-documentdb-partitionkey') ?? '');
  const range = container.rangeOf(key);
  for (const before of [...(container.logicalPartition(key.text)?.items.values() ?? [])]) {
    container.store(key, [{ kind: RecordKind.delete, before }]);
    range.budget.charge(deleteCharge(before.sizeBytes, before.terms));
  }
  container.commit(range);
  return json(200, {}, itemHeaders(entry, range, 1));
}

function operationOf(container: Container, request: WireRequest): ItemOperation {
  const { method, path } = request;
  const id = path[5];
  const conditions = { ifMatch: header(request, 'if-match'), ifNoneMatch: header(request, 'if-none-match') };
  switch (`${method} ${id === undefined ? 'feed' : 'item'}`) {
    case 'POST feed':
      return {
        operationType: isTrue(request, 'x-ms-documentdb-is-upsert') ? 'Upsert' : 'Create',
        resourceBody: readItemBody(container, request),
        ...conditions,
      };
    case 'GET item':
      return { operationType: 'Read', id, ...conditions };
    case 'PUT item':
      return { operationType: 'Replace', id, resourceBody: readItemBody(container, request), ...conditions };
    case 'PATCH item':
      return { operationType: 'Patch', id, resourceBody: readItemBody(container, request), ...conditions };
    case 'DELETE item':
      return { operationType: 'Delete', id, ...conditions };
    default:
      throw methodNotAllowed(method, path.join('/'));
  }
}

function readItemBody({ reader }: Container, request: WireRequest): ItemText | JsonSpan {
  if (request.body.length > MAX_ITEM_BYTES) throw tooLarge();
  return readBody(request, (cursor) => reader.read(cursor));
}

/** The id in the address, which is a rid when the client follows `_self` links. */
function idOf(container: Container, id: string, wireKey: string | undefined): string {
  const number = documentNumber(id, container.rid);
  if (number === undefined) return id;
  if (wireKey !== undefined && container.find(container.keyFrom(wireKey), id) !== undefined) return id;
  for (const { items } of container.logicalPartitions)
    for (const revision of items.values()) if (revision.document === number) return revision.id;
  throw notFound();
}

function keyOf(
  container: Container,
  wireKey: string | undefined,
  body: ItemText | JsonSpan | undefined,
): PartitionKey {
  if (wireKey !== undefined) return container.keyFrom(wireKey);
  if (body === undefined || !('keyText' in body))
    throw badRequest('PartitionKey value must be supplied for this operation.');
  return container.keyOf(body.keyText);
}

const prefersMinimal = (request: WireRequest): boolean =>
  header(request, 'prefer')?.toLowerCase().includes('return=minimal') === true;
