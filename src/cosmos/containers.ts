import type { ContainerDefinition, ContainerRequest, IndexingPolicy } from '@azure/cosmos';
import { ENVELOPE_FIELD } from '../util/envelope.ts';
import type { CosmosConnection } from './client.ts';
import { toPipeError } from './errors.ts';

export interface ContainerInfo {
  readonly id: string;
  /** Resource id, unique over the life of the account: a container made again under the same name has another. */
  readonly rid: string;
  readonly partitionKey: {
    readonly paths: readonly string[];
    readonly kind: 'Hash' | 'MultiHash';
    readonly version: 1 | 2;
  };
  readonly defaultTtlSeconds?: number;
}

type IndexingMode = 'all' | 'default' | 'none' | 'keyOnly';

export interface ContainerSpec {
  /** Default: the container of the target. */
  readonly id?: string;
  /** `/deviceId`; several paths make a hierarchical key. */
  readonly partitionKeyPath: string | readonly string[];
  /** Provisioned RU/s, manual. */
  readonly throughput?: number;
  /** Autoscale between a tenth of this and this, in RU/s. */
  readonly autoscaleMax?: number;
  /**
   * `all` (default): every path but the envelope of `ingest`; `default`: the service's default policy, envelope included;
   * `none`: no index but id and partition key, the cheapest writes; `keyOnly`: the partition key path only.
   */
  readonly indexing?: IndexingMode;
  /** Time to live of items in seconds, -1 = only items that carry a `ttl`. */
  readonly defaultTtlSeconds?: number;
  /** Keeps all versions and deletes readable in the change feed for this long. */
  readonly changeFeedRetentionMinutes?: number;
}

/**
 * Creates database and container where they are missing; an existing container is left as it is. Partition keys are always
 * version 2: without an explicit version the JavaScript SDK hashes as version 1, and large keys collide.
 */
export async function provision(
  connection: CosmosConnection,
  spec: ContainerSpec,
): Promise<ContainerInfo & { readonly created: boolean }> {
  const { client, target } = connection;
  const paths = [spec.partitionKeyPath].flat();
  const request: ContainerRequest = {
    id: spec.id ?? target.container,
    partitionKey: {
      paths,
      version: 2,
      ...(paths.length > 1 ? { kind: 'MultiHash' as never } : {}),
    },
    ...indexing(spec.indexing ?? 'all', paths),
    ...(spec.throughput === undefined ? {} : { throughput: spec.throughput }),
    ...(spec.autoscaleMax === undefined ? {} : { maxThroughput: spec.autoscaleMax }),
    ...(spec.defaultTtlSeconds === undefined ? {} : { defaultTtl: spec.defaultTtlSeconds }),
    ...(spec.changeFeedRetentionMinutes === undefined
      ? {}
      : { changeFeedPolicy: { retentionDuration: spec.changeFeedRetentionMinutes } as never }),
  };
  try {
    const { database } = await client.databases.createIfNotExists({ id: target.database });
    const { resource, statusCode } = await database.containers.createIfNotExists(request);
    return { ...containerInfo(resource ?? {}), created: statusCode === 201 };
  } catch (error) {
    throw toPipeError(error, target);
  }
}

/** Deletes a container; resolves to false when there is none. */
export async function deleteContainer(
  connection: CosmosConnection,
  containerId = connection.target.container,
): Promise<boolean> {
  try {
    await connection.database.container(containerId).delete();
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 404) return false;
    throw toPipeError(error, connection.target);
  }
}

/** Throws PipeError E_NOT_FOUND with the command that would create it. */
export async function readContainer(connection: CosmosConnection): Promise<ContainerInfo> {
  try {
    const { resource } = await connection.container.read();
    return containerInfo(resource ?? {});
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

export interface PartitionKeyRange {
  readonly id: string;
  /** Bounds in the space of effective partition keys, upper-case hex; `''` and `FF` are the ends. */
  readonly minInclusive: string;
  readonly maxExclusive: string;
  /** The ranges that this one was split from. */
  readonly parents: readonly string[];
}

/** Read afresh on every call, in ascending order. */
export async function partitionKeyRanges(
  connection: CosmosConnection,
): Promise<readonly PartitionKeyRange[]> {
  try {
    const { resources } = await connection.container.readPartitionKeyRanges().fetchAll();
    return resources
      .map(({ id, minInclusive, maxExclusive, parents }) => ({
        id,
        minInclusive,
        maxExclusive,
        parents,
      }))
      .sort((a, b) => (a.minInclusive < b.minInclusive ? -1 : 1));
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

export interface Throughput {
  /** `shared`: provisioned on the database; `serverless`: none provisioned at all. */
  readonly kind: 'manual' | 'autoscale' | 'shared' | 'serverless';
  /** Most RU/s the container may use now; Infinity for serverless. */
  readonly ruPerSecond: number;
}

/** What the container (else its database) is provisioned with. Needs the right to read offers: a key, not a data role. */
export async function throughputOf(connection: CosmosConnection): Promise<Throughput> {
  try {
    const own = (await connection.container.readOffer()).resource;
    if (own?.content) return { ...offered(own.content), kind: kindOf(own.content) };
    const shared = (await connection.database.readOffer()).resource;
    if (shared?.content) return { ...offered(shared.content), kind: 'shared' };
    return { kind: 'serverless', ruPerSecond: Number.POSITIVE_INFINITY };
  } catch (error) {
    throw toPipeError(error, connection.target);
  }
}

interface OfferContent {
  readonly offerThroughput: number;
  readonly offerAutopilotSettings?: { readonly maxThroughput: number };
}

function offered(content: OfferContent): { ruPerSecond: number } {
  return { ruPerSecond: content.offerAutopilotSettings?.maxThroughput ?? content.offerThroughput };
}

function kindOf(content: OfferContent): 'manual' | 'autoscale' {
  return content.offerAutopilotSettings ? 'autoscale' : 'manual';
}

function containerInfo(resource: Partial<ContainerDefinition> & { _rid?: string }): ContainerInfo {
  const { paths = [], kind, version } = resource.partitionKey ?? {};
  return {
    id: resource.id ?? '',
    rid: resource._rid ?? '',
    partitionKey: {
      paths,
      kind: String(kind) === 'MultiHash' ? 'MultiHash' : 'Hash',
      // An absent version means 1 (SDK: PartitionKeyDefinition.d.ts), except for hierarchical keys, which know only 2.
      version: version === 2 || String(kind) === 'MultiHash' ? 2 : 1,
    },
    ...(resource.defaultTtl === undefined ? {} : { defaultTtlSeconds: resource.defaultTtl }),
  };
}

function indexing(mode: IndexingMode, keyPaths: readonly string[]): { indexingPolicy?: IndexingPolicy } {
  const everything = [{ path: '/*' }];
  switch (mode) {
    case 'default':
      return {};
    case 'all':
      return {
        indexingPolicy: {
          indexingMode: 'consistent',
          automatic: true,
          includedPaths: everything,
          excludedPaths: [{ path: `/${ENVELOPE_FIELD}/*` }, { path: '/"_etag"/?' }],
        },
      };
    case 'keyOnly':
      return {
        indexingPolicy: {
          indexingMode: 'consistent',
          automatic: true,
          includedPaths: keyPaths.map((path) => ({ path: `${path}/?` })),
          excludedPaths: everything,
        },
      };
    case 'none':
      return { indexingPolicy: { indexingMode: 'none', automatic: false } };
  }
}
