import { Histogram } from '../../metrics/histogram.ts';
import { Smallest } from './examples.ts';
import type { RunLedger } from './ledger.ts';
import type { Observation, Unreadable } from './observation.ts';
import {
  ANOMALY_KINDS,
  type Anomaly,
  type AnomalyKind,
  emptyCounts,
  type Hop,
  PLACES,
  type Place,
  type Verdict,
} from './verdict.ts';

/** What a verification counts as observations come in, over all keys. */
export interface PlaceTally {
  readonly counts: Record<AnomalyKind, number>;
  observed: number;
  events: number;
  redelivered: number;
  rewritten: number;
}

/** An anomaly that was noticed when an item was read, with the number of that reading. */
interface Noticed {
  readonly arrival: number;
  readonly anomaly: Anomaly;
}

/** The counts of a verification that belong to no single key. Keys may report in any order of readings. */
export class Tally {
  readonly places: ReadonlyMap<Place, PlaceTally>;
  readonly hops: Readonly<Record<Hop, Histogram>> = {
    enqueue: new Histogram(),
    ingest: new Histogram(),
    feed: new Histogram(),
    endToEnd: new Histogram(),
  };
  readonly #noticed: Smallest<Noticed>;

  constructor(places: readonly Place[], maxExamples: number) {
    this.#noticed = new Smallest(maxExamples, compareNoticed);
    this.places = new Map(
      PLACES.filter((place) => places.includes(place)).map((place) => [
        place,
        { counts: emptyCounts(), observed: 0, events: 0, redelivered: 0, rewritten: 0 },
      ]),
    );
  }

  at(place: Place): PlaceTally {
    const tally = this.places.get(place);
    if (tally === undefined) throw new RangeError(`${place} is not among the observed places`);
    return tally;
  }

  found(kind: AnomalyKind, place: Place, event: Observation, detail: string, arrival: number): void {
    this.at(place).counts[kind] += 1;
    const { run, key, sequence, id, partition, sequenceNumber } = event;
    const lastSeen = partition === undefined ? place : `${partition}/${sequenceNumber}`;
    this.#notice({ kind, place, run, key, sequence, id, lastSeen, detail }, arrival);
  }

  corrupted(place: Place, { id, problem }: Unreadable, arrival: number): void {
    const tally = this.at(place);
    tally.observed += 1;
    tally.counts.corrupted += 1;
    this.#notice(
      { kind: 'corrupted', place, run: '', key: '', sequence: -1, id, lastSeen: place, detail: problem },
      arrival,
    );
  }

  #notice(anomaly: Anomaly, arrival: number): void {
    this.#noticed.add(`${anomaly.kind} ${anomaly.place}`, { arrival, anomaly });
  }

  verdict(settlement: Settlement, ledger: Verdict['ledger']): Verdict {
    const totals = { ...settlement.totals };
    for (const { counts } of this.places.values()) {
      for (const kind of ['duplicated', 'outOfOrder', 'late', 'corrupted'] as const)
        totals[kind] += counts[kind];
    }
    return {
      ok: ANOMALY_KINDS.every((kind) => kind === 'unexpected' || totals[kind] === 0),
      acknowledged: settlement.acknowledged,
      ledger,
      places: [...this.places].map(([place, { counts, ...numbers }]) => ({
        place,
        ...numbers,
        counts: { ...counts, ...settlement.absent.get(place) },
      })),
      totals,
      examples: [...settlement.examples.sorted(), ...this.#noticed.sorted().map(({ anomaly }) => anomaly)],
      injected: settlement.injected,
      latency: {
        enqueue: this.hops.enqueue.summary(),
        ingest: this.hops.ingest.summary(),
        feed: this.hops.feed.summary(),
        endToEnd: this.hops.endToEnd.summary(),
      },
    };
  }
}

/** What can be said of keys once everything has been read: what is absent, and what nobody sent. */
export interface Settlement {
  acknowledged: number;
  readonly totals: Record<AnomalyKind, number>;
  readonly absent: ReadonlyMap<Place, { lost: number; unexpected: number }>;
  readonly examples: Smallest<Anomaly>;
  readonly injected: Record<string, number>;
}

export function newSettlement(places: Iterable<Place>, maxExamples: number): Settlement {
  return {
    acknowledged: 0,
    totals: emptyCounts(),
    absent: new Map([...places].map((place) => [place, { lost: 0, unexpected: 0 }])),
    examples: new Smallest(maxExamples, compareAbsences),
    injected: {},
  };
}

export function ledgerState(ledgers: Iterable<RunLedger>): Verdict['ledger'] {
  const all = [...ledgers];
  if (all.length === 0) return 'none';
  return all.every(({ complete }) => complete) ? 'complete' : 'incomplete';
}

/** One reading may be late and out of order. */
function compareNoticed(a: Noticed, b: Noticed): number {
  const kindOf = ({ anomaly }: Noticed): number => ANOMALY_KINDS.indexOf(anomaly.kind);
  return a.arrival - b.arrival || kindOf(a) - kindOf(b);
}

function compareAbsences(a: Anomaly, b: Anomaly): number {
  return (
    compareText(a.run, b.run) ||
    compareText(a.key, b.key) ||
    PLACES.indexOf(a.place) - PLACES.indexOf(b.place) ||
    compareText(a.kind, b.kind) ||
    a.sequence - b.sequence
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
