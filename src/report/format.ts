import { formatBytes } from '../util/bytes.ts';
import { formatDurationMs } from '../util/duration.ts';
import type { MetricUnit } from './metric-catalog.ts';

/** `12,345`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Two decimals below a hundred, none above: request units, rates of anything small. */
export function formatFigure(value: number): string {
  return Math.abs(value) < 100 && !Number.isInteger(value)
    ? value.toLocaleString('en-US', { maximumFractionDigits: 2 })
    : formatCount(value);
}

/** `0.04%`, `78.6%`. */
export function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent !== 0 && Math.abs(percent) < 1 ? percent.toPrecision(2) : percent.toFixed(1)}%`;
}

/** `2,453`, `3.36`, `0.0095`: small amounts keep two digits that mean something. */
export function formatMoney(amount: number): string {
  if (amount >= 1_000) return formatCount(amount);
  return amount.toLocaleString(
    'en-US',
    amount < 0.1 && amount >= 0.000_1
      ? { maximumSignificantDigits: 2 }
      : { minimumFractionDigits: 2, maximumFractionDigits: 2 },
  );
}

/** A metric's value with its unit, as a person writes it. */
export function formatMetric(value: number | undefined, unit: MetricUnit, aggregation: string): string {
  if (value === undefined) return '-';
  if (aggregation === 'count') return formatCount(value);
  if (aggregation === 'rate') return formatShare(value);
  switch (unit) {
    case 'ms':
      return formatDurationMs(value);
    case 'events/s':
      return `${formatCount(value)}/s`;
    case 'events':
      return formatCount(value);
    case 'share':
      return formatShare(value);
    case 'bytes':
      return `${value < 0 ? '-' : ''}${formatBytes(Math.abs(Math.round(value)))}${aggregation === 'hour' ? ' an hour' : ''}`;
    case 'money':
      return formatMoney(value);
    case 'RU':
    case 'RU/s':
      return `${formatFigure(value)} ${unit}`;
  }
}
