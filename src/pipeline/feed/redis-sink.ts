import { type CacheWriterOptions, createCacheWriter } from '../../cache/writer.ts';
import type { RedisTarget } from '../../config/targets.ts';
import type { FeedChange } from '../../cosmos/change-feed/types.ts';
import type { FeedSink } from './sink.ts';

export type RedisSinkOptions = Pick<CacheWriterOptions, 'keyPrefix' | 'ttlMs'>;

/** Sets `<prefix><partition key>:<id>` to the item, and deletes it when the item was deleted (all-versions mode). */
export async function redisSink(target: RedisTarget, options: RedisSinkOptions = {}): Promise<FeedSink> {
  const writer = await createCacheWriter({ target, ...options });
  return {
    name: 'redis',
    async deliver(changes) {
      const last = [...new Map(changes.map((change) => [writer.keyOf(change), change]))];
      const [deleted, stored] = [last.filter(isDelete), last.filter((entry) => !isDelete(entry))];
      await writer.write(
        stored.map(([, { id, partitionKey, item, text, lsn, storedMs }]) => ({
          id,
          partitionKey,
          body: item,
          text,
          lsn,
          tsSeconds: storedMs / 1000,
        })),
      );
      const replies = await writer.connection.send(deleted.map(([key]) => ['del', key] as const));
      const failed = replies.find((reply) => reply instanceof Error);
      if (failed) throw failed;
    },
    close: () => writer.close(),
  };
}

function isDelete([, { operation }]: readonly [string, FeedChange]): boolean {
  return operation === 'delete';
}
