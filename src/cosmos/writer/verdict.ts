import type { WriteOperation } from '../write-operation.ts';

/**
 * What an answer to one operation means for it.
 * - `stored`: done.
 * - `refused`: final, the item or its precondition is at fault.
 * - `throttled`: wait as told, the whole range with it.
 * - `moved`: the range was split or merged; look up the ranges and send it where it belongs now.
 * - `again`: transient for this operation alone.
 * - `unavailable`: transient for the range; back off.
 * - `skipped`: not attempted because an operation before it failed (424).
 * - `unusable`: credentials or container are gone; nothing can be written.
 */
export type Verdict =
  | 'stored'
  | 'refused'
  | 'throttled'
  | 'moved'
  | 'again'
  | 'unavailable'
  | 'skipped'
  | 'unusable';

/** Status of one operation inside an answered request. */
export function verdictOfOperation(statusCode: number): Verdict {
  if (statusCode >= 200 && statusCode < 300) return 'stored';
  switch (statusCode) {
    case 429:
      return 'throttled';
    case 410:
      return 'moved';
    case 424:
      return 'skipped';
    case 449:
      return 'again';
    case 408:
    case 500:
    case 502:
    case 503:
    case 504:
      return 'unavailable';
    default:
      return 'refused';
  }
}

/** Status of a request that failed as a whole; `refused` means that some operation in it is at fault. */
export function verdictOfRequest(statusCode: number): Verdict {
  switch (statusCode) {
    case 0:
      return 'unavailable';
    case 401:
    case 403:
    case 404:
      return 'unusable';
    case 449:
      return 'unavailable';
    default: {
      const verdict = verdictOfOperation(statusCode);
      // A request without one reply per operation stored nothing that could be attributed, whatever its status says.
      return verdict === 'stored' || verdict === 'skipped' ? 'unavailable' : verdict;
    }
  }
}

/** One lower-case sentence for a refused operation. `unsure`: an earlier attempt got no answer and may have been applied. */
export function refusalReason(
  operation: WriteOperation,
  statusCode: number,
  message: string | undefined,
  unsure: boolean,
): string {
  const maybeOurs = unsure ? '; it may be this very write, whose first answer was lost' : '';
  switch (statusCode) {
    case 409:
      return `an item with id "${operation.id}" or an equal unique key exists${maybeOurs}`;
    case 404:
      return `there is no item with id "${operation.id}" to ${operation.kind}${maybeOurs}`;
    case 412:
      return `the item with id "${operation.id}" is not in the expected state${maybeOurs}`;
    case 413:
      return 'the item is larger than Cosmos DB accepts (2 MB)';
    case 403:
      return 'the partition key holds as much as it may (20 GB), or the account refuses writes';
    default:
      return message ?? `the service answered ${statusCode}`;
  }
}
