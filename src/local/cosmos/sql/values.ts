/** JSON values as the query language sees them; `undefined` is its own value. */

const RANK = { undefined: 0, null: 1, boolean: 2, number: 3, string: 4, array: 5, object: 6 } as const;

/** Rank of a value's type: the order between values of different types. */
export function typeRank(value: unknown): number {
  if (value === undefined) return RANK.undefined;
  if (value === null) return RANK.null;
  if (Array.isArray(value)) return RANK.array;
  return RANK[typeof value as 'boolean' | 'number' | 'string' | 'object'];
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeRank(value) === RANK.object;

/** Total order for ORDER BY, MIN and MAX: by type, then by value; arrays and objects by their canonical text. */
export function compareValues(a: unknown, b: unknown): number {
  const rank = typeRank(a) - typeRank(b);
  if (rank !== 0) return rank;
  const nested = typeRank(a) >= RANK.array;
  const [x, y] = (nested ? [canonical(a), canonical(b)] : [a, b]) as [string, string];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The comparison operators: only defined between two booleans, numbers or strings. */
export function comparable(a: unknown, b: unknown): boolean {
  const rank = typeRank(a);
  return rank === typeRank(b) && rank >= RANK.boolean && rank <= RANK.string;
}

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const rank = typeRank(a);
  if (rank !== typeRank(b) || rank < RANK.array) return false;
  return canonical(a) === canonical(b);
}

/** Text that is equal for equal values, whatever the order of their properties. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return value === undefined ? 'undefined' : JSON.stringify(value);
  const keys = Object.keys(value).sort((a, b) => (a < b ? -1 : 1));
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}

/** `object.property` and `array[index]`; undefined where there is no such thing. */
export function memberOf(object: unknown, property: unknown): unknown {
  if (Array.isArray(object)) return typeof property === 'number' ? object[property] : undefined;
  if (!isObject(object) || typeof property !== 'string' || !Object.hasOwn(object, property)) return undefined;
  return object[property];
}
