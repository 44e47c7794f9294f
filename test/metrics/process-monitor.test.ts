import { expect, it } from 'vitest';
import { startProcessMonitor } from '../../src/metrics/process-monitor.ts';
import { eventually } from '../helpers/eventually.ts';

it('samples the memory of this process from the start, with no gap where a timer came late', async () => {
  const monitor = startProcessMonitor();
  try {
    const first = monitor.summary();
    expect(first.rssSeries).toEqual({ intervalMs: 1_000, bytes: [first.rssMaxBytes] });
    // An event loop that is blocked samples nothing meanwhile.
    const until = performance.now() + 2_100;
    while (performance.now() < until);
    await eventually(() => (monitor.summary().rssSeries?.bytes.length ?? 0) > 2);
    const { rssMaxBytes, rssSeries } = monitor.summary();
    expect(rssSeries?.bytes.every((bytes) => bytes > 1e6)).toBe(true);
    expect(Math.max(...(rssSeries?.bytes ?? []))).toBe(rssMaxBytes);
  } finally {
    monitor.stop();
  }
});
