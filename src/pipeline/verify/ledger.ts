import type { AcknowledgementSink } from '../../metrics/types.ts';
import { IntervalSet } from './interval-set.ts';

/** Key -> sequence numbers. */
export type KeyedSequences = ReadonlyMap<string, IntervalSet>;

/** What the service acknowledged to one producer run, and what the run did wrong on purpose. */
export interface RunLedger {
  readonly run: string;
  readonly keys: KeyedSequences;
  /** How many events were acknowledged. */
  readonly acknowledgedCount: number;
  /** Injected misbehaviour by kind. */
  readonly misbehaviour: ReadonlyMap<string, KeyedSequences>;
  /** False when the producer could not close its ledger: it may have had more acknowledged than is written down. */
  readonly complete: boolean;
}

/** The ledger of one run in memory: per key a few intervals, whatever the number of events. */
export class Ledger implements RunLedger, AcknowledgementSink {
  readonly run: string;
  readonly #keys = new Map<string, IntervalSet>();
  readonly #misbehaviour = new Map<string, Map<string, IntervalSet>>();
  #acknowledgedCount = 0;
  complete = true;

  constructor(run: string) {
    this.run = run;
  }

  get keys(): KeyedSequences {
    return this.#keys;
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  get misbehaviour(): ReadonlyMap<string, KeyedSequences> {
    return this.#misbehaviour;
  }

  acknowledged(key: string, from: number, to: number): void {
    this.#acknowledgedCount += intervalsOf(this.#keys, key).add(from, to);
  }

  injected(kind: string, key: string, sequence: number): void {
    this.misbehaved(kind, key, sequence, sequence);
  }

  misbehaved(kind: string, key: string, from: number, to: number): void {
    let keys = this.#misbehaviour.get(kind);
    if (keys === undefined) {
      keys = new Map();
      this.#misbehaviour.set(kind, keys);
    }
    intervalsOf(keys, key).add(from, to);
  }
}

export function intervalsOf(keys: Map<string, IntervalSet>, key: string): IntervalSet {
  let intervals = keys.get(key);
  if (intervals === undefined) {
    intervals = new IntervalSet();
    keys.set(key, intervals);
  }
  return intervals;
}
