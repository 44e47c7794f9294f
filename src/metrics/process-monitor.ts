import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Series, SlotClock } from './series.ts';

/** One hour at one second; longer runs have coarser slots. */
const MAX_SLOTS = 3_600;

/** The health of the measuring process itself: a starved event loop makes every other figure doubtful. */
export interface ProcessSummary {
  readonly eventLoopDelayP50Ms: number;
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
  readonly cpuUserMs: number;
  readonly cpuSystemMs: number;
  readonly rssMaxBytes: number;
  /** Memory over time, the greatest of each interval; absent where it was not sampled. */
  readonly rssSeries?: { readonly intervalMs: number; readonly bytes: readonly number[] };
}

export interface ProcessMonitor {
  /** Event-loop delay (p99) since this was asked last, for a live view. */
  recentDelayMs(): number;
  summary(): ProcessSummary;
  stop(): void;
}

/** Measures event-loop delay, CPU time and memory of this process from now on. */
export function startProcessMonitor(): ProcessMonitor {
  const resolutionMs = 10;
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const recent = monitorEventLoopDelay({ resolution: resolutionMs });
  recent.enable();
  const cpuBefore = process.cpuUsage();
  const rss = new Series('max');
  const slots = new SlotClock(performance.now(), MAX_SLOTS, () => rss.halve());
  let rssMaxBytes = 0;
  let slot = 0;
  const sample = (): void => {
    const bytes = process.memoryUsage.rss();
    // A slot that a late timer skipped would read as no memory at all.
    const before = slot;
    slot = slots.slotAt(performance.now());
    for (let missed = before + 1; missed <= slot; missed += 1) rss.record(missed, bytes);
    rss.record(slot, bytes);
    rssMaxBytes = Math.max(rssMaxBytes, bytes);
  };
  sample();
  const sampler = setInterval(sample, 500);
  sampler.unref();
  // The histogram holds the time between two timers, so the resolution itself is no delay.
  const ms = (nanos: number): number =>
    Number.isFinite(nanos) ? Math.max(0, Math.round(nanos / 1e4 - resolutionMs * 100) / 100) : 0;
  return {
    recentDelayMs() {
      const delayMs = ms(recent.percentile(99));
      recent.reset();
      return delayMs;
    },
    summary() {
      const cpu = process.cpuUsage(cpuBefore);
      return {
        eventLoopDelayP50Ms: ms(delay.percentile(50)),
        eventLoopDelayP99Ms: ms(delay.percentile(99)),
        eventLoopDelayMaxMs: ms(delay.max),
        cpuUserMs: cpu.user / 1000,
        cpuSystemMs: cpu.system / 1000,
        rssMaxBytes,
        rssSeries: { intervalMs: slots.intervalMs, bytes: rss.toArray(slot + 1) },
      };
    },
    stop() {
      clearInterval(sampler);
      delay.disable();
      recent.disable();
    },
  };
}
