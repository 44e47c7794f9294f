import type { Clock } from './clock.ts';

/** How long nothing has happened, as far as this process was awake to see it. */
export interface Quiet {
  /** Something happened. */
  broken(): void;
  /** Milliseconds of quiet so far. To be asked every `everyMs`: a look that comes much later counts as one of two times that. */
  lookMs(): number;
}

/**
 * A process that stood still (a suspended machine, a throttled container) would take the pause for quiet: its timers come
 * before what has been waiting in the sockets meanwhile.
 */
export function watchQuiet(clock: Pick<Clock, 'now'>, everyMs: number): Quiet {
  let lookedAt = clock.now();
  let quietMs = 0;
  return {
    broken() {
      lookedAt = clock.now();
      quietMs = 0;
    },
    lookMs() {
      const now = clock.now();
      quietMs += Math.min(now - lookedAt, 2 * everyMs);
      lookedAt = now;
      return quietMs;
    },
  };
}
