// The unmodified @azure/cosmos of this repository against the embedded Cosmos DB: what a program may do with an account.
import { CosmosClient } from '@azure/cosmos';
import { checkBatches } from '../cosmos-js/batches.mjs';
import { checkChangeFeed } from '../cosmos-js/change-feed.mjs';
import { checkItems } from '../cosmos-js/items.mjs';
import { checkPartitionKeys } from '../cosmos-js/partition-keys.mjs';
import { checkQueries } from '../cosmos-js/queries.mjs';
import { checkResources } from '../cosmos-js/resources.mjs';
import { checkThroughput } from '../cosmos-js/throughput.mjs';

export async function run({ check, skip, server }) {
  const { startCosmos } = await server('local/cosmos/index');
  const service = await startCosmos();
  const connect = (options = {}) =>
    new CosmosClient({
      endpoint: service.environment.COSMOS_ENDPOINT,
      key: service.environment.COSMOS_KEY,
      ...options,
    });
  const client = connect();
  const { database } = await client.databases.createIfNotExists({ id: 'conformance' });
  /** A container of two physical partitions, key /pk, unless told otherwise. */
  const container = async (id, request = {}) =>
    (
      await database.containers.create({
        id,
        partitionKey: { paths: ['/pk'], version: 2 },
        throughput: 12_000,
        ...request,
      })
    ).container;
  const context = { check, skip, client, connect, database, container };
  for (const part of [
    checkResources,
    checkItems,
    checkBatches,
    checkQueries,
    checkChangeFeed,
    checkPartitionKeys,
    checkThroughput,
  ])
    await part(context);
  client.dispose();
  await service.stop();
}
