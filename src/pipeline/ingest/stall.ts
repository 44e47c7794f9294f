/** What is known of a partition that is being read, when the service has just said where it ends. */
export interface StallView {
  readonly partitionId: string;
  /** Last sequence number received. */
  readonly received: number | undefined;
  /** The hub holds events after it, and none of those received is still on its way. */
  readonly isBehind: boolean;
}

/** Answers of the service in a row that must say the same. */
const ANSWERS = 3;

/**
 * Finds partitions whose link is open and silent although the hub holds more: a connection that was cut without a word stays
 * open here until its idle time is over, minutes later. Told of every answer of the service; returns the silent partitions.
 */
export function stallDetector(): (views: readonly StallView[]) => readonly string[] {
  const silent = new Map<string, { readonly received: number | undefined; readonly answers: number }>();
  return (views) => {
    const stalled: string[] = [];
    for (const { isBehind, partitionId, received } of views) {
      const before = silent.get(partitionId);
      if (!isBehind) silent.delete(partitionId);
      else {
        const answers = before?.received === received ? (before?.answers ?? 0) + 1 : 1;
        if (answers >= ANSWERS) stalled.push(partitionId);
        silent.set(partitionId, { received, answers: answers >= ANSWERS ? 0 : answers });
      }
    }
    return stalled;
  };
}
