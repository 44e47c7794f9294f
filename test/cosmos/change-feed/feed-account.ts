import { type CosmosConnection, openCosmos } from '../../../src/cosmos/client.ts';
import { type ContainerSpec, provision } from '../../../src/cosmos/containers.ts';
import { type CosmosService, startCosmos } from '../../../src/local/cosmos/index.ts';
import type { RuRecorder } from '../../../src/metrics/types.ts';
import { Secret } from '../../../src/util/secret.ts';

/** An account of its own with one container, for tests of the change feed. */
export interface FeedAccount {
  readonly service: CosmosService;
  readonly connection: CosmosConnection;
  /** Writes `count` items `<prefix><n>`, `{id, pk, sequence}`, spread over ten partition keys. */
  write(count: number, prefix?: string): Promise<void>;
  /** The same one by one within each key: the SDK's bulk does not always survive a split. */
  writeOneByOne(count: number, prefix: string): Promise<void>;
  split(rangeId: string): void;
  close(): Promise<void>;
}

export async function startFeedAccount(
  spec: Partial<ContainerSpec> = {},
  ru?: RuRecorder,
): Promise<FeedAccount> {
  const service = await startCosmos({ throttling: false });
  const target = {
    endpoint: service.environment['COSMOS_ENDPOINT'] ?? '',
    key: new Secret(service.environment['COSMOS_KEY'] ?? ''),
    database: 'pipeline',
    container: 'events',
  };
  const connection = await openCosmos(target, ru ? { ru } : {});
  await provision(connection, { partitionKeyPath: '/pk', throughput: 24_000, ...spec });
  const sequences = new Map<string, number>();
  const itemOf = (id: string, index: number) => {
    const pk = `key-${index % 10}`;
    const sequence = sequences.get(pk) ?? 0;
    sequences.set(pk, sequence + 1);
    return { id, pk, sequence };
  };
  return {
    service,
    connection,
    async write(count, prefix = 'event-') {
      for (let from = 0; from < count; from += 100) {
        const operations = Array.from({ length: Math.min(100, count - from) }, (_, offset) => {
          const item = itemOf(`${prefix}${from + offset}`, from + offset);
          return { operationType: 'Upsert' as const, partitionKey: item.pk, resourceBody: item };
        });
        await connection.container.items.bulk(operations);
      }
    },
    async writeOneByOne(count, prefix) {
      const writeKey = async (key: number): Promise<void> => {
        for (let index = key; index < count; index += 10)
          await connection.container.items.upsert(itemOf(`${prefix}${index}`, index));
      };
      await Promise.all(Array.from({ length: 10 }, (_, key) => writeKey(key)));
    },
    split(rangeId) {
      service.split('pipeline', 'events', rangeId);
    },
    async close() {
      connection.dispose();
      await service.stop();
    },
  };
}
