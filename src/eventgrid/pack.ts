export interface Sized<T> {
  readonly item: T;
  readonly sizeBytes: number;
}

export interface PackLimits {
  readonly maxBytes: number;
  readonly maxEvents: number;
}

/** Brackets of the array, and the comma behind each element. */
const ARRAY_BYTES = 2;
const SEPARATOR_BYTES = 1;

/**
 * Cuts a sequence into requests, in order, none of them over the limits. An element that is over them alone gets a request
 * of its own, for the service to judge.
 */
export function* pack<T>(
  items: Iterable<Sized<T>>,
  { maxBytes, maxEvents }: PackLimits,
): Generator<{
  readonly items: readonly T[];
  readonly sizeBytes: number;
}> {
  let batch: T[] = [];
  let sizeBytes = ARRAY_BYTES;
  for (const { item, sizeBytes: itemBytes } of items) {
    const grown = sizeBytes + itemBytes + SEPARATOR_BYTES;
    if (batch.length > 0 && (grown > maxBytes || batch.length >= maxEvents)) {
      yield { items: batch, sizeBytes };
      batch = [];
      sizeBytes = ARRAY_BYTES;
    }
    batch.push(item);
    sizeBytes += itemBytes + SEPARATOR_BYTES;
  }
  if (batch.length > 0) yield { items: batch, sizeBytes };
}
