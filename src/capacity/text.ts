/** `1,234`, `12.5`: digits that a plan can be held to. */
export function amount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}

/** `3.1 TB`, decimal. */
export function gigabytes(gb: number): string {
  return gb >= 1_000 ? `${amount(gb / 1_000)} TB` : gb >= 1 ? `${amount(gb)} GB` : `${amount(gb * 1_000)} MB`;
}

/** `12.5%`. */
export function percent(share: number): string {
  return `${amount(share * 100)}%`;
}
