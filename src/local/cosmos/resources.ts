import type { ContainerEntry, Database } from './catalog.ts';
import type { JsonObject } from './item.ts';
import type { PhysicalPartition } from './partition.ts';
import { partitionKeyRangeRid } from './rid.ts';
import type { WireRequest } from './wire.ts';

/** Bodies of metadata resources, as clients read them. */
export function accountBody({ secure, authority }: Pick<WireRequest, 'secure' | 'authority'>): JsonObject {
  // The address that the client used, and no other: SDKs send all further requests to what is advertised here.
  const locations = [
    { name: 'Local', databaseAccountEndpoint: `${secure ? 'https' : 'http'}://${authority}/` },
  ];
  return {
    _self: '',
    // Not "localhost": the JavaScript SDK then ignores the locations and reads the account before every request.
    id: 'cosmos-pipe-local',
    _rid: 'cosmos-pipe-local',
    media: '//media/',
    addresses: '//addresses/',
    _dbs: '//dbs/',
    writableLocations: locations,
    readableLocations: locations,
    enableMultipleWriteLocations: false,
    continuousBackupEnabled: false,
    enableNRegionSynchronousCommit: false,
    enablePerPartitionFailoverBehavior: false,
    userReplicationPolicy: { asyncReplication: false, minReplicaSetSize: 1, maxReplicasetSize: 4 },
    userConsistencyPolicy: { defaultConsistencyLevel: 'Session' },
    systemReplicationPolicy: { minReplicaSetSize: 1, maxReplicasetSize: 4 },
    readPolicy: { primaryReadCoefficient: 1, secondaryReadCoefficient: 1 },
    queryEngineConfiguration: JSON.stringify(QUERY_ENGINE),
  };
}

/** Java and .NET insist on it. */
const QUERY_ENGINE = {
  maxSqlQueryInputLength: 262144,
  maxJoinsPerSqlQuery: 10,
  maxLogicalAndPerSqlQuery: 2000,
  maxLogicalOrPerSqlQuery: 2000,
  maxUdfRefPerSqlQuery: 10,
  maxInExpressionItemsCount: 16000,
  queryMaxGroupByTableCellCount: 500000,
  queryMaxInMemorySortDocumentCount: 500,
  maxQueryRequestTimeoutFraction: 0.9,
  sqlAllowNonFiniteNumbers: false,
  sqlAllowAggregateFunctions: true,
  sqlAllowSubQuery: true,
  sqlAllowScalarSubQuery: true,
  allowNewKeywords: true,
  sqlAllowLike: true,
  sqlAllowGroupByClause: true,
  maxSpatialQueryCells: 12,
  spatialMaxGeometryPointCount: 256,
  sqlDisableQueryILOptimization: false,
  sqlDisableFilterPlanOptimization: false,
  clientDisableOptimisticDirectExecution: true,
};

export const databaseBody = ({ id, rid, self, etag, timestamp }: Database): JsonObject => ({
  id,
  _rid: rid,
  _self: self,
  _etag: etag,
  _colls: 'colls/',
  _users: 'users/',
  _ts: timestamp,
});

export const containerBody = ({ container, etag, timestamp }: ContainerEntry): JsonObject => ({
  ...container.definition,
  _rid: container.rid,
  _ts: timestamp,
  _self: container.self,
  _etag: etag,
  _docs: 'docs/',
  _sprocs: 'sprocs/',
  _triggers: 'triggers/',
  _udfs: 'udfs/',
  _conflicts: 'conflicts/',
});

export function offerBody({ container, offer }: ContainerEntry): JsonObject {
  const { maximum, autoscale } = container.throughput;
  return {
    id: offer.id,
    _rid: offer.id,
    _self: `offers/${offer.id}/`,
    _etag: offer.etag,
    _ts: offer.timestamp,
    offerVersion: 'V2',
    offerType: 'Invalid',
    resource: container.self,
    offerResourceId: container.rid,
    content: {
      offerThroughput: autoscale ? maximum / 10 : maximum,
      offerIsRUPerMinuteThroughputEnabled: false,
      offerMinimumThroughputParameters: {
        maxThroughputEverProvisioned: offer.highest,
        maxConsumedStorageEverInKB: 0,
      },
      ...(autoscale && {
        offerAutopilotSettings: {
          tier: 0,
          maximumTierThroughput: 0,
          autoUpgrade: false,
          maxThroughput: maximum,
        },
      }),
    },
  };
}

export function rangeBody({ container, timestamp }: ContainerEntry, range: PhysicalPartition): JsonObject {
  return {
    _rid: partitionKeyRangeRid(container.rid, Number(range.id)),
    id: range.id,
    _etag: `"${range.id}-${range.parents.length}"`,
    minInclusive: range.minInclusive,
    maxExclusive: range.maxExclusive,
    ridPrefix: Number(range.id),
    _self: `${container.self}pkranges/${range.id}/`,
    throughputFraction: 1 / container.ranges.length,
    status: 'online',
    parents: range.parents,
    ownedArchivalPKRangeIds: [],
    _ts: timestamp,
    lsn: range.lsn,
  };
}
