import type { RecordingStage } from '../../metrics/stage-recorder.ts';
import type { Clock } from '../../util/clock.ts';
import type { PoisonFile } from './receive-dead-letter.ts';
import type { EventSink } from './receive-sink.ts';

export interface ReceiveOptions {
  readonly sink: EventSink;
  readonly deadLetter: PoisonFile;
  /** Stage `receive`: offered = delivered to us, done = stored, latency = time of the event to stored. */
  readonly recorder: RecordingStage;
  readonly clock: Clock;
  /** Aborting it takes nothing more, stores what has come, and resolves. */
  readonly signal: AbortSignal;
  /** Ends after this many different events are stored. */
  readonly limit?: number;
  /** Ends after this time without events. */
  readonly untilIdleMs?: number;
  onProblem?(message: string): void;
}

export interface ReceiveTotals {
  /** Events delivered to us, repeats included. */
  received: number;
  stored: number;
  /** Delivered again although stored: the price of at-least-once. */
  duplicates: number;
  deadLettered: number;
  /** Given back to be delivered again. */
  retried: number;
  /** Deliveries by how many attempts came before. */
  readonly deliveryCounts: Record<string, number>;
  /** Pull only: locks that were lost before the acknowledgement. */
  lostLocks: number;
}

export function newTotals(): ReceiveTotals {
  return {
    received: 0,
    stored: 0,
    duplicates: 0,
    deadLettered: 0,
    retried: 0,
    deliveryCounts: {},
    lostLocks: 0,
  };
}

export interface ReceiveResult extends Readonly<ReceiveTotals> {
  readonly ended: 'signal' | 'limit' | 'idle';
  readonly durationMs: number;
}
