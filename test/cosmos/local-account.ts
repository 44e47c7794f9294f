import { type CosmosConnection, openCosmos } from '../../src/cosmos/client.ts';
import { type ContainerSpec, provision } from '../../src/cosmos/containers.ts';
import type { BulkWriter, WriteOperation, WriteOutcome } from '../../src/cosmos/write-operation.ts';
import { type CosmosService, startCosmos } from '../../src/local/cosmos/index.ts';
import type { RuRecorder } from '../../src/metrics/types.ts';
import { Secret } from '../../src/util/secret.ts';

export interface LocalAccount {
  readonly service: CosmosService;
  /** A connection to a new container. */
  container(spec?: Partial<ContainerSpec>, ru?: RuRecorder): Promise<CosmosConnection>;
  stop(): Promise<void>;
}

/** An embedded account, on a free port unless told otherwise; the connections it hands out are disposed with it. */
export async function startAccount(options: Parameters<typeof startCosmos>[0] = {}): Promise<LocalAccount> {
  const service = await startCosmos({ port: 0, ...options });
  const open: CosmosConnection[] = [];
  return {
    service,
    async container(spec = {}, ru) {
      const connection = await openCosmos(
        {
          endpoint: service.environment['COSMOS_ENDPOINT'] as string,
          key: new Secret(service.environment['COSMOS_KEY'] as string),
          database: 'test',
          container: `items-${open.length}`,
        },
        ru ? { ru } : {},
      );
      open.push(connection);
      await provision(connection, { partitionKeyPath: '/key', throughput: 100_000, ...spec });
      return connection;
    },
    async stop() {
      for (const connection of open) connection.dispose();
      await service.stop();
    },
  };
}

/** Writes all operations, obeying back-pressure, and waits for every outcome. */
export async function writeAll(
  writer: BulkWriter,
  operations: Iterable<WriteOperation>,
): Promise<WriteOutcome[]> {
  const outcomes: WriteOutcome[] = [];
  let index = 0;
  for (const operation of operations) {
    const at = index++;
    await writer.write(operation, (outcome) => {
      outcomes[at] = outcome;
    });
  }
  await writer.flush();
  return outcomes;
}

export function upsert(
  key: string,
  sequence: number,
  more: Readonly<Record<string, unknown>> = {},
): WriteOperation {
  const id = `${key}-${sequence}`;
  return { kind: 'upsert', id, partitionKey: key, body: JSON.stringify({ id, key, sequence, ...more }) };
}

/** Everything in the container, through the SDK itself. */
export async function storedItems(
  connection: CosmosConnection,
): Promise<{ id: string; key: string; sequence: number }[]> {
  const { resources } = await connection.container.items.readAll({ maxItemCount: 1000 }).fetchAll();
  return resources as never;
}
