import type { LeaseStore } from '../src/cosmos/change-feed/lease-store.ts';
import type { CosmosConnection } from '../src/cosmos/client.ts';
import { PipeError } from '../src/util/errors.ts';

/** The leases of `--processor`. Throws E_CONFIRM when their container is missing and must not be made. */
export async function openLeases(
  connection: CosmosConnection,
  leaseContainer: string,
  create: boolean,
): Promise<LeaseStore> {
  const { openLeaseStore } = await import('../src/cosmos/change-feed/lease-store.ts');
  return openLeaseStore(connection, leaseContainer, { create }).catch((error: unknown) => {
    if (!(error instanceof PipeError) || error.code !== 'E_NOT_FOUND') throw error;
    throw new PipeError(
      'E_CONFIRM',
      `there is no lease container ${connection.target.database}/${leaseContainer}`,
      {
        hint: 'pass --yes to create it (partition key /id, 400 RU/s), or name another with --lease-container',
        cause: error,
      },
    );
  });
}
