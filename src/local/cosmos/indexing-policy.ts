import { NameFilter } from './name-filter.ts';

/** What an indexing policy says about each property, arranged as the tree that a document walks along. */
export interface PolicyNode {
  readonly children: Map<string, PolicyNode>;
  /** Names of the children. */
  readonly names: NameFilter;
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

/** The step from an array to its elements. */
export const ARRAY_STEP = '[]';

const newNode = (): PolicyNode => ({
  children: new Map(),
  names: new NameFilter(),
  value: undefined,
  subtree: undefined,
});

/** The tree of a policy; an empty one when nothing is indexed. */
export function policyTree({
  indexingMode,
  includedPaths = [],
  excludedPaths = [],
}: IndexingPolicy): PolicyNode {
  const root = newNode();
  if (indexingMode?.toLowerCase() === 'none') return root;
  for (const { path } of includedPaths) mark(root, path, true);
  for (const { path } of excludedPaths) mark(root, path, false);
  return root;
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
      node.names.add(step);
    }
    node = child;
  }
  if (last === '*') node.subtree = included;
  else if (last === '?') node.value = included;
}
