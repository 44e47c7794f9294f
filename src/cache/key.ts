/** One component as the key shows it: strings as they are, anything else after a `=`, so that 1 and "1" differ. */
function componentText(component: unknown): string {
  if (typeof component !== 'string') return component === undefined ? '=' : `=${JSON.stringify(component)}`;
  const escaped = component.replaceAll(/[%:|]/g, (character) => encodeURIComponent(character));
  return escaped.startsWith('=') ? `%3D${escaped.slice(1)}` : escaped;
}

/**
 * The key of an item: `<prefix><partitionKey>:<id>`. Components of a hierarchical partition key are joined with `|`. In
 * the partition key `%`, `:` and `|` are percent-encoded, so that two items never share a key; the id stands as it is.
 */
export function cacheKey(prefix: string, partitionKey: unknown, id: string): string {
  const components: readonly unknown[] = Array.isArray(partitionKey) ? partitionKey : [partitionKey];
  return `${prefix}${components.map(componentText).join('|')}:${id}`;
}

/** The partition key and id that a key was made of; `undefined` when it does not have this form. */
export function parseCacheKey(
  prefix: string,
  key: string,
): { readonly partitionKey: unknown; readonly id: string } | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const colon = key.indexOf(':', prefix.length);
  if (colon < 0) return undefined;
  try {
    const components = key.slice(prefix.length, colon).split('|').map(parseComponent);
    return {
      partitionKey: components.length === 1 ? components[0] : components,
      id: key.slice(colon + 1),
    };
  } catch {
    return undefined;
  }
}

function parseComponent(text: string): unknown {
  if (text === '=') return undefined;
  return text.startsWith('=') ? JSON.parse(decodeURIComponent(text.slice(1))) : decodeURIComponent(text);
}

/** Escapes what a Redis pattern would take as more than itself, so that a prefix matches literally. */
export function escapeGlob(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&');
}
