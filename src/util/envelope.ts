/**
 * What travels with every event beside its body, so that any ingester can be verified against the producer's ledger:
 * four AMQP application properties on the wire, the same four inside one nested field of the stored item.
 */
export const ENVELOPE_PROPERTIES = {
  /** Run id of the producer, a string. */
  run: 'cp-run',
  /** Partition key the sequence counts within, a string. */
  key: 'cp-key',
  /** Position of the event within its key and run: 0, 1, 2 ... */
  sequence: 'cp-seq',
  /** Intended send time (the schedule's, not the actual one), microseconds since the Unix epoch. */
  intendedMicros: 'cp-at',
} as const;

export interface Envelope {
  readonly run: string;
  readonly key: string;
  readonly sequence: number;
  readonly intendedMicros: number;
}

/** Field of the stored item that `ingest` writes, and excludes from indexing when it creates the container. */
export const ENVELOPE_FIELD = 'pipe';

/** Value of {@link ENVELOPE_FIELD} in a stored item. Envelope members are absent for events that we did not produce. */
export interface StoredEnvelope extends Partial<Envelope> {
  /** Event Hubs partition id. */
  readonly partition: string;
  readonly sequenceNumber: number;
  /** When Event Hubs accepted the event, milliseconds since the Unix epoch. */
  readonly enqueuedMs: number;
  /** When `ingest` sent the write to Cosmos DB, milliseconds since the Unix epoch. */
  readonly ingestedMs: number;
}

/** Field of an item stored by `receive` that says how the event came; `publish feed` leaves such items out, so that nothing goes round. */
export const ARRIVAL_FIELD = 'eg';
