const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** Parses `256B`, `1KB`, `1KiB`, `1.5MB`, or a bare number, into bytes. Decimal units are powers of 1000. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text);
  const unit = UNIT_BYTES[(match?.[2] || 'b').toLowerCase()];
  if (match === null || unit === undefined)
    throw new RangeError(`invalid size "${text}", expected for example 256B, 1KB or 1MiB`);
  const bytes = Math.round(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) throw new RangeError(`invalid size "${text}", expected at most 9000TB`);
  return bytes;
}

/** Decimal, as Azure bills: `38.4 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
