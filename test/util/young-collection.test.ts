import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { expect, it } from 'vitest';
import { youngCollector } from '../../src/util/young-collection.ts';
import { eventually } from '../helpers/eventually.ts';

const MIB = 1024 * 1024;

it('collects the young generation once for every 4 MiB', async () => {
  const forced: number[] = [];
  const observer = new PerformanceObserver((list) => {
    // The declarations of Node 20 lack the detail of GC entries.
    for (const { detail } of list.getEntries() as (PerformanceEntry & { detail: unknown })[]) {
      const { flags, kind } = detail as { flags: number; kind: number };
      if (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) forced.push(kind);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  try {
    const sent = youngCollector();
    for (let mebibytes = 0; mebibytes < 11; mebibytes += 1) sent(MIB);
    await eventually(() =>
      expect(forced).toEqual([constants.NODE_PERFORMANCE_GC_MINOR, constants.NODE_PERFORMANCE_GC_MINOR]),
    );
  } finally {
    observer.disconnect();
  }
});
