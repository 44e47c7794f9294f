import { type Container, type ContainerRequest, CosmosClient } from '@azure/cosmos';
import { afterEach } from 'vitest';
import { type CosmosOptions, type CosmosService, startCosmos } from '../../../src/local/cosmos/index.ts';

const open: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

/** A service on a free port and the unmodified SDK connected to it; both end with the test. */
export async function connect(
  options: CosmosOptions = {},
): Promise<{ service: CosmosService; client: CosmosClient }> {
  const service = await startCosmos({ throttling: false, ...options });
  open.push(service);
  return { service, client: clientOf(service) };
}

export function clientOf(service: CosmosService, options: object = {}): CosmosClient {
  const client = new CosmosClient({
    endpoint: service.environment['COSMOS_ENDPOINT'] as string,
    key: service.environment['COSMOS_KEY'] as string,
    ...options,
  });
  open.push({ stop: () => client.dispose() });
  return client;
}

/** Container `c` of database `db`, key `/pk` unless told. */
export async function createContainer(
  client: CosmosClient,
  request: Partial<ContainerRequest> = {},
): Promise<Container> {
  const { database } = await client.databases.createIfNotExists({ id: 'db' });
  const { container } = await database.containers.create({
    id: 'c',
    partitionKey: { paths: ['/pk'], version: 2 },
    ...request,
  });
  return container;
}

/** A request that no SDK would send, signed by nothing. */
export async function raw(service: CosmosService, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL(path, service.environment['COSMOS_ENDPOINT']), init);
}
