import { KeyBook } from './keys.ts';
import type { RunLedger } from './ledger.ts';
import type { Observation, Unreadable } from './observation.ts';
import { ledgerState, newSettlement, Tally } from './tally.ts';
import type { Place, Verdict } from './verdict.ts';

export type { Anomaly, AnomalyKind, Hop, Place, PlaceVerdict, Verdict } from './verdict.ts';

export interface VerifierOptions {
  /** Runs to hold the observations against, by run id; empty for a stream that has no ledger. */
  readonly ledgers: ReadonlyMap<string, RunLedger>;
  /** Places that will be observed; every acknowledged event must be at each of them. */
  readonly places: readonly Place[];
  /** The store is read in the order of its LSNs, so a key's events must come in order there, too. */
  readonly storeOrdered?: boolean;
  /** An event that takes longer from its intended send time to a place is late there. Default: never. */
  readonly lateAfterMs?: number;
  /** Sequence number that every key of a stream without ledger begins with. Default: the first one seen. */
  readonly firstSequence?: number;
  /** Examples kept per kind and place, default 10. */
  readonly maxExamples?: number;
}

export interface Verifier {
  /** Reports an event found at a place; `atMs` (epoch milliseconds) is when it got there, where that is known. */
  observe(place: Place, event: Observation, atMs?: number): void;
  /** Reports an item that is not an event although it should be, or that disagrees with itself. */
  corrupted(place: Place, item: Unreadable): void;
  /** Different events seen at a place so far. */
  eventsAt(place: Place): number;
  verdict(): Verdict;
}

/**
 * Compares what was acknowledged with what is found, as observations stream in. Memory is a few intervals per key and
 * place as long as keys arrive roughly in order; {@link createBoundedVerifier} is for more keys than fit.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { firstSequence, lateAfterMs, ledgers, maxExamples = 10, places, storeOrdered } = options;
  const tally = new Tally(places, maxExamples);
  const ordered = orderedPlaces(storeOrdered);
  const book = new KeyBook({ runs: ledgers, ordered, lateAfterMs, firstSequence }, tally, ledgers);
  let arrivals = 0;
  return {
    observe(place, event, atMs) {
      tally.at(place).observed += 1;
      if (ledgers.size > 0 && !ledgers.has(event.run)) return;
      book.observe(place, event, atMs, arrivals++);
    },
    corrupted: (place, item) => tally.corrupted(place, item, arrivals++),
    eventsAt: (place) => tally.at(place).events,
    verdict() {
      const settlement = newSettlement(tally.places.keys(), maxExamples);
      book.settle(settlement);
      return tally.verdict(settlement, ledgerState(ledgers.values()));
    },
  };
}

/** Feeds keep the order of a key; a store does when it is read in the order of its LSNs. */
export function orderedPlaces(storeOrdered: boolean | undefined): ReadonlySet<Place> {
  return new Set<Place>(storeOrdered === true ? ['feed', 'store'] : ['feed']);
}
