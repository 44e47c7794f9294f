import { effectivePartitionKey, type PartitionKeyHashing } from '../../hashing/effective-partition-key.ts';
import type { PartitionKeyValue } from '../../hashing/partition-key-value.ts';
import { badRequest } from './errors.ts';
import type { JsonObject } from './item.ts';

/** A partition key value and where it falls. */
export interface PartitionKey {
  /** Canonical JSON text of the components, `{}` for an absent one: two keys are equal when their texts are. */
  readonly text: string;
  readonly epk: string;
}

export interface PartitionKeyDefinition {
  readonly paths: readonly string[];
  readonly kind: 'Hash' | 'MultiHash';
  readonly version: 1 | 2;
}

const MAX_KEY_BYTES = 2048;
const MAX_PATHS = 3;

/** Completes and checks the `partitionKey` of a new container. Version 2 unless the client asks for 1, as Azure creates now. */
export function definePartitionKey(given: unknown): PartitionKeyDefinition {
  const { paths, kind, version } = (given ?? {}) as Partial<PartitionKeyDefinition>;
  if (!Array.isArray(paths) || paths.length === 0 || !paths.every((path) => /^\/./.test(String(path))))
    throw badRequest('The partition key definition needs at least one path that starts with /');
  if (paths.length > MAX_PATHS)
    throw badRequest(`Too many partition key paths: ${paths.length}, at most ${MAX_PATHS}`);
  if (version !== undefined && version !== 1 && version !== 2)
    throw badRequest(`The partition key version ${String(version)} is not 1 or 2`);
  const hierarchical = kind === 'MultiHash' || paths.length > 1;
  return {
    paths: paths as string[],
    kind: hierarchical ? 'MultiHash' : 'Hash',
    version: hierarchical ? 2 : (version ?? 2),
  };
}

/** Reads keys from items and headers of one container. */
export class PartitionKeyReader {
  /** The properties that the paths name, when none of them is nested. */
  readonly topLevelNames: readonly string[] | undefined;
  readonly #steps: readonly (readonly string[])[];
  readonly #hashing: PartitionKeyHashing;

  constructor(definition: PartitionKeyDefinition) {
    this.#steps = definition.paths.map(pathSteps);
    this.#hashing = definition;
    this.topLevelNames = this.#steps.every(({ length }) => length === 1)
      ? this.#steps.map(([name]) => name as string)
      : undefined;
  }

  /** Canonical text of an item's key. */
  textOf(item: JsonObject): string {
    return canonicalText(this.#steps.map((steps) => valueAt(item, steps)));
  }

  /** Parses what a header or a bulk operation carries. @throws WireError 400 */
  parse(wire: string): { components: PartitionKeyValue[]; text: string; isPrefix: boolean } {
    let values: unknown;
    try {
      values = JSON.parse(wire);
    } catch {
      throw badRequest(`The partition key ${wire} is not a JSON array`);
    }
    if (!Array.isArray(values) || values.length > this.#steps.length)
      throw badRequest(
        `The partition key ${wire} does not fit the ${this.#steps.length} path(s) of the container`,
        1001,
      );
    // A client that has no value for a hierarchical key sends one empty array element, or none at all.
    const components = values.map(scalarOrUndefined);
    return { components, text: canonicalText(values), isPrefix: components.length < this.#steps.length };
  }

  hash(text: string): PartitionKey {
    if (Buffer.byteLength(text) > MAX_KEY_BYTES + 4)
      throw badRequest(`The partition key is longer than ${MAX_KEY_BYTES} bytes`);
    const components = (JSON.parse(text) as unknown[]).map(scalarOrUndefined);
    return { text, epk: effectivePartitionKey(components, this.#hashing) };
  }
}

/** `/a/"b c"/d` as its steps. */
export const pathSteps = (path: string): string[] =>
  (path.match(/"[^"]*"|[^/]+/g) ?? []).map((step) => step.replace(/^"(.*)"$/, '$1'));

export function valueAt(item: unknown, steps: readonly string[]): unknown {
  let value = item;
  for (const step of steps) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}

function canonicalText(values: readonly unknown[]): string {
  if (values.length === 1 && typeof values[0] === 'string') return `[${JSON.stringify(values[0])}]`;
  return `[${values.map(componentText).join(',')}]`;
}

/** Canonical text of one component of a key. */
export const componentText = (value: unknown): string =>
  JSON.stringify(scalarOrUndefined(value) ?? (value === null ? null : {}));

function scalarOrUndefined(value: unknown): PartitionKeyValue {
  return value !== undefined && typeof value !== 'object'
    ? (value as PartitionKeyValue)
    : value === null
      ? null
      : undefined;
}
