import { formatBytes } from '../util/bytes.ts';
import { formatDurationMs } from '../util/duration.ts';
import type { HotReport } from './hot-report.ts';
import type { PrefixShare } from './prefix-sample.ts';
import type { CacheInterval } from './stats.ts';
import { formatCount, formatShare } from './text.ts';

/** One line per interval, as `-n 0` prints them. */
export function intervalLine({
  hits,
  misses,
  operationsPerSecond,
  evicted,
  expired,
  usedMemoryBytes,
  keys,
}: CacheInterval): string {
  return [
    `hit rate ${formatShare(hits, hits + misses)}`,
    `${formatCount(operationsPerSecond)} ops/s`,
    `${formatCount(keys)} keys`,
    formatBytes(usedMemoryBytes),
    `${formatCount(evicted)} evicted`,
    `${formatCount(expired)} expired`,
  ].join('   ');
}

export function intervalText(interval: CacheInterval): string {
  const { hits, misses, maxMemoryBytes, usedMemoryBytes, evictionPolicy } = interval;
  const limit =
    maxMemoryBytes === 0
      ? 'no limit'
      : `${formatShare(usedMemoryBytes, maxMemoryBytes)} of ${formatBytes(maxMemoryBytes)}`;
  return [
    `hit rate ${formatShare(hits, hits + misses)}   ${formatCount(hits)} hits   ${formatCount(misses)} misses   in ${formatDurationMs(interval.intervalMs)}`,
    `traffic  ${formatCount(interval.operationsPerSecond)} ops/s   in ${formatBytes(Math.round(interval.inputBytesPerSecond))}/s   out ${formatBytes(Math.round(interval.outputBytesPerSecond))}/s   ${interval.clients} clients`,
    `memory   ${formatBytes(usedMemoryBytes)}   ${limit}   ${evictionPolicy}`,
    `keys     ${formatCount(interval.keys)}   ${formatCount(interval.evicted)} evicted   ${formatCount(interval.expired)} expired`,
  ].join('\n');
}

export function prefixText(prefixes: readonly PrefixShare[]): string {
  const rows = prefixes.slice(0, 10).map(({ prefix, share, meanBytes, ttlMedianMs, withoutTtl }) => {
    const life = ttlMedianMs === undefined ? 'no expiry' : `${formatDurationMs(ttlMedianMs)} left (median)`;
    const forever = withoutTtl > 0 && ttlMedianMs !== undefined ? `, ${withoutTtl} without expiry` : '';
    return `         ${prefix.padEnd(24)} ${formatShare(share, 1).padStart(6)}   ${formatBytes(Math.round(meanBytes))}/key   ${life}${forever}`;
  });
  const looked = prefixes.reduce((sum, { keys }) => sum + keys, 0);
  return [`prefixes of ${formatCount(looked)} keys looked at`, ...rows].join('\n');
}

export function hotText({ keys, gini }: HotReport): string {
  const rows = keys
    .slice(0, 10)
    .map(
      ({ key, share, slot, node }) =>
        `         ${key.padEnd(40)} ${formatShare(share, 1).padStart(6)}   slot ${slot}   ${node}`,
    );
  return [`hot keys skew ${gini.toFixed(2)} (0 even, 1 one key takes everything)`, ...rows].join('\n');
}
