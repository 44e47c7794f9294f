import type { Clock } from '../util/clock.ts';

export interface Pace {
  /** Resolves when a request of this size may start. Rejects when the signal aborts first. */
  take(events: number, bytes: number, signal: AbortSignal | undefined): Promise<void>;
}

/**
 * Spreads requests so that neither limit is exceeded in any second: each reserves the time that its events or its bytes
 * need, whichever is longer. Nothing is saved up while idle. 0 = no limit.
 */
export function createPace(clock: Clock, eventsPerSecond: number, bytesPerSecond: number): Pace {
  let freeAt = Number.NEGATIVE_INFINITY;
  return {
    async take(events, bytes, signal) {
      const now = clock.now();
      const startAt = Math.max(now, freeAt);
      const seconds = Math.max(
        eventsPerSecond > 0 ? events / eventsPerSecond : 0,
        bytesPerSecond > 0 ? bytes / bytesPerSecond : 0,
      );
      freeAt = startAt + seconds * 1000;
      if (startAt > now) await clock.sleep(startAt - now, signal);
    },
  };
}
