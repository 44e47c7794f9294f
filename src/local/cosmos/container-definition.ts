import { checkComputedProperties } from './computed-properties.ts';
import { badRequest } from './errors.ts';
import { DEFAULT_INDEXING_POLICY, type IndexingPolicy } from './indexing-policy.ts';
import { type JsonObject, requireId } from './item.ts';
import { definePartitionKey, type PartitionKeyDefinition } from './partition-key.ts';

/** The resource as clients see it, without the properties that the service adds. */
export interface ContainerDefinition {
  readonly id: string;
  readonly partitionKey: PartitionKeyDefinition;
  readonly indexingPolicy: IndexingPolicy;
  /** Seconds; -1 switches expiry on without a default. */
  readonly defaultTtl?: number;
  readonly uniqueKeyPolicy: { readonly uniqueKeys: readonly { readonly paths: readonly string[] }[] };
  /** Present when the all-versions-and-deletes feed is kept; minutes. */
  readonly changeFeedPolicy?: { readonly retentionDuration: number };
  readonly [property: string]: unknown;
}

/** Checks a container body as the service would. @throws WireError 400 */
export function defineContainer(body: JsonObject, previous?: ContainerDefinition): ContainerDefinition {
  requireId(body['id']);
  const partitionKey = definePartitionKey(body['partitionKey'] ?? previous?.partitionKey);
  if (
    previous !== undefined &&
    JSON.stringify(partitionKey.paths) !== JSON.stringify(previous.partitionKey.paths)
  )
    throw badRequest('Document collection partition key cannot be changed.');
  const { defaultTtl } = body;
  if (
    defaultTtl !== undefined &&
    !(Number.isInteger(defaultTtl) && ((defaultTtl as number) > 0 || defaultTtl === -1))
  )
    throw badRequest(`The defaultTtl ${String(defaultTtl)} is not a positive integer or -1`);
  checkComputedProperties(body['computedProperties']);
  const custom = Object.entries(body).filter(([name]) => !name.startsWith('_'));
  return {
    conflictResolutionPolicy: {
      mode: 'LastWriterWins',
      conflictResolutionPath: '/_ts',
      conflictResolutionProcedure: '',
    },
    geospatialConfig: { type: 'Geography' },
    ...Object.fromEntries(custom),
    id: body['id'],
    partitionKey,
    indexingPolicy: indexingPolicyOf(body['indexingPolicy']),
    uniqueKeyPolicy: (previous?.uniqueKeyPolicy ??
      body['uniqueKeyPolicy'] ?? { uniqueKeys: [] }) as ContainerDefinition['uniqueKeyPolicy'],
  };
}

function indexingPolicyOf(given: unknown): IndexingPolicy {
  if (given === undefined || given === null) return DEFAULT_INDEXING_POLICY;
  const policy = given as IndexingPolicy;
  const mode = policy.indexingMode?.toLowerCase() ?? 'consistent';
  if (mode !== 'consistent' && mode !== 'none' && mode !== 'lazy')
    throw badRequest(`The indexing mode ${mode} is not consistent, lazy or none`);
  if (mode === 'none') return { ...policy, indexingMode: 'none', automatic: false };
  const { includedPaths = [{ path: '/*' }], excludedPaths = [] } = policy;
  const paths = [...includedPaths, ...excludedPaths].map(({ path }) => path);
  const bad = paths.find((path) => typeof path !== 'string' || !/^\/.*[*?]$/.test(path));
  if (bad !== undefined)
    throw badRequest(
      `The indexing path '${bad}' could not be accepted; it must start with / and end with /* or /?`,
    );
  if (!paths.includes('/*'))
    throw badRequest(
      "The special mandatory indexing path '/*' is not provided in any of the path type sets.",
    );
  return { ...policy, indexingMode: mode, automatic: policy.automatic ?? true, includedPaths, excludedPaths };
}
