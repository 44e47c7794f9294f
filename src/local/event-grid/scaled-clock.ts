import type { Clock } from '../../util/clock.ts';

/**
 * A clock on which one second lasts `timeScale` seconds: with 0.001 a day of retries takes 86 seconds. Wall time stays
 * real, because it is shown and stored.
 */
export function scaledClock(clock: Clock, timeScale: number): Clock {
  if (timeScale === 1) return clock;
  return {
    now: () => clock.now() / timeScale,
    epochMicros: () => clock.epochMicros(),
    sleep: (ms, signal) => clock.sleep(ms * timeScale, signal),
  };
}
