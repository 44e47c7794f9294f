/** What happened to one event, in order. */
export interface TraceEntry {
  /** ISO time. */
  readonly at: string;
  readonly subscription?: string;
  readonly step:
    | 'published'
    | 'matched'
    | 'unmatched'
    | 'attempt'
    | 'received'
    | 'settled'
    | 'deadLettered'
    | 'dropped';
  /** Why a filter did not match, the status of an attempt, when the next one is due. */
  readonly detail?: string;
}

export interface Trace {
  add(eventId: string, entry: TraceEntry): void;
  of(eventId: string): readonly TraceEntry[] | undefined;
}

const MAX_ENTRIES_PER_EVENT = 200;

/** Remembers the last `capacity` events. */
export function createTrace(capacity: number): Trace {
  const events = new Map<string, TraceEntry[]>();
  return {
    add(eventId, entry) {
      let entries = events.get(eventId);
      if (entries === undefined) {
        if (events.size >= capacity) events.delete(events.keys().next().value as string);
        entries = [];
        events.set(eventId, entries);
      }
      if (entries.length < MAX_ENTRIES_PER_EVENT) entries.push(entry);
    },
    of: (eventId) => events.get(eventId),
  };
}
