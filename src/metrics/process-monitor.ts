import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The health of the measuring process itself: a starved event loop makes every other figure doubtful. */
export interface ProcessSummary {
  readonly eventLoopDelayP50Ms: number;
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
  readonly cpuUserMs: number;
  readonly cpuSystemMs: number;
  readonly rssMaxBytes: number;
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
  let rssMaxBytes = process.memoryUsage.rss();
  const sampler = setInterval(() => {
    rssMaxBytes = Math.max(rssMaxBytes, process.memoryUsage.rss());
  }, 500);
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
      };
    },
    stop() {
      clearInterval(sampler);
      delay.disable();
      recent.disable();
    },
  };
}
