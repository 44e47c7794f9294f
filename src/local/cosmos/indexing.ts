/** What an indexing policy says about each property, arranged as the tree that a document walks along. */
interface PolicyNode {
  readonly children: Map<string, PolicyNode>;
  /** `/path/?`: the value itself. */
  value: boolean | undefined;
  /** `/path/*`: the value and everything below it. */
  subtree: boolean | undefined;
}

export interface IndexingPolicy {
  readonly indexingMode?: string;
  readonly automatic?: boolean;
  readonly includedPaths?: readonly { readonly path: string }[];
  readonly excludedPaths?: readonly { readonly path: string }[];
}

export const DEFAULT_INDEXING_POLICY = {
  indexingMode: 'consistent',
  automatic: true,
  includedPaths: [{ path: '/*' }],
  excludedPaths: [{ path: '/"_etag"/?' }],
} as const;

/** Counts index terms, one per indexed scalar; throws the depth it refuses. */
export interface TermCounter {
  /** Terms of a document. */
  count(document: unknown): number;
  /** Terms removed plus terms added when one document replaces another. */
  changed(before: unknown, after: unknown): number;
}

/** Documents may nest 128 levels (Azure Cosmos DB service quotas). */
export const MAX_NESTING = 128;

const newNode = (): PolicyNode => ({ children: new Map(), value: undefined, subtree: undefined });
const ARRAY_STEP = '[]';

/** Compiles a policy. Of several paths that match, the longest decides; an exact path beats a wildcard. */
export function compileIndexingPolicy(policy: IndexingPolicy): TermCounter {
  if (policy.indexingMode?.toLowerCase() === 'none')
    return { count: (document) => walk(document, undefined, false, 0), changed: () => 0 };
  const root = newNode();
  for (const { path } of policy.includedPaths ?? []) mark(root, path, true);
  for (const { path } of policy.excludedPaths ?? []) mark(root, path, false);
  const inherited = root.subtree ?? false;
  return {
    count: (document) => walk(document, root, inherited, 0),
    changed: (before, after) => difference(before, after, root, inherited),
  };
}

function mark(root: PolicyNode, path: string, included: boolean): void {
  const steps = (path.match(/"[^"]*"|[^/]+/g) ?? []).map((step) => step.replace(/^"(.*)"$/, '$1'));
  const last = steps.pop();
  let node = root;
  for (const step of steps) {
    let child = node.children.get(step);
    if (child === undefined) {
      child = newNode();
      node.children.set(step, child);
    }
    node = child;
  }
  if (last === '*') node.subtree = included;
  else if (last === '?') node.value = included;
}

function walk(value: unknown, node: PolicyNode | undefined, inherited: boolean, depth: number): number {
  if (value === null || typeof value !== 'object') return (node?.value ?? node?.subtree ?? inherited) ? 1 : 0;
  if (depth > MAX_NESTING) throw new RangeError('nesting');
  const below = node?.subtree ?? inherited;
  let terms = 0;
  if (Array.isArray(value)) {
    const element = node?.children.get(ARRAY_STEP);
    for (const item of value) terms += walk(item, element, below, depth + 1);
    return terms;
  }
  const children = node !== undefined && node.children.size > 0 ? node.children : undefined;
  for (const key in value) {
    terms += walk((value as Record<string, unknown>)[key], children?.get(key), below, depth + 1);
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
  value === undefined ? 0 : walk(value, node, inherited, 0);
