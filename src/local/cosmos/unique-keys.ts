import type { ContainerDefinition } from './container-definition.ts';
import { uniqueKeyViolated } from './errors.ts';
import type { Draft, JsonObject } from './item.ts';
import { type JsonSpan, parseSpan } from './json-cursor.ts';
import { bodyBytes, type LogicalPartition, type Revision } from './partition.ts';
import { pathSteps, valueAt } from './partition-key.ts';

/** The unique keys of a container: each holds within a partition key, and an absent value counts as null. */
export class UniqueKeys {
  readonly #constraints: readonly (readonly (readonly string[])[])[];

  constructor({ uniqueKeyPolicy }: ContainerDefinition) {
    this.#constraints = uniqueKeyPolicy.uniqueKeys.map(({ paths }) => paths.map(pathSteps));
  }

  /** The item's values, one text per constraint. */
  textsOf(item: JsonSpan): readonly string[] {
    return this.#constraints.length === 0 ? NONE : this.#textsIn(parseSpan(item) as JsonObject);
  }

  /**
   * @param pending owners after the earlier operations of a transaction; undefined for a key that they released
   * @param isLive whether an id that owns a key is still there: it may have expired
   * @throws WireError 409 when another item of the partition key has one of the draft's unique keys
   */
  require(
    { id, uniqueKeys }: Draft,
    partition: LogicalPartition | undefined,
    pending: ReadonlyMap<string, string | undefined> | undefined,
    isLive: (id: string) => boolean,
  ): void {
    for (const unique of uniqueKeys) {
      const isPending = pending?.has(unique) === true;
      const owner = isPending ? pending.get(unique) : partition?.unique?.get(unique);
      if (owner !== undefined && owner !== id && (isPending || isLive(owner))) throw uniqueKeyViolated();
    }
  }

  /** Takes over the keys of a revision that is about to replace `before`; without `texts` they are read from it. */
  index(revision: Revision, before: Revision | undefined, texts?: readonly string[]): void {
    if (this.#constraints.length === 0) return;
    const { partition, id } = revision;
    partition.unique ??= new Map();
    for (const unique of this.#stored(before)) partition.unique.delete(unique);
    for (const unique of texts ?? this.#stored(revision)) partition.unique.set(unique, id);
  }

  #stored(revision: Revision | undefined): readonly string[] {
    if (revision === undefined || revision.length === 0) return NONE;
    return this.#textsIn(JSON.parse(bodyBytes(revision).toString()) as JsonObject);
  }

  #textsIn(item: JsonObject): readonly string[] {
    return this.#constraints.map(
      (paths, index) => `${index}${JSON.stringify(paths.map((steps) => valueAt(item, steps) ?? null))}`,
    );
  }
}

const NONE: readonly string[] = [];
