import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/local/cosmos/errors.ts';
import type { JsonObject } from '../../../src/local/cosmos/item.ts';
import { applyPatch, type PatchOperation } from '../../../src/local/cosmos/patch.ts';

const NAMES = ['a', 'b', '/', '~', '__proto__'];
const pointerOf = (name: string): string => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** A flat object as a map, and what an operation does to it; false when it cannot be done. */
function model(item: Map<string, unknown>, { op, path, value, from }: PatchOperation): boolean {
  const name = NAMES.find((one) => pointerOf(one) === path) as string;
  const source = NAMES.find((one) => pointerOf(one) === from);
  switch (op) {
    case 'add':
    case 'set':
      item.set(name, value);
      return true;
    case 'replace':
      if (!item.has(name)) return false;
      item.set(name, value);
      return true;
    case 'remove':
      return item.delete(name);
    case 'incr': {
      const before = item.has(name) ? item.get(name) : 0;
      if (typeof before !== 'number') return false;
      item.set(name, before + (value as number));
      return true;
    }
    default: {
      if (source === undefined || source === name || !item.has(source)) return false;
      const moved = item.get(source);
      item.delete(source);
      item.set(name, moved);
      return true;
    }
  }
}

const name = fc.constantFrom(...NAMES);
const scalar = fc.oneof(fc.integer(), fc.string(), fc.constant(null));
const operation: fc.Arbitrary<PatchOperation> = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'set', 'replace'), path: name.map(pointerOf), value: scalar }),
  fc.record({ op: fc.constant('remove'), path: name.map(pointerOf) }),
  fc.record({ op: fc.constant('incr'), path: name.map(pointerOf), value: fc.integer({ min: -9, max: 9 }) }),
  fc.record({ op: fc.constant('move'), path: name.map(pointerOf), from: name.map(pointerOf) }),
);

/** The object that JSON text of these entries is. */
const objectOf = (entries: Iterable<readonly [string, unknown]>): JsonObject =>
  JSON.parse(`{${[...entries].map((entry) => entry.map((one) => JSON.stringify(one)).join(':')).join(',')}}`);

function outcomeOf(apply: () => void): unknown {
  try {
    return apply();
  } catch (error) {
    return error;
  }
}

describe('a patch', () => {
  it('does to the properties of an object what each operation says, or names the first that it cannot do', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, scalar), { maxLength: 4 }),
        fc.array(operation, { minLength: 1, maxLength: 10 }),
        (entries, operations) => {
          const expected = new Map(entries);
          const item = objectOf(expected);
          const failing = operations.findIndex((one) => !model(expected, one));
          const apply = (): void => applyPatch(item, operations);
          if (failing === -1) {
            apply();
            expect(new Map(Object.entries(item))).toEqual(expected);
          } else {
            // Once only: what comes before the failing operation has been applied to the item.
            const thrown = outcomeOf(apply);
            expect(thrown).toBeInstanceOf(WireError);
            expect((thrown as WireError).message).toContain('For Operation(');
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('inserts into, replaces in and removes from an array as splice does', () => {
    const index = fc.nat(6);
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { maxLength: 5 }),
        fc.constantFrom('add', 'replace', 'remove'),
        index,
        fc.integer(),
        (list, op, at, value) => {
          const item = { list: [...list] };
          const apply = (): void => applyPatch(item, [{ op, path: `/list/${at}`, value }]);
          if (at > list.length - (op === 'add' ? 0 : 1)) {
            expect(apply).toThrow(WireError);
            return;
          }
          apply();
          const expected = [...list];
          expected.splice(at, op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [value]));
          expect(item.list).toEqual(expected);
        },
      ),
    );
  });
});
