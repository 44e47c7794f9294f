/** One component of a partition key. `undefined` stands for a path that is absent from the item. */
export type PartitionKeyComponent = string | number | boolean | null | undefined;

/** A partition key value; an array for hierarchical keys, one component per path. */
export type PartitionKey = PartitionKeyComponent | readonly PartitionKeyComponent[];

/** One write, its body already JSON: nothing on the way to the socket parses or stringifies it again. */
export interface WriteOperation {
  readonly kind: 'upsert' | 'create' | 'replace' | 'delete' | 'patch';
  /** Item id; it must equal the `id` inside `body`. */
  readonly id: string;
  readonly partitionKey: PartitionKey;
  /**
   * JSON text of the item, spliced into the request as it is. For `patch` the patch document
   * (`{"operations":[...]}`, optionally with `condition`), for `delete` the empty string.
   */
  readonly body: string;
  /**
   * UTF-8 that goes ahead of `body`: the bytes in which an item came, of which `body` is only the end. The writer puts a copy
   * in its place when the operation waits for long: these bytes may be part of many more.
   */
  bodyStart?: Uint8Array;
  /** ETag that the stored item must still have (`replace`, `upsert`, `delete`, `patch`). */
  readonly ifMatch?: string;
}

/** What became of one operation. A failure is final: everything worth retrying was retried. */
export type WriteOutcome =
  | {
      readonly ok: true;
      readonly statusCode: number;
      readonly requestCharge: number;
      /** Times the operation travelled, 1 without a retry. */
      readonly attempts: number;
    }
  | {
      readonly ok: false;
      /** HTTP status; 0 when the operation never got an answer (closed, unreachable). */
      readonly statusCode: number;
      /** One lower-case sentence for people: `item is larger than 2 MB`. */
      readonly reason: string;
      /**
       * True when the service refused this very operation (invalid, too large, conflict): it may be dead-lettered. False when
       * the service could not be used (unreachable, credentials refused, writer aborted): nothing was learned about the
       * item, so do not checkpoint past it.
       */
      readonly poison: boolean;
      readonly attempts: number;
    };

/** Told exactly once per operation, in any order between partition keys, in write order within one. */
export type Settled = (outcome: WriteOutcome) => void;

/** Raised when what was written under it must not be sent any more, because another process writes it now. */
export interface WriteFence {
  raised: boolean;
}

/** State of one partition key range. */
interface RangeSnapshot {
  readonly rangeId: string;
  /** Operations waiting for a request. */
  readonly queued: number;
  /** Requests on the wire and the number allowed at once. */
  readonly requestsInFlight: number;
  readonly window: number;
  /** Request units charged, and operations answered with 429, since the writer started. */
  readonly requestCharge: number;
  readonly throttled: number;
  readonly written: number;
}

export interface WriterSnapshot {
  /** Operations on the wire. */
  readonly inFlight: number;
  /** Operations accepted and not settled, those in flight included. */
  readonly buffered: number;
  /** Size of the bodies of the buffered operations. */
  readonly bufferedBytes: number;
  readonly perRange: readonly RangeSnapshot[];
}

export interface BulkWriter {
  /**
   * Takes an operation. A returned promise is back-pressure: the operation is accepted, but await the promise before the
   * next write. `settled` is told once the operation is stored or has failed for good. Throws after `close`.
   */
  write(operation: WriteOperation, settled: Settled, fence?: WriteFence): Promise<void> | undefined;
  /** Raises the fence: what was written under it and is not on the wire fails with status 0, and nothing of it is retried. */
  withdraw(fence: WriteFence): void;
  /** Sends partial batches without waiting and resolves when nothing is buffered any more. */
  flush(): Promise<void>;
  /** Flushes and refuses further writes. With an aborted signal, what is not yet on the wire fails with status 0. */
  close(): Promise<void>;
  snapshot(): WriterSnapshot;
}
