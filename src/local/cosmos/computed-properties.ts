import { badRequest } from './errors.ts';
import type { JsonObject } from './item.ts';
import { compile, SqlError } from './sql/index.ts';

const MAX_PROPERTIES = 20;
const SHAPE = /^\s*SELECT\s+VALUE\s[\s\S]+\sFROM\s/i;

interface ComputedProperty {
  readonly name: string;
  readonly query: string;
}

/** Checks `computedProperties` of a container body. @throws WireError 400 */
export function checkComputedProperties(given: unknown): void {
  if (given === undefined || given === null) return;
  if (!Array.isArray(given) || given.length > MAX_PROPERTIES)
    throw badRequest(`computedProperties must be a list of at most ${MAX_PROPERTIES} properties`);
  for (const { name, query } of given as Partial<ComputedProperty>[]) {
    if (typeof name !== 'string' || name === '' || typeof query !== 'string' || !SHAPE.test(query))
      throw badRequest(
        `The computed property '${String(name)}' must have a name and a query of the form SELECT VALUE ... FROM c`,
      );
    try {
      compile(query);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      throw badRequest(`The query of the computed property '${name}' is not valid: ${error.message}`);
    }
  }
}

/**
 * Adds the computed properties of a container to a freshly parsed item that a query reads: found by name, but part
 * neither of `*` nor of a comparison of whole items, as in the service.
 */
export function withComputedProperties(
  { computedProperties }: Readonly<Record<string, unknown>>,
  item: JsonObject,
  nowMs: number,
): JsonObject {
  // What is stored under the same name wins.
  for (const { name, query } of (computedProperties ?? []) as readonly ComputedProperty[])
    if (!Object.hasOwn(item, name))
      Object.defineProperty(item, name, { value: compile(query).execute([item], {}, nowMs)[0] });
  return item;
}
