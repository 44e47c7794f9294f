/** One component of a partition key; `undefined` is a path that the item does not have (`{}` on the wire). */
export type PartitionKeyValue = string | number | boolean | null | undefined;
