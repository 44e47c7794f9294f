import type { HistogramSummary } from '../../metrics/histogram.ts';

/** A place behind the producer where every acknowledged event must turn up, in pipeline order. */
export type Place = 'store' | 'feed' | 'cache';

export const PLACES: readonly Place[] = ['store', 'feed', 'cache'];

export type AnomalyKind = 'lost' | 'duplicated' | 'outOfOrder' | 'late' | 'corrupted' | 'unexpected';

export const ANOMALY_KINDS: readonly AnomalyKind[] = [
  'lost',
  'duplicated',
  'outOfOrder',
  'late',
  'corrupted',
  'unexpected',
];

/** One example of what is wrong, with what is needed to look it up. */
export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly place: Place;
  readonly run: string;
  readonly key: string;
  /** Last one too when a whole range is affected. */
  readonly sequence: number;
  readonly untilSequence?: number;
  readonly id?: string;
  /** Where the event was seen last, e.g. `store`, `partition 3/1204`. */
  readonly lastSeen: string;
  readonly detail: string;
}

export interface PlaceVerdict {
  readonly place: Place;
  /** Everything read there, repeats included. */
  readonly observed: number;
  /** Different events found. */
  readonly events: number;
  readonly counts: Readonly<Record<AnomalyKind, number>>;
  /** The same event delivered again: harmless where writes are idempotent, and normal after a restart. */
  readonly redelivered: number;
  /**
   * First shown behind later events of their key because they had been written again by then: their original order cannot be
   * known, and nothing says that it was wrong (`KeyOrder`).
   */
  readonly rewritten: number;
}

/**
 * Stretches of an event's way: intended send time -> accepted by Event Hubs -> write sent to Cosmos DB -> read from the
 * feed. `endToEnd` goes from the intended send time to the feed, or to the write where no feed was observed.
 */
export type Hop = 'enqueue' | 'ingest' | 'feed' | 'endToEnd';

/** What became of the acknowledged events. */
export interface Verdict {
  /** True when nothing is lost, duplicated, out of order, late or corrupted. Unexpected events alone are no failure. */
  readonly ok: boolean;
  /** From the ledger; for streams without one, the events between the first and the last seen of each key. */
  readonly acknowledged: number;
  readonly ledger: 'complete' | 'incomplete' | 'none';
  readonly places: readonly PlaceVerdict[];
  /** Over all places; an event that never reached the store counts as lost once. */
  readonly totals: Readonly<Record<AnomalyKind, number>>;
  /** The first of each kind and place: absences by run, key and sequence, everything else as it was read. */
  readonly examples: readonly Anomaly[];
  /**
   * What the producer itself did to events, by kind; what it explains is not held against the pipeline. Misbehaviour on
   * purpose, and `resent`: events of batches sent again after their answer was lost, which the hub may hold twice. And
   * `unknown`: events of batches given up without an answer, which are neither lost when absent nor unexpected when found.
   */
  readonly injected: Readonly<Record<string, number>>;
  readonly latency: Readonly<Record<Hop, HistogramSummary>>;
}

export function emptyCounts(): Record<AnomalyKind, number> {
  return { lost: 0, duplicated: 0, outOfOrder: 0, late: 0, corrupted: 0, unexpected: 0 };
}
