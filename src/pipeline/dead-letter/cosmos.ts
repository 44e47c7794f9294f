import type { CosmosTarget } from '../../config/targets.ts';
import { openCosmos } from '../../cosmos/client.ts';
import { provision, readContainer } from '../../cosmos/containers.ts';
import { createDocumentStore } from '../../cosmos/document-store.ts';
import { queryItems } from '../../cosmos/items.ts';
import { PipeError } from '../../util/errors.ts';
import {
  type DeadLetter,
  type DeadLetterArchive,
  type DeadLetterRecord,
  deadLetterId,
} from './dead-letter.ts';

type DeadLetterDocument = DeadLetterRecord & { readonly id: string; readonly [name: string]: unknown };

/**
 * Dead letters as documents of a container of their own, partitioned by the Event Hubs partition. With
 * `create` it is made when absent; who only looks makes nothing, and gets E_NOT_FOUND. The id is the event's position, so that an event rejected twice is one document.
 */
export async function openDeadLetterContainer(
  target: CosmosTarget,
  container: string,
  create: boolean,
): Promise<DeadLetter & DeadLetterArchive> {
  const connection = await openCosmos(target);
  const scoped = {
    ...connection,
    container: connection.database.container(container),
    target: { ...target, container },
  };
  try {
    if (create)
      await provision(connection, { id: container, partitionKeyPath: '/partition', throughput: 400 });
    else await readContainer(scoped);
  } catch (error) {
    connection.dispose();
    throw error;
  }
  const documents = createDocumentStore<DeadLetterDocument>(connection, container);
  async function* records(): AsyncGenerator<DeadLetterDocument> {
    for await (const document of queryItems<DeadLetterDocument>(scoped, 'SELECT * FROM c')) {
      if (typeof document.reason !== 'string' || typeof document.detail !== 'string')
        throw new PipeError(
          'E_CONFIG',
          `${target.database}/${container} holds items that are no dead letters`,
          {
            hint: 'name the container of the dead letters: --dead-letter cosmos:<container>',
          },
        );
      yield document;
    }
  }
  return {
    name: `container ${target.database}/${container}`,
    async write(record) {
      await documents.create({ ...record, id: deadLetterId(record) });
    },
    records,
    async remove(isDone) {
      let removed = 0;
      for await (const document of records())
        if (isDone(document) && (await documents.delete(document.id, document.partition))) removed += 1;
      return removed;
    },
    close: async () => connection.dispose(),
  };
}
