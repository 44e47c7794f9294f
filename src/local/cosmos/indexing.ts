import { ARRAY_STEP, type IndexingPolicy, type PolicyNode, policyTree } from './indexing-policy.ts';
import { changedTermsInText, type PropertyVisitor, scanTerms, type TextTerms } from './indexing-text.ts';
import type { JsonCursor } from './json-cursor.ts';

/** Counts index terms, one per indexed scalar. */
export interface TermCounter {
  /** Terms of the value at the cursor, which moves past it. @throws SyntaxError when it is not JSON */
  scan(cursor: JsonCursor, visitor?: PropertyVisitor): TextTerms;
  /** Terms removed plus terms added when one document replaces another. */
  changed(before: unknown, after: unknown): number;
  /** The same from their texts (see {@link changedTermsInText}); undefined when only {@link changed} can tell. */
  changedInText(before: JsonCursor, beforeEnd: number, after: JsonCursor): number | undefined;
}

/** Compiles a policy. Of several paths that match, the longest decides; an exact path beats a wildcard. */
export function compileIndexingPolicy(policy: IndexingPolicy): TermCounter {
  const root = policyTree(policy);
  const inherited = root.subtree ?? false;
  return {
    scan(cursor, visitor) {
      const found = { terms: 0, tooDeep: false };
      scanTerms(cursor, found, root, inherited, 0, visitor);
      return found;
    },
    changed: (before, after) => difference(before, after, root, inherited),
    changedInText: (before, beforeEnd, after) =>
      changedTermsInText(before, beforeEnd, after, root, inherited),
  };
}

function walk(value: unknown, node: PolicyNode | undefined, inherited: boolean): number {
  if (value === null || typeof value !== 'object') return (node?.value ?? node?.subtree ?? inherited) ? 1 : 0;
  const below = node?.subtree ?? inherited;
  let terms = 0;
  if (Array.isArray(value)) {
    const element = node?.children.get(ARRAY_STEP);
    for (const item of value) terms += walk(item, element, below);
    return terms;
  }
  const children = node !== undefined && node.children.size > 0 ? node.children : undefined;
  for (const key in value) {
    terms += walk((value as Record<string, unknown>)[key], children?.get(key), below);
  }
  return terms;
}

/** Arrays are compared position by position, which is how their elements are most often left alone. */
function difference(
  before: unknown,
  after: unknown,
  node: PolicyNode | undefined,
  inherited: boolean,
): number {
  if (before === after) return 0;
  const nested = isObject(before) && isObject(after) && Array.isArray(before) === Array.isArray(after);
  if (!nested) return termsOf(before, node, inherited) + termsOf(after, node, inherited);
  const below = node?.subtree ?? inherited;
  const old = before as Record<string, unknown>;
  const fresh = after as Record<string, unknown>;
  const childOf = (key: string): PolicyNode | undefined =>
    node?.children.get(Array.isArray(before) ? ARRAY_STEP : key);
  let terms = 0;
  for (const key in old) terms += difference(old[key], fresh[key], childOf(key), below);
  for (const key in fresh) if (!Object.hasOwn(old, key)) terms += termsOf(fresh[key], childOf(key), below);
  return terms;
}

const isObject = (value: unknown): value is object => value !== null && typeof value === 'object';

const termsOf = (value: unknown, node: PolicyNode | undefined, inherited: boolean): number =>
  value === undefined ? 0 : walk(value, node, inherited);
