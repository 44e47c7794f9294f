import type { PartitionKeyComponent, WriteOperation } from '../write-operation.ts';

/** One non-atomic batch request to one partition key range. */
export interface BulkRequest {
  readonly rangeId: string;
  /** JSON array of operations, complete, in UTF-8. */
  readonly body: Buffer;
  readonly operationCount: number;
  /** False: the service stops at the first operation that fails and answers 424 for those behind it. */
  readonly continueOnError: boolean;
}

/** Answer to one operation, as the service sends it. */
export interface OperationReply {
  readonly statusCode: number;
  readonly requestCharge?: number;
  readonly subStatusCode?: number;
  readonly retryAfterMilliseconds?: number;
  readonly message?: string;
}

/** Either one reply per operation, in order, or why the request as a whole has none. */
export type BulkReply =
  | { readonly replies: readonly OperationReply[] }
  | {
      /** HTTP status, 0 when no answer came: the operations may or may not have been applied. */
      readonly statusCode: number;
      readonly retryAfterMs: number | undefined;
      readonly message: string;
    };

export interface RangeBounds {
  readonly id: string;
  readonly minInclusive: string;
}

/** The writer's way to the service; the simulation puts its own in place. */
export interface BulkTransport {
  /** Never rejects: a failure is a {@link BulkReply} too. */
  send(request: BulkRequest): Promise<BulkReply>;
  /** The partition key ranges as they are now, ascending and contiguous. Rejects when they cannot be read. */
  ranges(): Promise<readonly RangeBounds[]>;
}

const OPERATION_TYPE = {
  upsert: 'Upsert',
  create: 'Create',
  replace: 'Replace',
  delete: 'Delete',
  patch: 'Patch',
} as const;

/** `["a",1]`, an absent component as `{}`: how partition keys are written in headers and inside bulk operations. */
export function encodePartitionKey(components: readonly PartitionKeyComponent[]): string {
  return JSON.stringify(components.map((component) => (component === undefined ? {} : component)));
}

/** The start of an upsert, up to the body; the same for every operation of a partition key. */
export function upsertPrefix(encodedPartitionKey: string): string {
  return `{"operationType":"Upsert","partitionKey":${JSON.stringify(encodedPartitionKey)},"resourceBody":`;
}

/** The start of any operation as an element of a bulk request, up to the body. */
export function operationPrefix({ kind, id, ifMatch }: WriteOperation, encodedPartitionKey: string): string {
  let text = `{"operationType":"${OPERATION_TYPE[kind]}","partitionKey":${JSON.stringify(encodedPartitionKey)}`;
  if (kind !== 'upsert' && kind !== 'create') text += `,"id":${JSON.stringify(id)}`;
  if (ifMatch !== undefined) text += `,"ifMatch":${JSON.stringify(ifMatch)}`;
  return kind === 'delete' ? text : `${text},"resourceBody":`;
}
