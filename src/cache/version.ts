/**
 * Age of an item as one text that compares like the age: the service's `_ts` (seconds), then the log sequence number.
 * Only the change feed knows the latter; without it an item counts as the oldest of its second, so that a reader whose
 * copy may be either side of a change in the same second gives way.
 */
export function versionOf(tsSeconds: number, lsn = 0): string {
  return `${String(tsSeconds).padStart(12, '0')}.${String(lsn).padStart(16, '0')}`;
}

/** The version of an item as read from the service; the oldest possible one when it carries no `_ts`. */
export function versionOfItem(item: Readonly<Record<string, unknown>>, lsn?: number): string {
  return versionOf(typeof item['_ts'] === 'number' ? item['_ts'] : 0, lsn);
}
