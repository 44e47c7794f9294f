import type { Clock } from '../../util/clock.ts';
import type { Random } from '../../util/random.ts';
import { FAULT_KINDS, type FaultKind, type FaultService, type FaultSpec, parseFault } from './grammar.ts';

/** One strike of a fault, as the service meets it. */
export interface DrawnFault {
  readonly kind: FaultKind;
  /** Milliseconds to hold the operation back; 0 for every kind but `latency`. */
  readonly delayMs: number;
  /** The specification that struck, for logs. */
  readonly spec: string;
}

export interface FaultStatus {
  readonly spec: string;
  readonly state: 'scheduled' | 'active' | 'spent';
  /** How often it struck so far. */
  readonly struck: number;
}

export interface FaultHandle {
  readonly spec: string;
  remove(): void;
}

/** The faults of one embedded service: set by flag or at run time, asked for on the hot path. */
export interface Faults {
  readonly service: FaultService;
  /** False when nothing is set, so that a hot path can skip every draw with one test. */
  readonly any: boolean;
  /** @throws RangeError when the specification is malformed or of another service. */
  add(spec: string): FaultHandle;
  clear(): void;
  list(): readonly FaultStatus[];
  /** Decides whether an operation meets a fault of this kind now. Costs one property read when none is set. */
  draw(kind: FaultKind): DrawnFault | undefined;
  /**
   * Takes over the counted faults of a kind: `strike` is called by time (once per count, at the start of the fault)
   * instead of by the next operation. For what befalls a service by itself: a connection reset, a partition split.
   *
   * @returns a function that ends the subscription.
   */
  onDue(kind: FaultKind, strike: (fault: DrawnFault) => void): () => void;
}

export interface FaultsOptions {
  readonly random: Random;
  readonly clock: Clock;
}

interface Entry {
  readonly spec: FaultSpec;
  readonly startsAt: number;
  readonly endsAt: number;
  readonly timer: AbortController;
  remaining: number;
  struck: number;
}

export function createFaults(service: FaultService, { random, clock }: FaultsOptions): Faults {
  const known: readonly string[] = FAULT_KINDS[service];
  const entries = new Map<FaultKind, Entry[]>();
  const listeners = new Map<FaultKind, Set<(fault: DrawnFault) => void>>();
  let any = false;

  const all = (): Entry[] => [...entries.values()].flat();
  const isSpent = (entry: Entry, now: number): boolean => entry.remaining <= 0 || now >= entry.endsAt;

  function remove(entry: Entry): void {
    entry.timer.abort();
    const rest = (entries.get(entry.spec.kind) ?? []).filter((other) => other !== entry);
    if (rest.length > 0) entries.set(entry.spec.kind, rest);
    else entries.delete(entry.spec.kind);
    any = entries.size > 0;
  }

  function strike(entry: Entry): DrawnFault {
    const { kind, text, value } = entry.spec;
    entry.struck++;
    entry.remaining--;
    const delayMs =
      value.type === 'duration' ? Math.max(0, value.ms + (random.next() * 2 - 1) * value.jitterMs) : 0;
    return { kind, delayMs, spec: text };
  }

  function strikeListeners(entry: Entry): void {
    const subscribed = listeners.get(entry.spec.kind);
    if (entry.spec.value.type !== 'count' || subscribed === undefined) return;
    while (entry.remaining > 0) {
      const fault = strike(entry);
      for (const listener of subscribed) listener(fault);
    }
  }

  function schedule(entry: Entry): void {
    if (entry.spec.value.type !== 'count') return;
    clock.sleep(entry.spec.startMs, entry.timer.signal).then(
      () => strikeListeners(entry),
      () => {},
    );
  }

  return {
    service,
    get any() {
      return any;
    },
    add(text) {
      const spec = parseFault(text);
      if (spec.service !== service)
        throw new RangeError(
          `fault "${text}" is for ${spec.service}, this is ${service} (kinds: ${known.join(', ')})`,
        );
      const startsAt = clock.now() + spec.startMs;
      const entry: Entry = {
        spec,
        startsAt,
        endsAt: startsAt + spec.durationMs,
        timer: new AbortController(),
        remaining: spec.value.type === 'count' ? spec.value.count : Number.POSITIVE_INFINITY,
        struck: 0,
      };
      entries.set(spec.kind, [...(entries.get(spec.kind) ?? []), entry]);
      any = true;
      schedule(entry);
      return { spec: spec.text, remove: () => remove(entry) };
    },
    clear() {
      for (const entry of all()) remove(entry);
    },
    list() {
      const now = clock.now();
      return all().map((entry) => ({
        spec: entry.spec.text,
        state: isSpent(entry, now) ? 'spent' : now < entry.startsAt ? 'scheduled' : 'active',
        struck: entry.struck,
      }));
    },
    draw(kind) {
      if (!any) return undefined;
      const candidates = entries.get(kind);
      if (candidates === undefined) return undefined;
      const now = clock.now();
      for (const entry of candidates) {
        if (now < entry.startsAt || isSpent(entry, now)) continue;
        const { value } = entry.spec;
        if (value.type === 'probability' && random.next() >= value.probability) continue;
        return strike(entry);
      }
      return undefined;
    },
    onDue(kind, listener) {
      const subscribed = listeners.get(kind) ?? new Set();
      listeners.set(kind, subscribed.add(listener));
      return () => {
        subscribed.delete(listener);
        if (subscribed.size === 0) listeners.delete(kind);
      };
    },
  };
}
