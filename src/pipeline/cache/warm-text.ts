import { counted, formatCount, formatShare } from '../../cache/text.ts';
import { formatBytes } from '../../util/bytes.ts';
import { formatDurationMs } from '../../util/duration.ts';
import type { WarmEstimate, WarmResult } from './warm.ts';

export function warmText(result: WarmResult): string {
  const { written, kept, tooLarge, notFound, sizeBytes, requestCharge, durationMs, verified, stopped } =
    result;
  const seconds = Math.max(durationMs, 1) / 1000;
  const left = [
    ...(kept > 0 ? [`${formatCount(kept)} kept`] : []),
    ...(tooLarge > 0 ? [`${formatCount(tooLarge)} too large`] : []),
    ...(notFound > 0 ? [`${formatCount(notFound)} without an item`] : []),
  ];
  return [
    `written  ${counted(written, 'entry').replace(/entrys$/, 'entries')}, ${formatBytes(sizeBytes)} in ${formatDurationMs(durationMs)} (${formatCount(written / seconds)}/s)`,
    ...(left.length > 0 ? [`left     ${left.join('   ')}`] : []),
    `charge   ${formatCount(requestCharge)} RU   ${formatCount(requestCharge / seconds)} RU/s`,
    ...(verified
      ? [
          `verified ${formatCount(verified.checked)} read back   ${formatCount(verified.missing)} missing   ${formatCount(verified.different)} different   (${formatShare(verified.checked - verified.missing - verified.different, verified.checked)} as written)`,
        ]
      : []),
    ...(stopped === 'memory' ? ['stopped  the server reached --max-memory'] : []),
    ...(stopped === 'interrupted' ? ['stopped  interrupted; what is written stays'] : []),
  ].join('\n');
}

export function estimateText(estimate: WarmEstimate): string {
  const { items, bytesPerItem, sizeBytes, requestCharge, requestChargePerItem, seconds, previewCharge } =
    estimate;
  const unknown = 'unknown without reading everything';
  return [
    `items    ${items === undefined ? unknown : formatCount(items)}`,
    `memory   ${sizeBytes === undefined ? unknown : formatBytes(sizeBytes)}   (${formatBytes(Math.round(bytesPerItem))} per item, without the server's own overhead)`,
    `charge   ${requestCharge === undefined ? unknown : `${formatCount(requestCharge)} RU`}   (${requestChargePerItem.toFixed(3)} RU per item)`,
    ...(seconds === undefined ? [] : [`time     ${formatDurationMs(seconds * 1000)} at --max-ru`]),
    `this estimate took ${previewCharge.toFixed(2)} RU for one page; nothing was written`,
  ].join('\n');
}
