import { type KeyLane, type Pending, type RangeLane, shiftPending, shiftReady } from './lanes.ts';
import { encodeOperation } from './wire.ts';

export interface Batch {
  readonly range: RangeLane;
  readonly operations: readonly Pending[];
  readonly lanes: readonly KeyLane[];
  /** As many operations as the window allows. */
  readonly full: boolean;
  /** Some key has more than one operation in it, so the service must stop at the first failure. */
  readonly repeatsKeys: boolean;
}

/** Operation type, partition key and punctuation around a body in a request; long keys have room in the limit itself. */
const ENCODING_OVERHEAD_BYTES = 120;

export interface BatchLimits {
  readonly maxOperations: number;
  readonly maxBytes: number;
}

/**
 * Takes the next request's operations from the ready keys and marks those keys busy. Every ready key contributes its share
 * first, so that with a long queue no key waits until all operations of the others are written (and with it the checkpoint);
 * what room is left goes to the keys that have more. Order within a request is kept by the service. While refusals are
 * frequent in this range each key contributes one operation only: a refusal stops a request that repeats a key.
 */
export function takeBatch(range: RangeLane, { maxOperations, maxBytes }: BatchLimits): Batch {
  const operations: Pending[] = [];
  const lanes: KeyLane[] = [];
  const perKey = range.distinctKeys > 0 ? 1 : Math.ceil(maxOperations / range.readyKeys);
  let limit = maxOperations;
  let sizeBytes = 0;
  while (operations.length < limit && range.readyHead !== undefined) {
    const first = range.readyHead.head as Pending;
    if (operations.length > 0 && !fits(first)) break;
    const lane = shiftReady(range) as KeyLane;
    lane.state = 'busy';
    lanes.push(lane);
    take(lane, perKey);
  }
  if (range.distinctKeys === 0) for (const lane of lanes) take(lane, maxOperations);
  return {
    range,
    operations,
    lanes,
    full: operations.length === maxOperations,
    repeatsKeys: operations.length > lanes.length,
  };

  function take(lane: KeyLane, most: number): void {
    for (let taken = 0; taken < most && lane.head !== undefined; taken++) {
      if (operations.length > 0 && !fits(lane.head)) return;
      const pending = shiftPending(lane);
      limit = Math.min(limit, pending.companyLimit);
      sizeBytes += pending.bodyBytes + ENCODING_OVERHEAD_BYTES;
      operations.push(pending);
    }
  }

  function fits(pending: Pending): boolean {
    return (
      operations.length < Math.min(limit, pending.companyLimit) &&
      sizeBytes + pending.bodyBytes + ENCODING_OVERHEAD_BYTES <= maxBytes
    );
  }
}

/** The request body. Bodies of operations go into it as they came. */
export function encodeBatch(operations: readonly Pending[]): string {
  let text = '[';
  for (const { operation, lane } of operations) {
    if (text.length > 1) text += ',';
    text +=
      operation.kind === 'upsert' && operation.ifMatch === undefined
        ? `${lane.upsertPrefix}${operation.body}}`
        : encodeOperation(operation, lane.encodedPartitionKey);
  }
  return `${text}]`;
}
