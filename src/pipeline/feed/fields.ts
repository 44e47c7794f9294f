type Document = Readonly<Record<string, unknown>>;

/** The value at a path of property names or array indexes, `undefined` where the path ends early. */
export function valueAt(item: Document, path: readonly string[]): unknown {
  let value: unknown = item;
  for (const step of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined;
    value = (value as Document)[step];
  }
  return value;
}

/** Keeps the named paths of an item, nested as they were; `a.b,c` of `{a: {b: 1, x: 2}, c: 3}` is `{a: {b: 1}, c: 3}`. */
export function projector(fields: readonly string[]): (item: Document) => Document {
  const paths = fields.map((field) => field.split('.'));
  return (item) => {
    const kept: Record<string, unknown> = {};
    for (const path of paths) {
      const value = valueAt(item, path);
      if (value !== undefined) setAt(kept, path, value);
    }
    return kept;
  };
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = target;
  for (const step of path.slice(0, -1)) {
    // defineProperty, because assigning to __proto__ would do something else.
    if (!Object.hasOwn(inner, step)) define(inner, step, {});
    inner = inner[step] as Record<string, unknown>;
  }
  define(inner, path.at(-1) as string, value);
}

function define(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}
