import { formatDurationMs } from '../util/duration.ts';

/** `1,234`, `12.5`, `0.002`: digits that a plan can be held to. */
export function amount(value: number): string {
  if (value > 0 && value < 0.01) return value.toLocaleString('en-US', { maximumSignificantDigits: 1 });
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}

/** `590.41`: request units of one operation, which are multiplied with rates. */
export function charge(requestUnits: number): string {
  return requestUnits.toLocaleString('en-US', { maximumFractionDigits: requestUnits < 1_000 ? 2 : 0 });
}

/** `1.01` of 1.0002: units of something that is sold whole, rounded up, so that what is shown explains what is needed. */
export function units(value: number): string {
  const step = value < 100 ? 0.01 : 1;
  return amount(Math.ceil(value / step - 1e-6) * step);
}

/** `3.1 TB`, decimal. */
export function gigabytes(gb: number): string {
  const unit = BYTE_UNITS.find(({ inGb }) => gb >= inGb) ?? BYTES;
  return `${amount(gb / unit.inGb)} ${unit.name}`;
}

const BYTES = { name: 'B', inGb: 1e-9 } as const;
const BYTE_UNITS: readonly { readonly name: string; readonly inGb: number }[] = [
  { name: 'TB', inGb: 1e3 },
  { name: 'GB', inGb: 1 },
  { name: 'MB', inGb: 1e-3 },
  { name: 'KB', inGb: 1e-6 },
];

/** `1 unit`, `2 units`. */
export function counted(count: number, thing: string): string {
  return `${amount(count)} ${thing}${count === 1 ? '' : 's'}`;
}

/** `7 days`, and below a day `2h05m`. */
export function timespan(ms: number): string {
  const days = ms / 86_400_000;
  return days < 1 ? formatDurationMs(ms) : counted(days, 'day');
}

/** `12.5%`. */
export function percent(share: number): string {
  return `${amount(share * 100)}%`;
}
