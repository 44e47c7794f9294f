/** What a stage reports while it runs. Implementations are cheap enough for every event (tens of nanoseconds). */
export interface StageRecorder {
  readonly name: string;
  /** Work that the stage was asked to do (arrivals of an open model, events received). */
  offered(count: number): void;
  /** Work finished successfully, with its payload size. */
  done(count: number, sizeBytes: number): void;
  failed(kind: string, count: number): void;
  /** Replies that asked to slow down: 429, ServerBusy. */
  throttled(count: number): void;
  /** Current number of units in flight; the high-water mark is kept. */
  inFlight(current: number): void;
  /** Time from actually starting a unit of work to its completion, in microseconds. */
  serviceTime(micros: number, count?: number): void;
  /** Time from the intended send time of the event to completion at this stage, in microseconds. */
  latency(micros: number, count?: number): void;
}

export type RuOperation =
  | 'create'
  | 'upsert'
  | 'replace'
  | 'patch'
  | 'delete'
  | 'read'
  | 'query'
  | 'changeFeed'
  | 'metadata';

/** Request units by operation kind, and by partition key range and second. */
export interface RuRecorder {
  /** `rangeId` is the partition key range id, or `*` where the reply names none. */
  charge(operation: RuOperation, rangeId: string, requestCharge: number, count?: number): void;
  throttled(rangeId: string, count: number): void;
}

/** What the producer tells the ledger. Called once per contiguous run of sequence numbers of a key. */
export interface AcknowledgementSink {
  /** The service accepted sequence numbers `from` to `to` (inclusive) of `key`. */
  acknowledged(key: string, from: number, to: number): void;
  /**
   * Misbehaviour that was injected on purpose: `duplicate`, `late`, `outOfOrder`, `malformed`, `oversized`, `clockSkew`. And `resent`: the
   * event's batch was sent again because no answer came, so that the service may have it twice; `unknown`: it was given up after
   * at least one try that got no answer, so that the service may have it or not.
   */
  injected(kind: string, key: string, sequence: number): void;
}
