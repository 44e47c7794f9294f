import { usageError } from './errors.ts';

/**
 * A name of a Cosmos DB database or container, as the service takes it.
 *
 * @throws RangeError that shows the rules
 */
export function parseResourceId(text: string): string {
  if (/^[^/\\?#]{1,255}$/.test(text) && !text.endsWith(' ')) return text;
  throw new RangeError(
    `expected 1 to 255 characters without / \\ ? # and without a space at the end, got "${text}"`,
  );
}

/** The container that `what` names, for example `dead letter "cosmos:a/b"`. Throws E_USAGE that shows the rules. */
export function parseContainerOf(what: string, id: string): string {
  try {
    return parseResourceId(id);
  } catch (error) {
    throw usageError(`invalid ${what}`, `the container: ${(error as Error).message}`);
  }
}
