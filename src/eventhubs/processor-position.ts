import { parseDurationMs } from '../util/duration.ts';
import { usageError } from '../util/errors.ts';

/** Where a consumer group without a checkpoint starts. */
export type StartFrom =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  /** The event with this sequence number is the first one read, in every partition. */
  | { readonly kind: 'sequence'; readonly sequenceNumber: number }
  /** Events that Event Hubs accepted after this time, milliseconds since the Unix epoch. */
  | { readonly kind: 'time'; readonly epochMs: number };

/** Parses `earliest`, `latest`, `1200` (a sequence number), `-10m` (relative to `nowMs`) or an ISO 8601 time. */
export function parseStartFrom(text: string, nowMs: number): StartFrom {
  if (text === 'earliest' || text === 'latest') return { kind: text };
  if (/^\d+$/.test(text)) return { kind: 'sequence', sequenceNumber: Number(text) };
  const epochMs = timeOf(text, nowMs);
  if (Number.isNaN(epochMs))
    throw usageError(
      `invalid start position "${text}"`,
      'expected earliest, latest, a sequence number, -10m or 2026-11-22T10:00:00Z',
    );
  return { kind: 'time', epochMs };
}

function timeOf(text: string, nowMs: number): number {
  // Date.parse() takes almost any words with a number behind them.
  if (!text.startsWith('-')) return /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  try {
    return nowMs - parseDurationMs(text.slice(1));
  } catch {
    return Number.NaN;
  }
}

/** What the service says about one partition. */
export interface PartitionState {
  readonly partitionId: string;
  readonly beginningSequenceNumber: number;
  /** -1 when nothing was ever sent. */
  readonly lastSequenceNumber: number;
  readonly lastOffset: string;
  /** Milliseconds since the Unix epoch. */
  readonly lastEnqueuedMs: number;
  /** Nothing to read: nothing was sent yet, or everything has expired. */
  readonly isEmpty: boolean;
}

/** Position in the terms of the SDK (`EventPosition`). */
export interface SdkPosition {
  readonly offset?: string;
  readonly sequenceNumber?: number;
  readonly isInclusive?: boolean;
  readonly enqueuedOn?: number;
}

/**
 * The position for one partition. `latest` becomes the last event that the partition held at start-up, so that events sent
 * between now and the moment when the partition is claimed are read.
 */
export function sdkPosition(from: StartFrom, partition: PartitionState): SdkPosition {
  switch (from.kind) {
    case 'earliest':
      return { offset: '-1' };
    case 'latest':
      return partition.lastSequenceNumber < 0 ? { offset: '-1' } : { offset: partition.lastOffset };
    case 'sequence':
      return { sequenceNumber: from.sequenceNumber, isInclusive: true };
    case 'time':
      return { enqueuedOn: from.epochMs };
  }
}

/** The last sequence number that does not need to be read when starting at `from`, -1 for none. */
export function lastSkipped(from: StartFrom, partition: PartitionState): number {
  switch (from.kind) {
    case 'earliest':
      return -1;
    case 'latest':
      return partition.lastSequenceNumber;
    case 'sequence':
      return from.sequenceNumber - 1;
    case 'time':
      return partition.lastEnqueuedMs <= from.epochMs ? partition.lastSequenceNumber : -1;
  }
}
