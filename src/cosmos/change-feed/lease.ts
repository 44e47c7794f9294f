import type { FeedRange, RangePosition } from './types.ts';

/**
 * A lease as it is stored, with the field names of the change feed processors of .NET and Java, so that tools and eyes that
 * know those find their way. The lease container is partitioned by `/id`.
 */
export interface LeaseDocument extends Readonly<Record<string, unknown>> {
  /** `<processor>.<container rid>..<LeaseToken>`. */
  readonly id: string;
  /** `<min>-<max>`. */
  readonly LeaseToken: string;
  readonly FeedRange: { readonly Range: FeedRange };
  /** The process that reads the range; null when nobody does. */
  readonly Owner: string | null;
  /** ETag of the last page whose handler succeeded; null before the first. */
  readonly ContinuationToken: string | null;
  /** `requestedBy`: a process with fewer ranges asks the owner to hand this one over. */
  readonly properties: { readonly requestedBy?: string };
  /** When the owner last wrote the lease, ISO 8601. */
  readonly timestamp: string;
}

export function leasePrefix(processor: string, containerRid: string): string {
  // The characters / \ ? # are not allowed in an id, and a rid is base64 with - for /.
  return `${processor.replaceAll(/[/\\?#]/g, '-')}.${containerRid}..`;
}

export function newLease(
  prefix: string,
  { min, max, continuation }: RangePosition,
  owner: string | null,
  epochMs: number,
): LeaseDocument {
  const token = `${min}-${max}`;
  return {
    id: prefix + token,
    LeaseToken: token,
    FeedRange: { Range: { min, max } },
    Owner: owner,
    ContinuationToken: continuation ?? null,
    properties: {},
    timestamp: new Date(epochMs).toISOString(),
  };
}

export function positionOf({ FeedRange, ContinuationToken }: LeaseDocument): RangePosition {
  const { min, max } = FeedRange.Range;
  return { min, max, ...(ContinuationToken === null ? {} : { continuation: ContinuationToken }) };
}

/** The parts of `ranges` that no lease covers yet. */
export function uncovered(ranges: readonly FeedRange[], leases: readonly FeedRange[]): readonly FeedRange[] {
  let gaps: readonly FeedRange[] = ranges;
  for (const lease of leases) {
    gaps = gaps.flatMap((gap) => {
      if (lease.max <= gap.min || lease.min >= gap.max) return [gap];
      return [
        { min: gap.min, max: lease.min },
        { min: lease.max, max: gap.max },
      ].filter(({ min, max }) => min < max);
    });
  }
  return gaps;
}
