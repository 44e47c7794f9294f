import {
  type KeyLane,
  newReadyKeys,
  type Pending,
  type RangeLane,
  shiftPending,
  shiftReady,
  turnOf,
} from './lanes.ts';
import { operationPrefix } from './wire.ts';

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
 * Takes the next request's operations from the ready keys and marks those keys busy. What came first goes first, across
 * all keys that nothing is on the wire of: with a long queue every event is as late as the others, and the checkpoint, which
 * waits for the latest, with them. Order within a request is kept by the service. While refusals are frequent in this
 * range each key contributes one operation only: a refusal stops a request that repeats a key.
 */
export function takeBatch(range: RangeLane, { maxOperations, maxBytes }: BatchLimits): Batch {
  const operations: Pending[] = [];
  const lanes: KeyLane[] = [];
  // Keys of this request that have more.
  const more = newReadyKeys();
  let limit = maxOperations;
  let sizeBytes = 0;
  for (;;) {
    const isNew = turnOf(range.ready.peek()) < turnOf(more.peek());
    const lane = isNew ? range.ready.peek() : more.peek();
    if (lane?.head === undefined || (operations.length > 0 && !fits(lane.head))) break;
    if (isNew) {
      shiftReady(range);
      lane.state = 'busy';
      lanes.push(lane);
    } else more.pop();
    const pending = shiftPending(lane);
    limit = Math.min(limit, pending.companyLimit);
    sizeBytes += pending.bodyBytes + ENCODING_OVERHEAD_BYTES;
    operations.push(pending);
    if (lane.count > 0 && range.distinctKeys === 0) more.push(lane);
  }
  return {
    range,
    operations,
    lanes,
    full: operations.length === maxOperations,
    repeatsKeys: operations.length > lanes.length,
  };

  function fits(pending: Pending): boolean {
    return (
      operations.length < Math.min(limit, pending.companyLimit) &&
      sizeBytes + pending.bodyBytes + ENCODING_OVERHEAD_BYTES <= maxBytes
    );
  }
}

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
/** A UTF-16 code unit takes at most this many bytes in UTF-8. */
const MAX_BYTES_PER_UNIT = 3;

/** Memory is taken in powers of two between these, so that one piece fits most requests; larger requests get their own. */
const LEAST_BYTES = 16 * 1024;
const MOST_BYTES = 512 * 1024;
const MAX_SPARE = 16;

/** Memory of request bodies that is used again, because memory that was not touched yet costs more than filling it. */
export class RequestMemory {
  readonly #spare: ArrayBufferLike[] = [];

  take(bytes: number): Buffer {
    const at = this.#spare.findLastIndex(({ byteLength }) => byteLength >= bytes);
    if (at >= 0) return Buffer.from(this.#spare.splice(at, 1)[0] as ArrayBuffer);
    const rounded = 2 ** Math.ceil(Math.log2(Math.max(bytes, LEAST_BYTES)));
    return Buffer.allocUnsafeSlow(rounded > MOST_BYTES ? bytes : rounded);
  }

  /** Gives back what {@link take} returned, or a part of it, once nobody reads it any more. */
  giveBack({ buffer }: Buffer): void {
    if (buffer.byteLength > MOST_BYTES) return;
    this.#spare.push(buffer);
    if (this.#spare.length > MAX_SPARE) this.#spare.shift();
  }
}

/** The request body. Bodies of operations go into it as they came, copied once. */
export function encodeBatch(operations: readonly Pending[], memory: RequestMemory): Buffer {
  let mostBytes = 2;
  const prefixes = operations.map(({ operation, lane, bodyBytes }) => {
    const prefix =
      operation.kind === 'upsert' && operation.ifMatch === undefined
        ? lane.upsertPrefix
        : operationPrefix(operation, lane.encodedPartitionKey);
    mostBytes += prefix.length * MAX_BYTES_PER_UNIT + bodyBytes + 2;
    return prefix;
  });
  const bytes = memory.take(mostBytes);
  bytes[0] = OPEN_BRACKET;
  let at = 1;
  for (let i = 0; i < operations.length; i++) {
    const { body, bodyStart } = (operations[i] as Pending).operation;
    if (i > 0) bytes[at++] = COMMA;
    at += bytes.write(prefixes[i] as string, at);
    if (bodyStart !== undefined) {
      bytes.set(bodyStart, at);
      at += bodyStart.length;
    }
    at += bytes.write(body, at);
    bytes[at++] = CLOSE_BRACE;
  }
  bytes[at++] = CLOSE_BRACKET;
  return bytes.subarray(0, at);
}
