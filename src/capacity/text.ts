/** `1,234`, `12.5`, `0.002`: digits that a plan can be held to. */
export function amount(value: number): string {
  if (value > 0 && value < 0.01) return value.toLocaleString('en-US', { maximumSignificantDigits: 1 });
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}

/** `3.1 TB`, decimal. */
export function gigabytes(gb: number): string {
  return gb >= 1_000 ? `${amount(gb / 1_000)} TB` : gb >= 1 ? `${amount(gb)} GB` : `${amount(gb * 1_000)} MB`;
}

/** `1 unit`, `2 units`. */
export function counted(count: number, thing: string): string {
  return `${amount(count)} ${thing}${count === 1 ? '' : 's'}`;
}

/** `12.5%`. */
export function percent(share: number): string {
  return `${amount(share * 100)}%`;
}
