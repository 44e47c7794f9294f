/**
 * Request units of every operation. Point operations follow Microsoft's published table and its indexing surcharge
 * (understand-request-unit-consumption, 2026-04): its worked examples are met within 1.5 %. Queries are a fit to four
 * published measurements: take them as plus or minus 30 %. The same operation always costs the same.
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

const PER_TERM = 0.2;
const PER_PATCHED_PROPERTY = 0.4;

/** Charges are reported, and summed, with two decimals. */
export const roundCharge = (requestUnits: number): number => Math.round(requestUnits * 100) / 100;

/** Linear between the points of a table, flat below the first, proportional beyond the last. */
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

export const readCharge = (sizeBytes: number): number => roundCharge(interpolate(POINT_READ, sizeBytes));

export const createCharge = (sizeBytes: number, terms: number): number =>
  roundCharge(interpolate(WRITE, sizeBytes) + PER_TERM * terms);

/** A delete costs what the create did. */
export const deleteCharge = (sizeBytes: number, terms: number): number => createCharge(sizeBytes, terms);

/** @param changedTerms index terms removed plus index terms added */
export const replaceCharge = (oldBytes: number, newBytes: number, changedTerms: number): number =>
  roundCharge(interpolate(WRITE, oldBytes) + interpolate(WRITE, newBytes) + PER_TERM * changedTerms);

export const patchCharge = (replace: number, properties: number): number =>
  roundCharge(replace + PER_PATCHED_PROPERTY * properties);

const QUERY_BASE = 2.3;
const QUERY_PER_RETURNED_KB = 0.092;
const QUERY_PER_SCANNED_KB = 0.0099;

/** One page of a query in one range; the base is paid once per range, so that paging does not change the sum. */
export const queryCharge = (firstPage: boolean, returnedBytes: number, scannedBytes: number): number =>
  roundCharge(
    (firstPage ? QUERY_BASE : 0) +
      (QUERY_PER_RETURNED_KB * returnedBytes) / 1024 +
      (QUERY_PER_SCANNED_KB * Math.max(0, scannedBytes - returnedBytes)) / 1024,
  );
