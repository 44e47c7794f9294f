/** Parses a share of a whole, `0.01` or `1%`, into 0 to `most`. Throws a RangeError that shows the expected form. */
export function parseShare(text: string, most = 1): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  const value = Number(match?.[1]) / (match?.[2] ? 100 : 1);
  if (!match || value > most)
    throw new RangeError(`invalid share "${text}", expected for example 1% or 0.01`);
  return value;
}
