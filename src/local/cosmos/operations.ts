import type { Change, Container } from './container.ts';
import {
  badRequest,
  itemExists,
  itemNotFound,
  notFound,
  partitionKeyMismatch,
  patchConditionFailed,
  preconditionFailed,
} from './errors.ts';
import { type Draft, etagOf, type JsonObject } from './item.ts';
import { type ItemText, requireItem } from './item-text.ts';
import { type JsonSpan, parseOpenSpan, parseSpan } from './json-cursor.ts';
import { RecordKind } from './log.ts';
import { bodyBytes, type Revision } from './partition.ts';
import type { PartitionKey } from './partition-key.ts';
import { applyPatch, parsePatch } from './patch.ts';
import { createCharge, deleteCharge, patchCharge, readCharge, replaceCharge } from './request-charge.ts';
import { compile } from './sql/index.ts';

export interface ItemOperation {
  readonly operationType: string;
  readonly id?: string | undefined;
  /** The item; the patch, whatever it is. */
  readonly resourceBody?: ItemText | JsonSpan | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** An item as stored, or as an earlier operation of the same transaction left it. */
export type Version = Revision | Draft;

export interface Outcome {
  readonly statusCode: number;
  readonly requestCharge: number;
  /** What to store; absent for reads. */
  readonly change?: Change;
  /** What a read found. */
  readonly found?: Version;
}

/**
 * Decides what an operation does to the current version of its item, without doing it.
 *
 * @throws WireError with the status and charge of the failed operation
 */
export function evaluate(
  container: Container,
  key: PartitionKey,
  operation: ItemOperation,
  current: Version | undefined,
): Outcome {
  const { operationType, ifMatch } = operation;
  if (
    ifMatch !== undefined &&
    ifMatch !== '*' &&
    current !== undefined &&
    operationType !== 'Create' &&
    operationType !== 'Read'
  )
    if (etagOf(current) !== ifMatch) throw preconditionFailed();
  switch (operationType) {
    case 'Create':
      return create(container, key, operation, current);
    case 'Upsert':
      return current === undefined
        ? create(container, key, operation, undefined)
        : replace(container, key, operation.resourceBody, current);
    case 'Replace':
      if (current === undefined) throw itemNotFound();
      if (idIn(operation.resourceBody) !== current.id)
        throw badRequest('The id of the item in the body does not match the one in the address');
      return replace(container, key, operation.resourceBody, current);
    case 'Patch':
      return patch(container, key, operation, current);
    case 'Delete':
      if (current === undefined) throw itemNotFound();
      return {
        statusCode: 204,
        requestCharge: deleteCharge(current.sizeBytes, current.terms),
        change: { kind: RecordKind.delete, before: current },
      };
    case 'Read':
      return read(operation, current);
    default:
      throw badRequest(`The operation type '${operationType}' is not supported`);
  }
}

function create(
  container: Container,
  key: PartitionKey,
  { resourceBody }: ItemOperation,
  current: Version | undefined,
): Outcome {
  requireKey(key, resourceBody);
  if (current !== undefined) throw itemExists();
  const draft = container.draft(resourceBody, undefined);
  return {
    statusCode: 201,
    requestCharge: createCharge(draft.sizeBytes, draft.terms),
    change: { kind: RecordKind.create, draft, before: undefined },
  };
}

function replace(
  container: Container,
  key: PartitionKey,
  body: ItemText | JsonSpan | undefined,
  current: Version,
): Outcome {
  requireKey(key, body);
  const draft = container.draft(body, current);
  const changed = container.changedTerms(openText(current), draft.text);
  return {
    statusCode: 200,
    requestCharge: replaceCharge(current.sizeBytes, draft.sizeBytes, changed),
    change: { kind: RecordKind.replace, draft, before: current },
  };
}

function patch(
  container: Container,
  key: PartitionKey,
  { resourceBody }: ItemOperation,
  current: Version | undefined,
): Outcome {
  if (current === undefined) throw itemNotFound();
  const { operations, condition } = parsePatch(resourceBody && parseSpan(resourceBody));
  const item = parseOpenSpan(openText(current));
  if (
    condition !== undefined &&
    compile(`SELECT * ${condition}`).execute([parseVersion(current)], {}, container.nowMs).length === 0
  )
    throw patchConditionFailed();
  applyPatch(item, operations);
  const outcome = replace(container, key, container.reader.fromValue(item), current);
  return { ...outcome, requestCharge: patchCharge(outcome.requestCharge, operations.length) };
}

function read({ ifNoneMatch }: ItemOperation, current: Version | undefined): Outcome {
  if (current === undefined) throw notFound();
  if (ifNoneMatch !== undefined && (ifNoneMatch === '*' || ifNoneMatch === etagOf(current)))
    return { statusCode: 304, requestCharge: 1, found: current };
  return { statusCode: 200, requestCharge: readCharge(current.sizeBytes), found: current };
}

function requireKey(key: PartitionKey, body: ItemText | JsonSpan | undefined): void {
  requireItem(body);
  if (body.keyText !== key.text) throw partitionKeyMismatch();
}

/** The id that an item names itself by. */
export const idIn = (body: ItemText | JsonSpan | undefined): unknown =>
  body !== undefined && 'id' in body ? body.id : undefined;

/** The bytes a client gets: the stored ones, never parsed and printed again. */
export const bytesOf = (version: Version): Buffer =>
  'chunk' in version
    ? bodyBytes(version)
    : Buffer.concat([
        version.text.bytes.subarray(version.text.start, version.text.end - 1),
        Buffer.from(version.suffix),
      ]);

/** The item with its system properties. */
export const parseVersion = (version: Version): JsonObject =>
  JSON.parse(bytesOf(version).toString()) as JsonObject;

/** The item as its owner wrote it, up to its closing brace: in a stored one the system properties begin there. */
function openText(version: Version): JsonSpan {
  if (!('chunk' in version)) return { ...version.text, end: version.text.end - 1 };
  const { chunk, offset, sizeBytes } = version;
  return { bytes: chunk, start: offset, end: offset + sizeBytes - 1 };
}
