import type { CosmosConnection } from '../client.ts';
import { provision, readContainer } from '../containers.ts';
import { createDocumentStore, type DocumentStore } from '../document-store.ts';
import { type LeaseDocument, leasePrefix, positionOf } from './lease.ts';
import type { RangePosition } from './types.ts';

export type LeaseStore = DocumentStore<LeaseDocument>;

/**
 * Leases in a container of the connection's database, partitioned by `/id`. A missing container is created with `create`,
 * else it is PipeError E_NOT_FOUND.
 */
export async function openLeaseStore(
  connection: CosmosConnection,
  containerId: string,
  { create }: { readonly create: boolean },
): Promise<LeaseStore> {
  if (create) await provision(connection, { id: containerId, partitionKeyPath: '/id' });
  else
    await readContainer({
      ...connection,
      target: { ...connection.target, container: containerId },
      container: connection.database.container(containerId),
    });
  return createDocumentStore<LeaseDocument>(connection, containerId);
}

/** The stored positions of a processor, with who reads them: what `tail-feed lag` starts from. */
export async function leasedPositions(
  connection: CosmosConnection,
  leases: LeaseStore,
  processor: string,
): Promise<readonly (RangePosition & { readonly owner: string | null })[]> {
  const { rid } = await readContainer(connection);
  const prefix = leasePrefix(processor, rid);
  return (await leases.list())
    .filter(({ document }) => document.id.startsWith(prefix))
    .map(({ document }) => ({ ...positionOf(document), owner: document.Owner }));
}
