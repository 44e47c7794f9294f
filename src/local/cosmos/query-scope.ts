import type { Container } from './container.ts';
import { rangeGone } from './errors.ts';
import type { PhysicalPartition, Revision } from './partition.ts';
import { componentText, pathSteps } from './partition-key.ts';
import { header, type WireRequest } from './wire.ts';

/** The part of a container that a feed or a query addresses. */
export interface Scope {
  readonly ranges: readonly PhysicalPartition[];
  /** Canonical text of a full partition key. */
  readonly keyText: string | undefined;
  /** The only id that is wanted. */
  readonly id?: string;
  includes(revision: Revision): boolean;
}

/** Values that properties must have, by path: `/tenant`, `/geo/city`. */
export type Equalities = ReadonlyMap<string, unknown>;

/**
 * Ranges and filter that the headers name. A range that was split stays readable unless `strict`, as the union of what
 * became of it: the JavaScript SDK 4.9.3 never recovers from 410 in the middle of an ORDER BY.
 *
 * @throws WireError 410
 */
export function scopeOf(container: Container, request: WireRequest, strict: boolean): Scope {
  const wireKey = header(request, 'x-ms-documentdb-partitionkey');
  if (wireKey !== undefined) {
    const { text, isPrefix } = container.keys.parse(wireKey);
    const key = container.keys.hash(text);
    if (!isPrefix)
      return {
        ranges: [container.rangeOf(key)],
        keyText: text,
        includes: ({ partition }) => partition.text === text,
      };
    return within(key.epk, `${key.epk}FF`, container.ranges);
  }
  const rangeId = header(request, 'x-ms-documentdb-partitionkeyrangeid');
  const min = header(request, 'x-ms-start-epk');
  const max = header(request, 'x-ms-end-epk');
  if (rangeId === undefined) return within(min ?? '', max ?? 'FF', container.ranges);
  const retired = container.table.retired.get(rangeId);
  if (retired === undefined || strict) return within(min ?? '', max ?? 'FF', [container.table.byId(rangeId)]);
  return within(min ?? retired.minInclusive, max ?? retired.maxExclusive, container.ranges);
}

function within(min: string, max: string, candidates: readonly PhysicalPartition[]): Scope {
  const ranges = candidates.filter((range) => range.minInclusive < max && range.maxExclusive > min);
  if (ranges.length === 0) throw rangeGone();
  const whole = ranges.every((range) => range.minInclusive >= min && range.maxExclusive <= max);
  return {
    ranges,
    keyText: undefined,
    includes: whole ? () => true : ({ partition }) => partition.epk >= min && partition.epk < max,
  };
}

/** What is left of a scope when properties must have certain values: the index of keys and ids instead of a scan. */
export function narrow(container: Container, scope: Scope, equalities: Equalities): Scope {
  const id = equalities.get('/id');
  const narrowed = typeof id === 'string' ? { ...scope, id } : scope;
  const keyText = scope.keyText ?? keyTextOf(container, equalities);
  if (keyText === undefined || scope.keyText !== undefined) return narrowed;
  const range = container.rangeOf(container.keyOf(keyText));
  // A client that goes from range to range also asks those where the key cannot be.
  const ranges = scope.ranges.includes(range) ? [range] : scope.ranges.slice(0, 1);
  return {
    ...narrowed,
    ranges,
    keyText,
    includes: (revision) => scope.ranges.includes(range) && scope.includes(revision),
  };
}

/** `queryRanges` of a plan: the point of the hash space where the key is, else all of it. */
export function queryRangesOf(container: Container, equalities: Equalities): readonly object[] {
  const keyText = keyTextOf(container, equalities);
  if (keyText === undefined) return [{ min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false }];
  const { epk } = container.keyOf(keyText);
  return [{ min: epk, max: epk, isMinInclusive: true, isMaxInclusive: true }];
}

/** Longer keys cannot exist, and must not be hashed. */
const MAX_KEY_TEXT = 1024;

function keyTextOf({ definition }: Container, equalities: Equalities): string | undefined {
  const values = definition.partitionKey.paths.map((path) => equalities.get(`/${pathSteps(path).join('/')}`));
  if (values.some((value) => value === undefined || (typeof value === 'object' && value !== null)))
    return undefined;
  const text = `[${values.map(componentText).join(',')}]`;
  return text.length > MAX_KEY_TEXT ? undefined : text;
}

/** Whether the items of a scope come from the index of keys and ids; else they are all of its ranges. */
export const isIndexed = ({ keyText, id }: Scope): boolean => keyText !== undefined || id !== undefined;

/** Revisions of a range that may be in the scope, in LSN order. */
export function revisionsIn(
  container: Container,
  scope: Scope,
  range: PhysicalPartition,
): readonly Revision[] {
  const { keyText, id } = scope;
  if (!isIndexed(scope)) return range.revisions;
  const partitions =
    keyText === undefined ? container.logicalPartitions : [container.logicalPartition(keyText)];
  const found: Revision[] = [];
  for (const partition of partitions) {
    if (partition?.physical !== range) continue;
    if (id === undefined) found.push(...partition.items.values());
    else {
      const revision = partition.items.get(id);
      if (revision !== undefined) found.push(revision);
    }
  }
  return found.sort((a, b) => a.lsn - b.lsn);
}
