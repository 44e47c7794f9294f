import type { Clock } from '../util/clock.ts';

/**
 * Holds work back to `perSecond` units on average since the start. `spent` is told what was used and resolves when the
 * next work may begin; without a rate it never waits.
 */
export function createPacer(
  perSecond: number | undefined,
  clock: Clock,
): { spent(units: number, signal?: AbortSignal): Promise<void> } {
  const startedMs = clock.now();
  let used = 0;
  return {
    async spent(units, signal) {
      used += units;
      if (perSecond === undefined) return;
      const aheadMs = (used / perSecond) * 1000 - (clock.now() - startedMs);
      if (aheadMs > 0) await clock.sleep(aheadMs, signal);
    },
  };
}
