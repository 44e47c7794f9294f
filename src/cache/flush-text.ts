import { formatBytes } from '../util/bytes.ts';
import { formatDurationMs } from '../util/duration.ts';
import type { FlushPreview, FlushResult } from './flush.ts';
import { counted, formatCount } from './text.ts';

export function previewText(preview: FlushPreview, address: string): string {
  const { keys, sample, memoryBytes, measuredKeys, nodes, ttlMedianMs, withoutTtl } = preview;
  if (keys === 0) return `No key on ${address} begins with ${preview.prefix}`;
  const measured = measuredKeys < keys ? `, estimated from ${formatCount(measuredKeys)}` : '';
  const life = ttlMedianMs === undefined ? 'none expires' : `median ${formatDurationMs(ttlMedianMs)} left`;
  const forever =
    withoutTtl > 0 && ttlMedianMs !== undefined ? `, ${formatCount(withoutTtl)} never expire` : '';
  return [
    `keys     ${formatCount(keys)} on ${address} begin with ${preview.prefix}`,
    `memory   ${formatBytes(memoryBytes)}${measured}`,
    `expiry   ${life}${forever}`,
    ...(nodes.length > 1
      ? [`nodes    ${nodes.map((node) => `${node.address} ${formatCount(node.keys)}`).join('   ')}`]
      : []),
    `sample   ${sample.slice(0, 3).join('\n         ')}`,
  ].join('\n');
}

export function flushText({ deleted, durationMs, complete, prefix }: FlushResult): string {
  const rate = durationMs > 0 ? ` (${formatCount((deleted / durationMs) * 1000)}/s)` : '';
  return [
    `deleted  ${counted(deleted, 'key')} in ${formatDurationMs(durationMs)}${rate}`,
    ...(complete ? [] : [`stopped early: more keys may begin with ${prefix}`]),
  ].join('\n');
}
