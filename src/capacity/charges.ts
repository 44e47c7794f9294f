/**
 * Request units of the operations of a pipeline, by size. Microsoft's table (understand-request-unit-consumption,
 * April 2026); a line between its points, flat below the first, in proportion beyond the last.
 */
type Table = readonly (readonly [kilobytes: number, requestUnits: number])[];

const POINT_READ: Table = [
  [1, 1],
  [2, 1.04],
  [4, 1.14],
  [8, 1.33],
  [16, 1.67],
  [32, 2.19],
  [64, 4.76],
  [128, 9.95],
  [256, 20.28],
  [512, 40.95],
  [1024, 145.9],
  [2048, 291.8],
];

const WRITE: Table = [
  [1, 4.95],
  [2, 6.29],
  [4, 6.67],
  [8, 7.04],
  [16, 9.52],
  [32, 11.23],
  [64, 22.67],
  [128, 48.19],
  [256, 98.29],
  [512, 184.57],
  [1024, 625],
  [2048, 1250],
];

/** A point read, and what an item costs when the change feed returns it. */
export function readCharge(itemBytes: number): number {
  return interpolate(POINT_READ, itemBytes);
}

/** A new item with so many indexed values, each `perTerm` request units. */
export function createCharge(itemBytes: number, indexedTerms: number, perTerm: number): number {
  return interpolate(WRITE, itemBytes) + indexedTerms * perTerm;
}

function interpolate(table: Table, sizeBytes: number): number {
  const kilobytes = sizeBytes / 1024;
  let [fromSize, fromUnits] = table[0] as readonly [number, number];
  if (kilobytes <= fromSize) return fromUnits;
  for (const [size, units] of table) {
    if (kilobytes <= size)
      return fromUnits + ((units - fromUnits) * (kilobytes - fromSize)) / (size - fromSize);
    fromSize = size;
    fromUnits = units;
  }
  return (fromUnits * kilobytes) / fromSize;
}
