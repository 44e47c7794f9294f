import { compileTemplate, type EventSource, type JsonObject, type Template } from './template.ts';

/** Changes to the shape of an item, applied in the order: rename, drop, flatten, set. */
export interface TransformOptions {
  /** Old name to new name of top-level fields. */
  readonly rename?: Readonly<Record<string, string>>;
  /** Top-level fields to leave out. */
  readonly drop?: readonly string[];
  /** Separator with which nested objects become top-level fields: `_` makes `complexData_moreData0`. */
  readonly flatten?: string;
  /** Fields to add, each a literal or a template. */
  readonly set?: Readonly<Record<string, string>>;
}

export type Transform = (item: JsonObject, source: EventSource) => JsonObject;

/** Compiles the changes; `undefined` when there are none, so that the caller can keep the event's own text. */
export function compileTransform(options: TransformOptions): Transform | undefined {
  const renames = new Map(Object.entries(options.rename ?? {}));
  const drops = new Set(options.drop ?? []);
  const sets: (readonly [string, Template])[] = Object.entries(options.set ?? {}).map(([name, text]) => [
    name,
    compileTemplate(text),
  ]);
  const { flatten } = options;
  if (renames.size + drops.size + sets.length === 0 && flatten === undefined) return undefined;

  return (item, source) => {
    const result: JsonObject = {};
    for (const [name, value] of Object.entries(item)) {
      if (drops.has(name)) continue;
      const target = renames.get(name) ?? name;
      if (flatten !== undefined && isObject(value)) flattenInto(result, target, value, flatten);
      else define(result, target, value);
    }
    for (const [name, template] of sets) {
      const value = template(item, source);
      if (value !== undefined) define(result, name, value);
    }
    return result;
  };
}

function flattenInto(result: JsonObject, prefix: string, value: JsonObject, separator: string): void {
  for (const [name, inner] of Object.entries(value)) {
    const path = `${prefix}${separator}${name}`;
    if (isObject(inner)) flattenInto(result, path, inner, separator);
    else define(result, path, inner);
  }
}

/** A field called `__proto__` is data like any other: plain assignment would change the prototype instead. */
function define(target: JsonObject, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
