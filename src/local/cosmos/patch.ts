import { badRequest } from './errors.ts';
import type { JsonObject } from './item.ts';

export interface PatchOperation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
  readonly from?: string;
}

export interface Patch {
  readonly operations: readonly PatchOperation[];
  /** `from c where ...`; the patch applies only when it holds. */
  readonly condition?: string;
}

const MAX_OPERATIONS = 10;

/** Reads the two shapes of a patch body: the bare list, and the list with a condition. @throws WireError 400 */
export function parsePatch(body: unknown): Patch {
  const patch = (Array.isArray(body) ? { operations: body } : body) as Patch | null;
  if (!Array.isArray(patch?.operations) || patch.operations.length === 0)
    throw badRequest('The patch request has no operations');
  if (patch.operations.length > MAX_OPERATIONS)
    throw badRequest(`The number of patch operations exceeds the maximum of ${MAX_OPERATIONS}`);
  return patch;
}

/** Applies the operations to `item` in place, in order. @throws WireError 400 naming the first that cannot be applied */
export function applyPatch(item: JsonObject, operations: readonly PatchOperation[]): void {
  const { id } = item;
  operations.forEach((operation, index) => {
    try {
      applyOne(item, operation);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw badRequest(`For Operation(${index + 1}): ${error.message}`);
    }
  });
  // An item is found by its id: a patch would leave it under the old one.
  if (item['id'] !== id) throw badRequest("A patch cannot change the 'id' of an item");
}

function applyOne(item: JsonObject, operation: PatchOperation): void {
  const name = operation.op.toLowerCase();
  const apply = Object.hasOwn(APPLY, name) ? APPLY[name] : undefined;
  if (apply === undefined)
    throw new RangeError(
      `the operation '${operation.op}' is not one of add, set, replace, remove, incr, move`,
    );
  const steps = pointer(operation.path);
  apply({ item, operation, steps, last: steps.at(-1) as string, target: parentOf(item, steps, name) });
}

interface Step {
  readonly item: JsonObject;
  readonly operation: PatchOperation;
  readonly steps: readonly string[];
  readonly last: string;
  readonly target: Parent;
}

const APPLY: Readonly<Record<string, (step: Step) => void>> = {
  add: ({ target, last, operation }) => insert(target, last, required(operation)),
  set({ target, last, operation }) {
    if (Array.isArray(target) && last !== '-') overwrite(target, last, required(operation));
    else insert(target, last, required(operation));
  },
  replace({ target, last, operation }) {
    requireExisting(target, last, operation.op);
    overwrite(target, last, required(operation));
  },
  remove({ target, last, operation }) {
    requireExisting(target, last, operation.op);
    remove(target, last);
  },
  incr: ({ target, last, operation }) => increment(target, last, operation.value),
  increment: ({ target, last, operation }) => increment(target, last, operation.value),
  move: ({ item, steps, operation }) => move(item, operation.from, steps),
};

type Parent = JsonObject | unknown[];

/** RFC 6901 pointer. */
function pointer(path: unknown): string[] {
  if (typeof path !== 'string' || !/^\/./.test(path))
    throw new RangeError(`the path '${String(path)}' is not of the form /a/b`);
  return path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function parentOf(item: JsonObject, steps: readonly string[], op: string): Parent {
  let node: unknown = item;
  for (const step of steps.slice(0, -1)) node = child(node, step);
  if (node === null || typeof node !== 'object')
    throw new RangeError(
      `${op} operation can only create a child object of an existing node(array or object) and cannot create path recursively, no path found beyond: '${steps[0]}'.`,
    );
  return node as Parent;
}

function child(node: unknown, step: string): unknown {
  if (node === null || typeof node !== 'object' || !Object.hasOwn(node, step)) return undefined;
  return (node as JsonObject)[step];
}

function arrayIndex(array: readonly unknown[], step: string, limit: number): number {
  const index = Number(step);
  if (!/^\d+$/.test(step) || index > limit)
    throw new RangeError(`the array index '${step}' is out of range 0 to ${array.length}`);
  return index;
}

function insert(target: Parent, last: string, value: unknown): void {
  if (!Array.isArray(target)) define(target, last, value);
  else if (last === '-') target.push(value);
  else target.splice(arrayIndex(target, last, target.length), 0, value);
}

function overwrite(target: Parent, last: string, value: unknown): void {
  if (!Array.isArray(target)) define(target, last, value);
  else if (target.length === 0) throw new RangeError('there is no element to replace in an empty array');
  else target[arrayIndex(target, last, target.length - 1)] = value;
}

/** Own property even when the name is `__proto__`. */
function define(target: JsonObject, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}

function remove(target: Parent, last: string): void {
  if (Array.isArray(target)) target.splice(Number(last), 1);
  else delete target[last];
}

function increment(target: Parent, last: string, by: unknown): void {
  if (typeof by !== 'number') throw new RangeError(`incr needs a number, not ${JSON.stringify(by)}`);
  const current = child(target, last);
  if (current !== undefined && typeof current !== 'number')
    throw new RangeError(`the value at '${last}' is not a number`);
  overwrite(target, last, (current ?? 0) + by);
}

function move(item: JsonObject, from: string | undefined, to: readonly string[]): void {
  const source = pointer(from);
  if (source.every((step, index) => to[index] === step))
    throw new RangeError("the path 'from' is a prefix of the path 'path'");
  const parent = parentOf(item, source, 'move');
  const last = source.at(-1) as string;
  requireExisting(parent, last, 'move');
  const value = child(parent, last);
  remove(parent, last);
  insert(parentOf(item, to, 'move'), to.at(-1) as string, value);
}

function requireExisting(target: Parent, last: string, op: string): void {
  if (child(target, last) === undefined)
    throw new RangeError(`${op} operation cannot be applied: there is nothing at '${last}'`);
}

function required({ op, value }: PatchOperation): unknown {
  if (value === undefined) throw new RangeError(`${op} needs a value`);
  return value;
}
