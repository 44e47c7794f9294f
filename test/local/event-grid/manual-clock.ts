import { type Clock, systemClock } from '../../../src/util/clock.ts';

/** Time that stands still until the test moves it, for a service behind a real socket: no pause of a process can outlast it. */
export interface ManualClock extends Clock {
  /** How many wait now. */
  readonly sleepers: number;
  /** Moves time on, and wakes whoever slept until then. */
  advance(ms: number): void;
}

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

export function createManualClock(): ManualClock {
  let now = 0;
  const epochMicros = systemClock.epochMicros();
  const sleepers = new Set<Sleeper>();
  return {
    now: () => now,
    epochMicros: () => epochMicros + now * 1000,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const sleeper: Sleeper = { at: now + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        });
      }),
    get sleepers() {
      return sleepers.size;
    },
    advance(ms) {
      now += ms;
      for (const sleeper of sleepers) {
        if (sleeper.at > now) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}
