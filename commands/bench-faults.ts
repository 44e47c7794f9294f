import { askStack } from '../src/local/admin-client.ts';
import type { Clock } from '../src/util/clock.ts';
import { usageError } from '../src/util/errors.ts';

export interface BenchFaults {
  /** Sets the faults when the load begins, so that their times count from there. */
  begin(startMicros: number): void;
  /** Removes them; rejects with what went wrong when they were set. */
  end(): Promise<void>;
}

/** Faults of the embedded stack for the time of one load. Throws E_USAGE where there is no embedded stack to disturb. */
export function benchFaults(
  specs: readonly string[],
  adminUrl: string | undefined,
  clock: Clock,
): BenchFaults {
  if (specs.length === 0) return { begin: () => {}, end: async () => {} };
  if (adminUrl === undefined)
    throw usageError(
      'faults disturb the embedded stack only, and the target is another one',
      'leave the target out, or pass --local',
    );
  const ended = new AbortController();
  let setting: Promise<void> = Promise.resolve();
  const set = async (startMicros: number): Promise<void> => {
    const waitMs = (startMicros - clock.epochMicros()) / 1000;
    if (waitMs > 0) await clock.sleep(waitMs, ended.signal).catch(() => {});
    if (ended.signal.aborted) return;
    for (const spec of specs) await askStack(adminUrl, 'POST', '/faults', { spec });
  };
  return {
    begin(startMicros) {
      setting = set(startMicros);
      setting.catch(() => {});
    },
    async end() {
      ended.abort();
      await setting;
      await askStack(adminUrl, 'DELETE', '/faults');
    },
  };
}
