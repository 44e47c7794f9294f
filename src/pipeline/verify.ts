import { Histogram, type HistogramSummary } from '../metrics/histogram.ts';
import { type Interval, IntervalSet } from './interval-set.ts';
import type { KeyedSequences, RunLedger } from './ledger.ts';
import type { Observation, Unreadable } from './observation.ts';
import { KeyOrder } from './verify-order.ts';

/** A place behind the producer where every acknowledged event must turn up, in pipeline order. */
export type Place = 'store' | 'feed' | 'cache';

const PLACES: readonly Place[] = ['store', 'feed', 'cache'];

export type AnomalyKind = 'lost' | 'duplicated' | 'outOfOrder' | 'late' | 'corrupted' | 'unexpected';

const KINDS: readonly AnomalyKind[] = ['lost', 'duplicated', 'outOfOrder', 'late', 'corrupted', 'unexpected'];

const FOUND_NOWHERE = 'acknowledged by Event Hubs, found nowhere after it';
const GAP = 'a gap in the sequence of its key';

/** Events after which absence is no loss: nothing could have stored them. */
const NEVER_STORED = ['malformed', 'oversized'];

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
   * known, and nothing says that it was wrong ({@link KeyOrder}).
   */
  readonly rewritten: number;
}

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
  readonly examples: readonly Anomaly[];
  /** Misbehaviour that the producer injected, by kind; what it explains is not held against the pipeline. */
  readonly injected: Readonly<Record<string, number>>;
  readonly latency: Readonly<Record<Hop, HistogramSummary>>;
}

/**
 * Stretches of an event's way: intended send time -> accepted by Event Hubs -> write sent to Cosmos DB -> read from the
 * feed. `endToEnd` goes from the intended send time to the feed, or to the write where no feed was observed.
 */
export type Hop = 'enqueue' | 'ingest' | 'feed' | 'endToEnd';

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

/** What was seen of one key at one place. */
interface SeenKey {
  readonly sequences: IntervalSet;
  readonly order: KeyOrder;
}

/** Run -> key -> what was seen at one place. */
type Seen = Map<string, Map<string, SeenKey>>;

interface PlaceState {
  readonly seen: Seen;
  readonly counts: Record<AnomalyKind, number>;
  observed: number;
  events: number;
  redelivered: number;
  rewritten: number;
}

/**
 * Compares what was acknowledged with what is found, as observations stream in. Memory is a few intervals per key and
 * place as long as keys arrive roughly in order.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { ledgers, lateAfterMs, maxExamples = 10 } = options;
  const places = PLACES.filter((place) => options.places.includes(place));
  const states = new Map<Place, PlaceState>(places.map((place) => [place, emptyState()]));
  const examples = createExamples(maxExamples);
  const hops: Record<Hop, Histogram> = {
    enqueue: new Histogram(),
    ingest: new Histogram(),
    feed: new Histogram(),
    endToEnd: new Histogram(),
  };

  const stateOf = (place: Place): PlaceState => {
    const state = states.get(place);
    if (state === undefined) throw new RangeError(`${place} is not among the observed places`);
    return state;
  };

  const found = (kind: AnomalyKind, place: Place, event: Observation, detail: string): void => {
    stateOf(place).counts[kind] += 1;
    const { run, key, sequence, id } = event;
    examples.keep({ kind, place, run, key, sequence, id, lastSeen: positionOf(event) ?? place, detail });
  };

  const observe = (place: Place, event: Observation, atMs?: number): void => {
    const state = stateOf(place);
    state.observed += 1;
    const ledger = ledgers.get(event.run);
    if (ledger === undefined && ledgers.size > 0) return;
    const ordered = place === 'feed' || (place === 'store' && options.storeOrdered === true);
    const { sequences, order } = seenKey(state.seen, event.run, event.key);
    const highest = sequences.last;
    const isNew = sequences.add(event.sequence) > 0;
    if (!isNew) {
      state.redelivered += 1;
      if (place === 'store' && !injected(ledger, ['duplicate'], event))
        found('duplicated', place, event, 'more than one item is stored for this event');
    } else {
      state.events += 1;
      if (ordered && event.sequence < highest && !injected(ledger, ['late', 'outOfOrder'], event)) {
        if (order.isRewritten(event)) state.rewritten += 1;
        else found('outOfOrder', place, event, `comes after ${highest} of the same key`);
      }
    }
    if (ordered) order.shown(event);
    if (isNew) measure(place, event, atMs);
  };

  const measure = (place: Place, event: Observation, atMs: number | undefined): void => {
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
    if (place === (places.includes('feed') ? 'feed' : 'store')) hops.endToEnd.record(totalMicros);
    if (
      lateAfterMs !== undefined &&
      totalMicros > lateAfterMs * 1000 &&
      !injected(ledgers.get(event.run), ['late'], event)
    )
      found('late', place, event, `${Math.round(totalMicros / 1000)} ms after its intended send time`);
  };

  const corrupted = (place: Place, { id, problem }: Unreadable): void => {
    const state = stateOf(place);
    state.observed += 1;
    state.counts.corrupted += 1;
    examples.keep({
      kind: 'corrupted',
      place,
      run: '',
      key: '',
      sequence: -1,
      id,
      lastSeen: place,
      detail: problem,
    });
  };

  const verdict = (): Verdict => {
    const expected = expectations(options, states);
    const totals = emptyCounts();
    const absences = createExamples(maxExamples);
    for (const state of states.values()) {
      state.counts.lost = 0;
      state.counts.unexpected = 0;
    }
    let acknowledged = 0;
    for (const { run, key, sequences, exempt } of expected) {
      const missingAnywhere = new IntervalSet();
      const strayAnywhere = new IntervalSet();
      acknowledged += sequences.size;
      for (const [place, state] of states) {
        const seen = state.seen.get(run)?.get(key)?.sequences ?? new IntervalSet();
        for (const gap of sequences.without(seen)) {
          for (const { from, to } of IntervalSet.of([gap.from, gap.to]).without(exempt)) {
            state.counts.lost += to - from + 1;
            totals.lost += missingAnywhere.add(from, to);
            absences.keep(lostExample(place, run, key, { from, to }, states, ledgers.size > 0));
          }
        }
        for (const { from, to } of seen.without(sequences)) {
          state.counts.unexpected += to - from + 1;
          totals.unexpected += strayAnywhere.add(from, to);
          absences.keep({
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
    for (const { counts } of states.values()) {
      for (const kind of ['duplicated', 'outOfOrder', 'late', 'corrupted'] as const)
        totals[kind] += counts[kind];
    }
    return {
      ok: KINDS.every((kind) => kind === 'unexpected' || totals[kind] === 0),
      acknowledged,
      ledger: ledgerState(ledgers),
      places: [...states].map(([place, { observed, events, counts, redelivered, rewritten }]) => ({
        place,
        observed,
        events,
        counts: { ...counts },
        redelivered,
        rewritten,
      })),
      totals,
      examples: [...absences.list, ...examples.list],
      injected: injectedCounts(ledgers),
      latency: {
        enqueue: hops.enqueue.summary(),
        ingest: hops.ingest.summary(),
        feed: hops.feed.summary(),
        endToEnd: hops.endToEnd.summary(),
      },
    };
  };

  return { observe, corrupted, verdict, eventsAt: (place) => stateOf(place).events };
}

interface Examples {
  readonly list: readonly Anomaly[];
  keep(anomaly: Anomaly): void;
}

function createExamples(maxPerKindAndPlace: number): Examples {
  const list: Anomaly[] = [];
  const counts = new Map<string, number>();
  return {
    list,
    keep(anomaly) {
      const slot = `${anomaly.kind} ${anomaly.place}`;
      const kept = counts.get(slot) ?? 0;
      if (kept >= maxPerKindAndPlace) return;
      counts.set(slot, kept + 1);
      list.push(anomaly);
    },
  };
}

interface Expectation {
  readonly run: string;
  readonly key: string;
  readonly sequences: IntervalSet;
  /** Absence of these is no loss. */
  readonly exempt: IntervalSet;
}

/** What must be at every place: the ledger's word, else everything between the first and last event seen of a key. */
function* expectations(
  { ledgers, firstSequence }: VerifierOptions,
  states: ReadonlyMap<Place, PlaceState>,
): Generator<Expectation> {
  const none = new IntervalSet();
  const seenKeys = (run: string): Set<string> =>
    new Set([...states.values()].flatMap((state) => [...(state.seen.get(run)?.keys() ?? [])]));
  if (ledgers.size > 0) {
    for (const { run, keys, misbehaviour } of ledgers.values()) {
      for (const key of new Set([...keys.keys(), ...seenKeys(run)])) {
        const exempt = new IntervalSet();
        for (const kind of NEVER_STORED) addAll(exempt, misbehaviour.get(kind)?.get(key) ?? none);
        yield { run, key, sequences: keys.get(key) ?? none, exempt };
      }
    }
    return;
  }
  const runs = new Set([...states.values()].flatMap((state) => [...state.seen.keys()]));
  for (const run of runs) {
    for (const key of seenKeys(run)) {
      const all = new IntervalSet();
      for (const state of states.values()) addAll(all, state.seen.get(run)?.get(key)?.sequences ?? none);
      const [first] = all;
      if (first === undefined) continue;
      const from = Math.min(firstSequence ?? first.from, first.from);
      yield { run, key, sequences: IntervalSet.of([from, all.last]), exempt: none };
    }
  }
}

function lostExample(
  place: Place,
  run: string,
  key: string,
  { from, to }: Interval,
  states: ReadonlyMap<Place, PlaceState>,
  acknowledged: boolean,
): Anomaly {
  const seenAt = PLACES.filter((other) => states.get(other)?.seen.get(run)?.get(key)?.sequences.has(from));
  return {
    kind: 'lost',
    place,
    run,
    key,
    sequence: from,
    ...(to > from && { untilSequence: to }),
    lastSeen: seenAt.at(-1) ?? (acknowledged ? 'event hub' : 'nowhere'),
    detail: seenAt.length > 0 ? `not in the ${place}` : acknowledged ? FOUND_NOWHERE : GAP,
  };
}

function injected(ledger: RunLedger | undefined, kinds: readonly string[], event: Observation): boolean {
  return kinds.some((kind) => ledger?.misbehaviour.get(kind)?.get(event.key)?.has(event.sequence) === true);
}

function injectedCounts(ledgers: ReadonlyMap<string, RunLedger>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { misbehaviour } of ledgers.values()) {
    for (const [kind, keys] of misbehaviour) counts[kind] = (counts[kind] ?? 0) + sizeOf(keys);
  }
  return counts;
}

function ledgerState(ledgers: ReadonlyMap<string, RunLedger>): Verdict['ledger'] {
  if (ledgers.size === 0) return 'none';
  return [...ledgers.values()].every((ledger) => ledger.complete) ? 'complete' : 'incomplete';
}

function sizeOf(keys: KeyedSequences): number {
  let size = 0;
  for (const intervals of keys.values()) size += intervals.size;
  return size;
}

function addAll(into: IntervalSet, from: IntervalSet): void {
  for (const interval of from) into.add(interval.from, interval.to);
}

function seenKey(seen: Seen, run: string, key: string): SeenKey {
  let keys = seen.get(run);
  if (keys === undefined) {
    keys = new Map();
    seen.set(run, keys);
  }
  let entry = keys.get(key);
  if (entry === undefined) {
    entry = { sequences: new IntervalSet(), order: new KeyOrder() };
    keys.set(key, entry);
  }
  return entry;
}

/** `partition/sequence number`. */
function positionOf({ partition, sequenceNumber }: Observation): string | undefined {
  return partition === undefined ? undefined : `${partition}/${sequenceNumber}`;
}

function emptyState(): PlaceState {
  return { seen: new Map(), counts: emptyCounts(), observed: 0, events: 0, redelivered: 0, rewritten: 0 };
}

function emptyCounts(): Record<AnomalyKind, number> {
  return { lost: 0, duplicated: 0, outOfOrder: 0, late: 0, corrupted: 0, unexpected: 0 };
}
