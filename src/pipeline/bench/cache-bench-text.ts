import type { LoadResult } from '../../cache/load.ts';
import { formatCount, formatShare } from '../../cache/text.ts';
import { formatDurationMs } from '../../util/duration.ts';
import type { CacheBenchResult } from './cache-bench.ts';

export function cacheBenchText(result: CacheBenchResult): string {
  const { uncached, cached, cost, hitRate, stampedeFactor, requestChargeSaved, speedup, keys } = result;
  return [
    loadLine('uncached', uncached),
    loadLine('cached  ', cached),
    ...Object.entries(cached.latencyByResult).map(
      ([name, latency]) =>
        `  ${name.padEnd(10)} ${formatCount(latency.count).padStart(9)}   p50 ${formatDurationMs(latency.p50Ms)}   p99 ${formatDurationMs(latency.p99Ms)}   max ${formatDurationMs(latency.maxMs)}`,
    ),
    `hit rate ${formatShare(hitRate, 1)} of ${formatCount(cached.requests)} (${keys}, cold start)   stampede factor ${stampedeFactor?.toFixed(2) ?? '-'}`,
    `charge   ${formatCount(uncached.requestCharge)} RU without   ${formatCount(cached.requestCharge)} RU with   ${formatCount(requestChargeSaved)} RU saved (${formatShare(requestChargeSaved, uncached.requestCharge)})`,
    `speed    ${speedup.toFixed(2)} times the throughput`,
    `cost     saves ${cost.savedPerMonth.toFixed(2)} a month at this load, the cache costs ${cost.cachePerMonth.toFixed(2)}: ${
      cost.breakEvenHitRate > 1
        ? 'no hit rate pays for it'
        : `pays from a hit rate of ${formatShare(cost.breakEvenHitRate, 1)}`
    }`,
  ].join('\n');
}

function loadLine(
  name: string,
  { requestsPerSecond, latency, requestCharge, errors, requests }: LoadResult,
): string {
  return `${name} ${formatCount(requestsPerSecond).padStart(7)}/s   p50 ${formatDurationMs(latency.p50Ms)}   p99 ${formatDurationMs(latency.p99Ms)}   ${(requestCharge / Math.max(1, requests)).toFixed(3)} RU/request   ${formatCount(errors)} errors`;
}
