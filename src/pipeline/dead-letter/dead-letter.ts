import type { RejectionReason } from '../mapping/mapping.ts';

/** Why an event was put aside: the mapping rejected it, or Cosmos DB did (`rejected`). */
export type DeadLetterReason = RejectionReason | 'rejected';

/** An event that cannot be stored, with everything needed to find its cause and to send it again. */
export interface DeadLetterRecord {
  readonly reason: DeadLetterReason;
  readonly detail: string;
  readonly eventHub: string;
  readonly partition: string;
  readonly sequenceNumber: number;
  readonly offset: string;
  /** ISO 8601. */
  readonly enqueuedTime: string;
  /** When it was put aside, ISO 8601. */
  readonly deadLetteredTime: string;
  readonly partitionKey?: string;
  readonly properties: Readonly<Record<string, unknown>>;
  /** The body's bytes as they were received, base64. */
  readonly body: string;
}

/** Where rejected events go. The checkpoint moves past an event only after `write` resolved: it must be durable then. */
export interface DeadLetter {
  /** How a person names it: `file dead-letter.ndjson`. */
  readonly name: string;
  write(record: DeadLetterRecord): Promise<void>;
  close(): Promise<void>;
}

/** A dead letter whose content can be looked at and, once the cause is gone, taken out again. */
export interface DeadLetterArchive {
  records(): AsyncIterable<DeadLetterRecord>;
  /** Removes the records that `isDone` accepts and keeps the others; resolves to how many were removed. */
  remove(isDone: (record: DeadLetterRecord) => boolean): Promise<number>;
}

/** Identifies a record: an event is in one place of one hub. */
export function deadLetterId(record: DeadLetterRecord): string {
  return `${record.eventHub}|${record.partition}|${record.sequenceNumber}`;
}

/** The received bytes of any body, base64. */
export function bodyBase64(body: unknown): string {
  if (body instanceof Uint8Array)
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
  return Buffer.from(typeof body === 'string' ? body : String(JSON.stringify(body))).toString('base64');
}
