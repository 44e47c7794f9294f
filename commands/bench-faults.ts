import { askStack } from '../src/local/admin-client.ts';
import { parseFault } from '../src/local/faults/grammar.ts';
import type { Clock } from '../src/util/clock.ts';
import { usageError } from '../src/util/errors.ts';

export interface BenchFaults {
  /** Sets the faults when the load begins, so that their times count from there. */
  begin(startMicros: number): void;
  /** Everything is sent: only faults with a duration of their own go on. */
  sent(): Promise<void>;
  /** Removes all of them; rejects with what went wrong when they were set. */
  end(): Promise<void>;
  /** After the end: what the run did not meet, because it was over before. */
  neverBegan(): readonly string[];
}

/** Faults of the embedded stack for the time of one load. Throws E_USAGE where there is no embedded stack to disturb. */
export function benchFaults(
  specs: readonly string[],
  adminUrl: string | undefined,
  clock: Clock,
): BenchFaults {
  if (specs.length === 0)
    return { begin: () => {}, sent: async () => {}, end: async () => {}, neverBegan: () => [] };
  if (adminUrl === undefined)
    throw usageError(
      'faults disturb the embedded stack only, and the target is another one',
      'leave the target out, or pass --local',
    );
  const ended = new AbortController();
  let setting: Promise<void> = Promise.resolve();
  let beganMicros = Number.POSITIVE_INFINITY;
  /** From the begin of the load. */
  let sentMs: number | undefined;
  let endedMs: number | undefined;
  const elapsedMs = (): number => Math.max(0, (clock.epochMicros() - beganMicros) / 1000);
  const set = async (startMicros: number): Promise<void> => {
    const waitMs = (startMicros - clock.epochMicros()) / 1000;
    if (waitMs > 0) await clock.sleep(waitMs, ended.signal).catch(() => {});
    if (ended.signal.aborted) return;
    for (const spec of specs) await askStack(adminUrl, 'POST', '/faults', { spec });
  };
  return {
    begin(startMicros) {
      beganMicros = startMicros;
      setting = set(startMicros);
      setting.catch(() => {});
    },
    async sent() {
      const nowMs = elapsedMs();
      sentMs = nowMs;
      const lasting = specs.flatMap((spec) => outlasting(spec, nowMs));
      await setting;
      await askStack(adminUrl, 'DELETE', '/faults');
      for (const spec of lasting) await askStack(adminUrl, 'POST', '/faults', { spec });
    },
    async end() {
      endedMs ??= elapsedMs();
      ended.abort();
      await setting;
      await askStack(adminUrl, 'DELETE', '/faults');
    },
    neverBegan: () =>
      specs.filter((spec) => {
        const { durationMs, startMs } = parseFault(spec);
        return startMs >= ((Number.isFinite(durationMs) ? endedMs : sentMs) ?? 0);
      }),
  };
}

/** What is left of a fault that was to last longer than the load: `cosmos:throttle=5%@10s+30s` after 25 s is `...@0ms+15000ms`. */
function outlasting(spec: string, elapsedMs: number): string[] {
  const { durationMs, startMs } = parseFault(spec);
  const endMs = startMs + durationMs;
  if (!Number.isFinite(durationMs) || endMs <= elapsedMs) return [];
  const [what] = spec.split(/[@+]/, 1);
  const fromMs = Math.round(Math.max(0, startMs - elapsedMs));
  return [`${what}@${fromMs}ms+${Math.round(endMs - Math.max(startMs, elapsedMs))}ms`];
}
