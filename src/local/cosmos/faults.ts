import type { Faults } from '../faults/faults.ts';
import { rangeGone, requestTimeout, retryWith, throttled, unavailable, type WireError } from './errors.ts';
import type { PhysicalPartition } from './partition.ts';

/** Waiting time that an injected 429 asks for. */
const INJECTED_RETRY_AFTER_MS = 50;

/** The failure, if any, that befalls one operation: drawn per operation in bulk, per request elsewhere. */
export function drawOperationFault(faults: Faults, range: PhysicalPartition): WireError | undefined {
  if (!faults.any) return undefined;
  if (faults.draw('throttle') !== undefined) {
    range.budget.refuse();
    return throttled(INJECTED_RETRY_AFTER_MS);
  }
  if (faults.draw('gone') !== undefined) return rangeGone();
  if (faults.draw('retry-with') !== undefined) return retryWith();
  return undefined;
}

/** The failure, if any, that befalls a whole request before it reaches a partition. */
export function drawRequestFault(faults: Faults): WireError | undefined {
  if (!faults.any) return undefined;
  if (faults.draw('unavailable') !== undefined) return unavailable();
  if (faults.draw('timeout') !== undefined) return requestTimeout();
  return undefined;
}
