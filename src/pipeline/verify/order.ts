import type { Observation } from './observation.ts';

/** Repeated readings of one key that are told apart; of more, the order within the oldest is taken on trust. */
const MAX_MARKS = 16;

type Version = Pick<Observation, 'sequence' | 'ingestedMs' | 'partition' | 'sequenceNumber'>;

interface Mark {
  sequence: number;
  ingestedMs: number;
  partition: string;
  sequenceNumber: number;
}

/**
 * Decides whether an event that shows up after a later one of its key was reordered, or only written again.
 *
 * A latest-version feed shows an item at the place of its last write. When ingest is killed and restarts at its checkpoint, it
 * overwrites what it had stored since; an event whose first version the feed had not shown by then appears for the first
 * time behind its successors, although it was stored before them. What the versions themselves prove:
 *
 * - Event Hubs had the two in order: same partition, and the lower sequence number belongs to the lower event.
 * - One reading of a partition takes up its events in that order, and stamps each with the time (`ingestedMs`) when it does.
 *
 * So if the late-comer was stamped after every later event that was shown before it, it was taken up in another reading: it was
 * written again, and where its first version stood cannot be known. If it was stamped before one of them, both were in
 * order when they were taken up, and the writes were not: that is out of order. The stamps of two hosts are compared, so
 * clocks that differ by more than a restart takes can make a rewrite look like a reordering, never the reverse.
 */
export class KeyOrder {
  /** By ascending sequence and descending time: of the events above a sequence, the first has the latest stamp. */
  readonly #marks: Mark[] = [];

  /** The versions that decide, in an order in which `shown` takes them up again. */
  get marks(): readonly Readonly<Mark>[] {
    return this.#marks;
  }

  /** Notes a version that was shown, the first one of its event or not. */
  shown({ sequence, ingestedMs, partition, sequenceNumber }: Version): void {
    if (ingestedMs === undefined || partition === undefined || sequenceNumber === undefined) return;
    const marks = this.#marks;
    let first = marks.length;
    while (first > 0 && (marks[first - 1] as Mark).sequence > sequence) first -= 1;
    const above = marks[first];
    if (above !== undefined && above.ingestedMs >= ingestedMs) return;
    let covered = first;
    while (covered > 0 && (marks[covered - 1] as Mark).ingestedMs <= ingestedMs) covered -= 1;
    const reused = first > covered ? (marks[covered] as Mark) : undefined;
    if (reused !== undefined) {
      // The usual case, an event after its predecessor, allocates nothing.
      reused.sequence = sequence;
      reused.ingestedMs = ingestedMs;
      reused.partition = partition;
      reused.sequenceNumber = sequenceNumber;
      if (first - covered > 1) marks.splice(covered + 1, first - covered - 1);
      return;
    }
    marks.splice(first, 0, { sequence, ingestedMs, partition, sequenceNumber });
    if (marks.length > MAX_MARKS) marks.shift();
  }

  /** Whether only a second write can explain that this event is shown after higher ones of its key. */
  isRewritten({ sequence, ingestedMs, partition, sequenceNumber }: Version): boolean {
    if (ingestedMs === undefined || sequenceNumber === undefined) return false;
    const above = this.#marks.filter((mark) => mark.sequence > sequence);
    return (
      above.length > 0 &&
      above.every(
        (mark) =>
          mark.partition === partition &&
          mark.sequenceNumber > sequenceNumber &&
          mark.ingestedMs < ingestedMs,
      )
    );
  }
}
