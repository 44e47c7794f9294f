import { type Interval, IntervalSet } from './interval-set.ts';
import type { KeyedSequences, RunLedger } from './ledger.ts';
import type { Observation } from './observation.ts';
import { KeyOrder } from './order.ts';
import type { Settlement, Tally } from './tally.ts';
import { type Anomaly, PLACES, type Place } from './verdict.ts';

/** Events after which absence is no loss: nothing could have stored them. */
const NEVER_STORED = ['malformed', 'oversized'];
/** Given up without an answer: may be found or not, and where it is found, that says nothing. */
const UNKNOWN = 'unknown';
/** What the producer did that lets an event stand behind its successors. */
const BEHIND = ['late', 'outOfOrder', 'resent', UNKNOWN];

const FOUND_NOWHERE = 'acknowledged by Event Hubs, found nowhere after it';
const GAP = 'a gap in the sequence of its key';

/** Bytes of heap, measured on Node 20: a key with its maps' entries, what is seen of it at a place, one interval, one mark. */
export const KEY_BYTES = 200;
const PLACE_BYTES = 260;
export const INTERVAL_BYTES = 24;
const MARK_BYTES = 120;

/** What a verification asks of every key. */
export interface VerifyRules {
  /** Runs that have a ledger; events of others are left alone. Empty: a stream without ledger, all keys count. */
  readonly runs: Pick<ReadonlySet<string>, 'has' | 'size'>;
  /** Places where events of a key must come in order. */
  readonly ordered: ReadonlySet<Place>;
  /** An event that takes longer from its intended send time to a place is late there. */
  readonly lateAfterMs?: number | undefined;
  /** Sequence number that every key of a stream without ledger begins with. Default: the first one seen. */
  readonly firstSequence?: number | undefined;
}

/** What was seen of one key at one place. */
export interface SeenKey {
  readonly sequences: IntervalSet;
  readonly order: KeyOrder;
}

type SeenPlaces = Map<Place, SeenKey>;

/** What is known of a set of keys: what was acknowledged and what was found. No key is in two books. */
export class KeyBook {
  readonly #rules: VerifyRules;
  readonly #tally: Tally;
  readonly #ledgers: ReadonlyMap<string, RunLedger>;
  /** Run -> key -> place. */
  readonly #seen = new Map<string, Map<string, SeenPlaces>>();
  #seenBytes = 0;
  #keyCount = 0;

  /** `ledgers` may grow while events are observed. */
  constructor(rules: VerifyRules, tally: Tally, ledgers: ReadonlyMap<string, RunLedger>) {
    this.#rules = rules;
    this.#tally = tally;
    this.#ledgers = ledgers;
  }

  /** Estimated heap of what was seen, without the ledgers. */
  get seenBytes(): number {
    return this.#seenBytes;
  }

  /** Keys of which something was seen. */
  get keyCount(): number {
    return this.#keyCount;
  }

  /**
   * Compares an event found at a place with what is known of its key. `arrival` numbers the readings of the whole
   * verification, `atMs` (epoch milliseconds) is when the event got there.
   */
  observe(place: Place, event: Observation, atMs: number | undefined, arrival: number): void {
    const tally = this.#tally.at(place);
    const ledger = this.#ledgers.get(event.run);
    const { sequences, order } = this.#seenKey(place, event.run, event.key);
    const highest = sequences.last;
    const intervalsBefore = sequences.intervalCount;
    const isNew = sequences.add(event.sequence) > 0;
    const ordered = this.#rules.ordered.has(place);
    if (!isNew) {
      tally.redelivered += 1;
      if (place === 'store' && !did(ledger, ['duplicate'], event))
        this.#tally.found('duplicated', place, event, duplicateDetail(ledger, event), arrival);
    } else {
      tally.events += 1;
      this.#seenBytes += (sequences.intervalCount - intervalsBefore) * INTERVAL_BYTES;
      if (ordered && event.sequence < highest && !did(ledger, BEHIND, event)) {
        if (order.isRewritten(event)) tally.rewritten += 1;
        else this.#tally.found('outOfOrder', place, event, `comes after ${highest} of the same key`, arrival);
      }
      this.#measure(place, event, atMs, arrival);
    }
    if (ordered) this.#shown(order, event);
  }

  #measure(place: Place, event: Observation, atMs: number | undefined, arrival: number): void {
    const { lateAfterMs } = this.#rules;
    const { hops, places } = this.#tally;
    const { intendedMicros, enqueuedMs, ingestedMs } = event;
    const arrivedMs = atMs ?? (place === 'store' ? ingestedMs : undefined);
    if (place === 'store') {
      if (intendedMicros !== undefined && enqueuedMs !== undefined)
        hops.enqueue.record(enqueuedMs * 1000 - intendedMicros);
      if (enqueuedMs !== undefined && ingestedMs !== undefined)
        hops.ingest.record((ingestedMs - enqueuedMs) * 1000);
    }
    if (place === 'feed' && atMs !== undefined && ingestedMs !== undefined)
      hops.feed.record((atMs - ingestedMs) * 1000);
    if (arrivedMs === undefined || intendedMicros === undefined) return;
    const totalMicros = arrivedMs * 1000 - intendedMicros;
    if (place === (places.has('feed') ? 'feed' : 'store')) hops.endToEnd.record(totalMicros);
    if (
      lateAfterMs !== undefined &&
      totalMicros > lateAfterMs * 1000 &&
      !did(this.#ledgers.get(event.run), ['late'], event)
    ) {
      const detail = `${Math.round(totalMicros / 1000)} ms after its intended send time`;
      this.#tally.found('late', place, event, detail, arrival);
    }
  }

  /** Takes up what another book had seen and counted. */
  restore(place: Place, run: string, key: string, from: number, to: number): void {
    const { sequences } = this.#seenKey(place, run, key);
    const before = sequences.intervalCount;
    sequences.add(from, to);
    this.#seenBytes += (sequences.intervalCount - before) * INTERVAL_BYTES;
  }

  restoreMark(place: Place, event: Observation): void {
    this.#shown(this.#seenKey(place, event.run, event.key).order, event);
  }

  #shown(order: KeyOrder, event: Observation): void {
    const before = order.marks.length;
    order.shown(event);
    this.#seenBytes += (order.marks.length - before) * MARK_BYTES;
  }

  #seenKey(place: Place, run: string, key: string): SeenKey {
    let keys = this.#seen.get(run);
    if (keys === undefined) {
      keys = new Map();
      this.#seen.set(run, keys);
    }
    let places = keys.get(key);
    if (places === undefined) {
      places = new Map();
      keys.set(key, places);
      this.#keyCount += 1;
      this.#seenBytes += KEY_BYTES + key.length;
    }
    let seen = places.get(place);
    if (seen === undefined) {
      seen = { sequences: new IntervalSet(), order: new KeyOrder() };
      places.set(place, seen);
      this.#seenBytes += PLACE_BYTES;
    }
    return seen;
  }

  *seen(): Generator<{ run: string; key: string; place: Place; seen: SeenKey }> {
    for (const [run, keys] of this.#seen) {
      for (const [key, places] of keys) {
        for (const [place, seen] of places) yield { run, key, place, seen };
      }
    }
  }

  /** Adds what these keys have to say when everything was read. */
  settle(into: Settlement): void {
    for (const { misbehaviour } of this.#ledgers.values()) {
      for (const [kind, keys] of misbehaviour)
        into.injected[kind] = (into.injected[kind] ?? 0) + sizeOf(keys);
    }
    for (const expectation of this.#expectations()) this.#settleKey(expectation, into);
  }

  #settleKey({ run, key, sequences, exempt, unknown }: Expectation, into: Settlement): void {
    const acknowledged = this.#rules.runs.size > 0;
    const missingAnywhere = new IntervalSet();
    const strayAnywhere = new IntervalSet();
    const places = this.#seen.get(run)?.get(key);
    into.acknowledged += sequences.size;
    for (const [place, counts] of into.absent) {
      const seen = places?.get(place)?.sequences ?? NOTHING;
      for (const { from, to } of withoutBoth(sequences, seen, exempt)) {
        counts.lost += to - from + 1;
        into.totals.lost += missingAnywhere.add(from, to);
        into.examples.add(
          `lost ${place}`,
          lostExample({ place, run, key }, { from, to }, places, acknowledged),
        );
      }
      for (const { from, to } of withoutBoth(seen, sequences, unknown)) {
        counts.unexpected += to - from + 1;
        into.totals.unexpected += strayAnywhere.add(from, to);
        into.examples.add(`unexpected ${place}`, {
          kind: 'unexpected',
          place,
          run,
          key,
          sequence: from,
          ...(to > from && { untilSequence: to }),
          lastSeen: place,
          detail: 'was never acknowledged to the producer',
        });
      }
    }
  }

  /** What must be at every place: the ledger's word, else everything between the first and last event seen of a key. */
  *#expectations(): Generator<Expectation> {
    if (this.#rules.runs.size > 0) {
      const runs = new Set([...this.#ledgers.keys(), ...this.#seen.keys()]);
      for (const run of runs) yield* this.#acknowledgedKeys(run);
      return;
    }
    for (const [run, keys] of this.#seen) {
      for (const [key, places] of keys) {
        const all = new IntervalSet();
        for (const { sequences } of places.values()) addAll(all, sequences);
        const [first] = all;
        if (first === undefined) continue;
        const from = Math.min(this.#rules.firstSequence ?? first.from, first.from);
        yield { run, key, sequences: IntervalSet.of([from, all.last]), exempt: NOTHING, unknown: NOTHING };
      }
    }
  }

  *#acknowledgedKeys(run: string): Generator<Expectation> {
    const ledger = this.#ledgers.get(run);
    const expectation = (key: string, sequences: IntervalSet): Expectation => {
      const exempt = new IntervalSet();
      for (const kind of NEVER_STORED) addAll(exempt, ledger?.misbehaviour.get(kind)?.get(key) ?? NOTHING);
      const unknown = ledger?.misbehaviour.get(UNKNOWN)?.get(key) ?? NOTHING;
      return { run, key, sequences, exempt, unknown };
    };
    for (const [key, sequences] of ledger?.keys ?? []) yield expectation(key, sequences);
    for (const key of this.#seen.get(run)?.keys() ?? [])
      if (ledger?.keys.has(key) !== true) yield expectation(key, NOTHING);
  }
}

interface Expectation {
  readonly run: string;
  readonly key: string;
  readonly sequences: IntervalSet;
  /** Absence of these is no loss. */
  readonly exempt: IntervalSet;
  /** Presence of these is as good as absence. */
  readonly unknown: IntervalSet;
}

const NOTHING = new IntervalSet();

/** The members of a set that are in neither of two others. */
function* withoutBoth(set: IntervalSet, one: IntervalSet, other: IntervalSet): Generator<Interval> {
  for (const { from, to } of set.without(one)) yield* IntervalSet.of([from, to]).without(other);
}

function lostExample(
  at: { readonly place: Place; readonly run: string; readonly key: string },
  { from, to }: Interval,
  places: SeenPlaces | undefined,
  acknowledged: boolean,
): Anomaly {
  const seenAt = PLACES.filter((other) => places?.get(other)?.sequences.has(from));
  return {
    kind: 'lost',
    ...at,
    sequence: from,
    ...(to > from && { untilSequence: to }),
    lastSeen: seenAt.at(-1) ?? (acknowledged ? 'event hub' : 'nowhere'),
    detail: seenAt.length > 0 ? `not in the ${at.place}` : acknowledged ? FOUND_NOWHERE : GAP,
  };
}

/** Whether the producer did one of these to the event. */
function did(ledger: RunLedger | undefined, kinds: readonly string[], event: Observation): boolean {
  if (ledger === undefined || ledger.misbehaviour.size === 0) return false;
  return kinds.some((kind) => ledger.misbehaviour.get(kind)?.get(event.key)?.has(event.sequence) === true);
}

/** A batch sent again is no excuse for two items, but it tells where the second one comes from. */
function duplicateDetail(ledger: RunLedger | undefined, event: Observation): string {
  const detail = 'more than one item is stored for this event';
  return did(ledger, ['resent'], event)
    ? `${detail}, whose batch was sent again after a lost answer`
    : detail;
}

function sizeOf(keys: KeyedSequences): number {
  let size = 0;
  for (const intervals of keys.values()) size += intervals.size;
  return size;
}

function addAll(into: IntervalSet, from: IntervalSet): void {
  for (const interval of from) into.add(interval.from, interval.to);
}
